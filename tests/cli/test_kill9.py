"""Real processes that are killed or interrupted: nothing is lost, nothing done twice, every row is true."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from support.command import TIMEOUT, bulkseed, environment, read_until, simple, start, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.torture import Torture, assert_audited, rows_of
from support.torture import served as served_with

from bulkseed.model import Outcome


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    """Killed ten times amid faults and jitter, then done: service = manifest, rows = manifest, all true.

    The long form is `benchmarks/soak_kill9.py`.
    """
    counts = Torture(count=1500, kills=10, longest=1.0, qps=300).run(tmp_path)
    assert counts[Outcome.ADOPTED] > 0, "no kill met a request in flight: the test shows nothing"


ROOT = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
EVENTS = ["--log-level", "debug"]
SLOW = {"rules": [{"action": "CreateSecret", "fault": "delay", "delay_ms": 300}]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_settles_what_is_in_flight_and_resumes(
    tmp_path: Path, number: signal.Signals
) -> None:
    """One signal: no more sends, answers on the way are kept, exit 130; the next run does the rest."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with served_with(tmp_path / "kms", SLOW) as endpoint:
        command = ["apply", manifest, "--endpoint", endpoint, "--qps", 40, "--output", "json"]
        process = start(*command, *EVENTS, cwd=tmp_path)
        read_until(process, "run: attempt")
        process.send_signal(number)
        output, errors = process.communicate(timeout=TIMEOUT)
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
    late = {"fault": "drop-after", "delay_ms": 3000}
    (tmp_path / "faults.json").write_text(
        json.dumps({"rules": [{"action": "CreateSecret", "requests": [1, 2, 3, 4, 5, 6], **late}]})
    )
    manifest = write_manifest(tmp_path / "m.jsonl", simple(12))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--faults={tmp_path / 'faults.json'}") as (target, kms):
        to = ["--endpoint", target.endpoint]
        command = ["apply", manifest, *to, "--qps", 100, "--timeout", 600, "--output", "json"]
        process = start(*command, *EVENTS, cwd=tmp_path, env=ROOT)
        read_until(process, "run: attempt")  # the seventh is answered: six are held back
        kms.send_signal(signal.SIGSTOP)  # no answer comes until the run has ended
        try:
            process.send_signal(signal.SIGINT)
            read_until(process, "again to stop now")
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=TIMEOUT)
        finally:
            kms.send_signal(signal.SIGCONT)
        assert process.returncode == 130
        assert "Traceback" not in errors + output
        assert_audited(tmp_path / "m.ledger.db")
        while _exist(tmp_path, *to) + _adopted(tmp_path) < 6:
            pass  # the service has not served yet what it held back
        second = bulkseed(*command, cwd=tmp_path, env=ROOT)
        assert second.returncode == 0, second.stderr
        outcomes = json.loads(second.stdout)["outcomes"]
        assert outcomes["created"] + outcomes["adopted"] == 12
        assert outcomes["adopted"] >= 6


def _exist(folder: Path, *to: str) -> int:
    """Return how many of the names to create the service has."""
    plan = bulkseed("plan", "m.jsonl", "--online", *to, cwd=folder, env=ROOT)
    assert "in doubt, as a run was cut off" in plan.stdout
    return int(re.findall(r"at the service: (\d+)", plan.stdout)[0])


def _adopted(folder: Path) -> int:
    return sum(row.outcome is Outcome.ADOPTED for row in rows_of(folder / "m.ledger.db"))
