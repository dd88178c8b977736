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
from support.source_walk import Walk

from bulkseed.model import Credentials, Target

COUNT = 60


@pytest.fixture
def bao() -> Iterator[Bao]:
    """A server of its own."""
    with openbao() as server:
        yield server


def fill(bao: Bao, text: str) -> None:
    """Give each secret a version."""
    for number in range(COUNT):
        bao.put("secret", f"prod/s{number}", {"k": f"canary-{number}-{text}"})


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


def test_a_night_with_kills_changes_and_what_cannot_be_moved(bao: Bao, tmp_path: Path) -> None:
    """Four kills, five changes, a deletion, a denied folder, bad names: as printed, and no value in any file.

    `benchmarks.soak_sources` does it with 2,000.
    """
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        assert Walk(bao, target, tmp_path, 200).walk(kill_after=12) > 4 * 3


def test_a_kill_and_a_change_of_everything_take_nothing_for_foreign(bao: Bao, tmp_path: Path) -> None:
    """What was in doubt, created or only claimed has another version by now: all ends in that one."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        arguments, env = call(bao, target)
        fill(bao, "first")
        logs = ("--log-level", "debug", "--log-format", "json")
        assert killed(start("apply", *arguments, *logs, "--qps", "200", cwd=tmp_path, env=env), after=20)
        fill(bao, "second")
        ended = bulkseed("apply", *arguments, "--qps", "0", cwd=tmp_path, env=env)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "existing:" not in ended.stdout
        verified = bulkseed("verify", *arguments, cwd=tmp_path, env=env)
        assert f"{COUNT} identical" in verified.stdout


def call(bao: Bao, target: Target) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the arguments and the environment of a command from a server to a service."""
    assert isinstance(target.credentials, Credentials)
    env = environment(
        VAULT_TOKEN=ROOT_TOKEN,
        ALIBABA_CLOUD_ACCESS_KEY_ID=target.credentials.access_key_id,
        ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal(),
    )
    address = f"vault+http://{bao.host}/secret/prod"
    return (address, "--source-rate", "0", "--endpoint", target.endpoint, "--region", target.region), env
