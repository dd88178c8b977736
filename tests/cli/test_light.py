"""What is not needed is not loaded: start-up stays fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.stub_kms import StubKms

HEAVY = (
    "aiohttp",
    "anyio",
    "asyncio",
    "cryptography",
    "difflib",
    "importlib.metadata",
    "rich",
    "sqlite3",
    "alibabacloud_credentials",
    "yaml",
    "ijson",
)
NOT_FOR_JSON_LINES = (
    "aiolimiter",  # for retries without a ceiling
    "csv",
    "difflib",
    "html",
    "importlib.metadata",
    "rich",
    "zipfile",
    "bulkseed.manifest.formats.csv_table",
    "bulkseed.manifest.formats.yaml_documents",
    "bulkseed.report.page",
    "bulkseed.service.kms",
    "bulkseed.sources.reader",
    "bulkseed.targets.apply",
    "bulkseed.wire.actions.table",
)
MODULES_OF_EXTRAS = {
    *("aiomysql", "alibabacloud_credentials", "asyncpg", "azure", "botocore", "dotenv", "google.auth"),
    *("hvac", "jinja2", "kubernetes", "matplotlib", "opentelemetry", "prometheus_client", "pyrage", "yaml"),
    "zstandard",
}


def loaded(*arguments: str, cwd: Path) -> set[str]:
    """Return the modules that a command line has loaded when it ends."""
    code = (
        "import sys; from bulkseed.cli.app import run; run(sys.argv[1:]);"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines())


def test_version_loads_nothing_heavy(tmp_path: Path) -> None:
    """`bulkseed --version` pays for the command line only."""
    assert not loaded("--version", cwd=tmp_path) & set(HEAVY)


def test_plan_needs_no_network_code(tmp_path: Path) -> None:
    """Only the commands that need aiohttp import it."""
    write_manifest(tmp_path / "m.jsonl", simple(3))
    assert "aiohttp" not in loaded("plan", "m.jsonl", cwd=tmp_path)


def test_apply_loads_what_one_line_needs(tmp_path: Path) -> None:
    """No extra but the faster event loop, no format but its own, no action but those of its procedure."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    with StubKms(KEY_ID, KEY_SECRET) as kms:
        modules = loaded("apply", "m.jsonl", "--endpoint", kms.endpoint, "--progress", "none", cwd=tmp_path)
        assert len(kms.secrets) == 1
    assert not modules & MODULES_OF_EXTRAS
    assert not modules & set(NOT_FOR_JSON_LINES)
    actions = {name for name in modules if name.startswith("bulkseed.wire.actions.")}
    assert len(actions) < 12, actions  # creating, looking, following, deleting; and how they travel


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_offered(shell: str, tmp_path: Path) -> None:
    """Shell completion comes from the command itself."""
    done = bulkseed(cwd=tmp_path, env=environment(_BULKSEED_COMPLETE=f"{shell}_source"))
    assert "_BULKSEED_COMPLETE" in done.stdout
