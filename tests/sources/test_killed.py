"""Moves that are killed while the store changes: what the next run finds out, and that nothing is lost."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import bulkseed, environment, start
from support.openbao import ROOT_TOKEN, Bao, openbao
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

from bulkseed.model import Credentials, Target

COUNT = 150


@pytest.fixture
def bao() -> Iterator[Bao]:
    """A server with secrets of one version."""
    with openbao() as server:
        for number in range(COUNT):
            server.put("secret", f"prod/s{number}", {"k": f"canary-{number}"})
        yield server


def killed(process: subprocess.Popen[str], after: int) -> bool:
    """Kill a run once so many secrets are settled; return whether it was still running."""
    assert process.stderr is not None
    seen = 0
    for line in process.stderr:
        seen += '"definition.settled"' in line
        if seen >= after:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


def test_kills_and_changes_lose_nothing_and_take_nothing_for_foreign(bao: Bao, tmp_path: Path) -> None:
    """Killed three times, everything changed each time: all that is ours ends in its newest version."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        arguments, env = call(bao, target)
        run = ("apply", *arguments, "--source-rate", "0", "--log-level", "debug", "--log-format", "json")
        for turn in range(3):
            process = start(*run, "--qps", "40", cwd=tmp_path, env=env)
            assert killed(process, after=20)
            for number in range(COUNT):
                bao.put("secret", f"prod/s{number}", {"k": f"canary-{number}-{turn}"})
        ended = bulkseed(
            "apply", *arguments, "--qps", "0", "--ledger", ledger(tmp_path), cwd=tmp_path, env=env
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "existing:" not in ended.stdout
        verified = bulkseed("verify", *arguments, cwd=tmp_path, env=env)
        assert f"{COUNT} identical" in verified.stdout
        audited = bulkseed("ledger", "audit", ledger(tmp_path), cwd=tmp_path, env=env)
        assert audited.returncode == 0, audited.stdout
    assert not [path for path in tmp_path.glob("*.db*") if b"canary" in path.read_bytes()]


def call(bao: Bao, target: Target) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the arguments and the environment of a command from a server to a service."""
    assert isinstance(target.credentials, Credentials)
    env = environment(
        VAULT_TOKEN=ROOT_TOKEN,
        ALIBABA_CLOUD_ACCESS_KEY_ID=target.credentials.access_key_id,
        ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal(),
    )
    address = f"vault+http://{bao.host}/secret/prod"
    return (address, "--endpoint", target.endpoint, "--region", target.region), env


def ledger(folder: Path) -> str:
    """Return the name of the only ledger of applies there."""
    [path] = folder.glob("*.ledger.db")
    return path.name
