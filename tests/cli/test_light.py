"""What is not needed is not loaded: start-up stays fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import bulkseed, simple, write_manifest

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


def loaded(*arguments: str, cwd: Path) -> set[str]:
    """Return the modules that a command line has loaded when it ends."""
    code = (
        "import sys; from bulkseed.cli.app import run; run(sys.argv[1:]);"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines())


def test_version_loads_nothing_heavy(tmp_path: Path) -> None:
    """`bulkseed --version` pays for the command line only."""
    assert not loaded("--version", cwd=tmp_path) & set(HEAVY)


def test_plan_needs_no_network_code(tmp_path: Path) -> None:
    """Only the commands that need aiohttp import it."""
    write_manifest(tmp_path / "m.jsonl", simple(3))
    assert "aiohttp" not in loaded("plan", "m.jsonl", cwd=tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_offered(shell: str, tmp_path: Path) -> None:
    """Shell completion comes from the command itself."""
    from support.command import environment

    done = bulkseed(cwd=tmp_path, env=environment(_BULKSEED_COMPLETE=f"{shell}_source"))
    assert "_BULKSEED_COMPLETE" in done.stdout
