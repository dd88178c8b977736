"""A run that ends by an error or a second signal still says what it did, or what is on record of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import BULKSEED, KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest
from support.small_disk import limit_files
from support.stub_kms import StubKms
from support.torture import served

from bulkseed.ledger import read_ledger
from bulkseed.model import Outcome, Verified


def interrupt_twice(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Send SIGINT, and again as soon as the first has been heard; return what was printed."""
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    said = ""
    while "again to stop now" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, said + errors
    return output, said + errors


def begun(path: Path, process: subprocess.Popen[str], claimed: str) -> None:
    """Wait until the ledger has what the query finds: the run has claimed, and sends."""
    while True:
        assert process.poll() is None
        if path.exists() and path.stat().st_size:
            with read_ledger(path) as ledger:
                if any(ledger.select(claimed)):
                    return


def assert_adds_up(line: str, ledger: str) -> tuple[int, int]:
    """Look at the line about what is on record; return how many were read, and settled by the run."""
    numbers = re.fullmatch(
        r"on record: (\d+) read = (\d+) settled before \+ (\d+) settled now \+ (\d+) invalid"
        rf" \+ (\d+) not settled; more of it: bulkseed ledger status {re.escape(ledger)}",
        line,
    )
    assert numbers is not None, line
    read, *parts = map(int, numbers.groups())
    assert read == sum(parts)
    return read, parts[1]


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[str]:
    """Serve a KMS that answers five creates and keeps all that comes after for longer than a test takes."""
    late = {"fault": "drop-after", "delay_ms": 20_000}
    rules: list[dict[str, Any]] = [
        {"action": "CreateSecret", "requests": list(range(6, 60)), **late},
        {"action": "GetSecretValue", "requests": list(range(3, 60)), **late},
        {"action": "DeleteSecret", "requests": list(range(3, 60)), **late},
    ]
    with served(tmp_path / "kms", {"rules": rules}, end_with=signal.SIGKILL) as endpoint:
        yield endpoint


@pytest.mark.parametrize("output", ["json", "text"])
def test_a_second_signal_does_not_keep_the_summary_from_being_printed(
    tmp_path: Path, stuck: str, output: str
) -> None:
    """On standard output, as after any run: it adds up and is what the ledger has."""
    manifest = write_manifest(tmp_path / "m.jsonl", [*simple(30), "{}"])
    call = ["apply", manifest, "--endpoint", stuck, "--qps", 100, "--workers", 1, "--output", output]
    process = start(*call, cwd=tmp_path)
    begun(tmp_path / "m.ledger.db", process, "SELECT 1 FROM definitions WHERE outcome = 'created'")
    told, _ = interrupt_twice(process)
    with read_ledger(tmp_path / "m.ledger.db") as ledger:
        run = ledger.last_run()
        created = ledger.counts()[Outcome.CREATED]
    assert run is not None
    assert run.summary is not None
    if output == "json":
        summary = json.loads(told)
        assert summary == run.summary
        assert (summary["exit_code"], summary["stopped_by"]) == (130, "interrupted by SIGINT")
        assert summary["definitions"] == sum(summary["outcomes"].values())
        assert summary["outcomes"]["created"] == created
    else:
        total, terms = re.search(r"^definitions: (\d+) = (.*)$", told, re.MULTILINE).groups()  # type: ignore[union-attr]  # no match is a failure
        assert int(total) == sum(map(int, re.findall(r"\d+", terms))) == run.summary["definitions"]
        assert f"{created} created + " in terms


def test_a_second_signal_to_a_verify_does_not_keep_its_summary_from_being_printed(
    tmp_path: Path, stuck: str
) -> None:
    """It was written, and it is in a verify's own words."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(5))
    call = [manifest, "--endpoint", stuck]
    assert bulkseed("apply", *call, "--qps", 0, cwd=tmp_path).returncode == 0
    process = start("verify", *call, "--qps", 5, "--output", "json", cwd=tmp_path)
    ledger = tmp_path / "m.verify.db"
    begun(ledger, process, "SELECT 1 FROM definitions WHERE outcome = 'identical'")
    told, _ = interrupt_twice(process)
    summary = json.loads(told)
    assert list(summary["results"]) == [result.value for result in Verified]
    assert summary["definitions"] == sum(summary["results"].values())


def test_a_second_signal_to_a_rollback_does_not_keep_its_summary_from_being_printed(
    tmp_path: Path, stuck: str
) -> None:
    """Every secret of the ledger has its result in it."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(5))
    assert bulkseed("apply", manifest, "--endpoint", stuck, "--qps", 0, cwd=tmp_path).returncode == 0
    process = start(
        *("rollback", "m.ledger.db", "--endpoint", stuck, "--yes", "--qps", 5, "--output", "json"),
        cwd=tmp_path,
    )
    sent = (
        "SELECT 1 FROM attempts JOIN runs r ON r.id = run"
        " WHERE command = 'rollback' AND quota_group = 'create'"
    )
    begun(tmp_path / "m.ledger.db", process, sent)
    told, _ = interrupt_twice(process)
    summary = json.loads(told)
    assert summary["definitions"] == sum(summary["results"].values()) == 5
    assert summary["exit_code"] == 130


def test_a_full_disk_leaves_a_line_that_adds_up(tmp_path: Path) -> None:
    """No summary can be written: what was counted until then is told, with the command that shows it."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(900))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        full = subprocess.run(
            [*map(str, (BULKSEED, "apply", manifest, "--endpoint", stub.endpoint, "--qps", 0))],
            cwd=tmp_path,
            env=environment(PYTHONDONTWRITEBYTECODE="1"),  # or the limit cuts the caches of modules
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=limit_files(200),
        )
        sent = len(stub.arrivals)
    assert full.returncode == 4
    assert full.stdout.count("\n") == 2, "more than the target and the ledger"
    said, error = full.stderr.splitlines()
    assert "its disk may be full" in error
    read, settled = assert_adds_up(said, "m.ledger.db")
    with read_ledger(tmp_path / "m.ledger.db") as ledger:
        assert settled == ledger.counts()[Outcome.CREATED]
        assert len(list(ledger.rows())) == read >= sent


def test_an_error_before_the_run_says_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    """What is on record of a run is told by that run alone."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint, "--qps", 0]
        assert bulkseed(*call, cwd=tmp_path).returncode == 0
        taken = start(*call, "--metrics-port", stub.endpoint.rpartition(":")[2], cwd=tmp_path)
        output, errors = taken.communicate(timeout=120)
    assert taken.returncode not in {0, 130}
    assert "on record" not in errors
    assert "definitions" not in output
