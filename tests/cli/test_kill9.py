"""Real processes that are killed or interrupted: nothing is lost, nothing done twice, every row is true."""

from __future__ import annotations

import json
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.command import bulkseed, simple, start, write_manifest
from support.torture import Torture, assert_audited, rows_of, served

from bulkseed.errors import LedgerError
from bulkseed.model import Outcome


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    """Killed ten times amid faults and jitter, then done: service = manifest, rows = manifest, all true.

    The long form is `benchmarks/soak_kill9.py`.
    """
    counts = Torture(count=1500, kills=10, longest=1.0, qps=300).run(tmp_path)
    assert counts[Outcome.ADOPTED] > 0, "no kill met a request in flight: the test shows nothing"


SLOW = {"rules": [{"action": "CreateSecret", "fault": "delay", "delay_ms": 300}]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_settles_what_is_in_flight_and_resumes(
    tmp_path: Path, number: signal.Signals
) -> None:
    """One signal: no more sends, answers on the way are kept, exit 130; the next run does the rest."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with served(tmp_path / "kms", SLOW) as endpoint:
        command = ["apply", manifest, "--endpoint", endpoint, "--qps", 40, "--output", "json"]
        process = start(*command, cwd=tmp_path)
        _wait_for_claims(tmp_path / "m.ledger.db")
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
        summary = json.loads(output)
        assert process.returncode == summary["exit_code"] == 130, errors
        assert "to resume:" in errors
        assert summary["stopped_by"] == f"interrupted by {number.name}"
        assert summary["outcomes"]["created"] == summary["attempts"] > 0
        assert summary["outcomes"]["pending"] == 60 - summary["attempts"]
        assert_audited(tmp_path / "m.ledger.db")
        second = bulkseed(*command, cwd=tmp_path)
        assert second.returncode == 0, second.stderr
        assert json.loads(second.stdout)["outcomes"]["created"] == 60


def test_a_second_signal_ends_the_run_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Answers do not come: the second Ctrl-C does not wait; the next run adopts what arrived."""
    rule = {"action": "CreateSecret", "requests": list(range(1, 13)), "fault": "drop-after", "delay_ms": 3000}
    stuck = {"rules": [rule]}
    manifest = write_manifest(tmp_path / "m.jsonl", simple(12))
    with served(tmp_path / "kms", stuck) as endpoint:
        command = ["apply", manifest, "--endpoint", endpoint, "--qps", 100, "--output", "json"]
        process = start(*command, cwd=tmp_path)
        _wait_for_claims(tmp_path / "m.ledger.db")
        time.sleep(0.3)  # real requests of another process reach a service that keeps them for 3 s
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "again to stop now" not in process.stderr.readline():
            assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
        assert time.monotonic() - began < 2.0
        assert process.returncode == 130
        assert "Traceback" not in errors + output
        assert_audited(tmp_path / "m.ledger.db")
        time.sleep(3.0)  # the time for which the service keeps what was in flight
        second = bulkseed(*command, cwd=tmp_path)
        assert second.returncode == 0, second.stderr
        outcomes = json.loads(second.stdout)["outcomes"]
        assert outcomes["created"] + outcomes["adopted"] == 12
        assert outcomes["adopted"] > 0
    assert {row.outcome for row in rows_of(tmp_path / "m.ledger.db")} <= {Outcome.CREATED, Outcome.ADOPTED}


def _wait_for_claims(ledger: Path) -> None:
    """Wait until the run has begun to send."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if ledger.exists() and Path(f"{ledger}-wal").exists():
            with suppress(LedgerError):  # it is being made
                if rows_of(ledger):
                    return
        time.sleep(0.02)  # another process's file is looked at from outside
    raise AssertionError("the run did not begin")
