"""What a reader gets: rows, counts, runs, in the shapes that scripts rely on."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import quote

from support.ledgers import (
    LIMITS,
    START,
    attempt,
    definition,
    definitions,
    new_ledger,
    settlement,
    summary,
    told_by,
    whole_run,
)  # fmt: skip

from bulkseed.ledger import Settlement, iso, read_ledger, row_as_dict
from bulkseed.ledger.reader import BLOCK
from bulkseed.ledger.rollbacks import _OWNED, _UPDATED
from bulkseed.ledger.settled_names import settled_names
from bulkseed.model import InvalidLine, Origin, Outcome, Verified


def test_a_row_as_scripts_see_it(tmp_path: Path) -> None:
    """Keys, order and time format of a row are a promise."""
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        (claim,) = ledger.admit([definition("a", 118)], START).to_send
        ledger.record(
            [settlement(claim, at=START + 2.000001, status=200, request_id="r", arn="arn")],
            [attempt(claim, START + 1.123456)],
        )
        row = ledger.find("a")
    assert row is not None
    assert list(row_as_dict(row).items()) == [
        ("secret_name", "a"),
        ("version_id", "v1"),
        ("outcome", "created"),
        ("code", None),
        ("message", None),
        ("status", 200),
        ("request_id", "r"),
        ("arn", "arn"),
        ("attempts", 1),
        ("manifest", "prod.jsonl"),
        ("line", 118),
        ("first_sent_at", "2025-11-24T16:00:01.123456Z"),
        ("settled_at", "2025-11-24T16:00:02.000001Z"),
        ("run_id", "run-1"),
    ]


def test_a_time_that_never_was() -> None:
    """What did not happen has no time."""
    assert iso(None) is None


def test_rows_come_in_the_order_of_the_manifest_and_can_be_chosen(tmp_path: Path) -> None:
    """Definitions first, then invalid lines; outcomes filter both."""
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        bad = InvalidLine(Origin("prod.jsonl", 2), ("no SecretData",))
        one, two, _ = ledger.admit([definition("c"), bad, definition("a"), definition("b")], START).to_send
        ledger.record([settlement(one), settlement(two, Outcome.REJECTED)])
        assert [row.name for row in ledger.rows()] == ["c", "a", "b", None]
        assert [row.name for row in ledger.rows([Outcome.REJECTED, Outcome.INVALID])] == ["a", None]
        assert [row.name for row in ledger.rows([Outcome.CREATED])] == ["c"]
        assert not list(ledger.rows([]))
        counts = {outcome: count for outcome, count in ledger.counts().items() if count}
    assert counts == dict.fromkeys([Outcome.CREATED, Outcome.REJECTED, Outcome.PENDING, Outcome.INVALID], 1)


def test_runs_and_status(tmp_path: Path) -> None:
    """A run is remembered with its limits, its summary and its end; status shows the last one."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(2))
        ledger.begin_run("run-2", [], {}, START + 60, "rollback")
        first, second = ledger.runs()
    assert (first.run_id, first.command, first.limits, first.exit_code) == (
        "run-1",
        "apply",
        {"create": 10.0},
        0,
    )
    assert (first.started_at, first.ended_at, first.summary) == (
        START, START + 0.4, summary({Outcome.CREATED: 2}, 2),
    )  # fmt: skip
    with read_ledger(ledger.path) as reader:
        status = reader.status()
    assert (status.last_run, status.runs, status.in_doubt) == (second, 2, 0)
    assert (second.command, second.ended_at, second.pid, second.host) == (
        "rollback", None, os.getpid(), os.uname().nodename,
    )  # fmt: skip
    assert (status.target.binding, status.target.region) == ("kms.cn-hangzhou.aliyuncs.com", "cn-hangzhou")


def test_what_a_verify_found_behind_is_not_settled(tmp_path: Path) -> None:
    """Its ledger has the words of a verify: "behind" is one of an apply, too, and settled there."""
    found = {"a": Verified.BEHIND, "b": Verified.IDENTICAL, "c": Verified.MISSING}
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START, "verify")
        claims = ledger.admit([definition(name) for name in found], START).to_send
        ledger.record([Settlement(claim.row_id, found[claim.definition.name], START + 1) for claim in claims])
        assert [(row.name, row.outcome, row.outcome.settled) for row in ledger.rows()] == [
            (name, outcome, name == "b") for name, outcome in found.items()
        ]
        assert {outcome for outcome, count in ledger.counts().items() if outcome.settled and count} == {
            Verified.IDENTICAL
        }
        assert list(ledger.settled_of(str(claims[0].definition.origin.manifest))) == ["b"]
        with settled_names(ledger) as names:
            assert names.all() == ["b"]
        ledger.begin_run("run-2", [], LIMITS, START + 2, "verify")
        again = ledger.admit([definition(name) for name in found], START + 2)
        assert ([claim.definition.name for claim in again.to_send], again.settled) == (
            ["a", "c"],
            {Verified.IDENTICAL: 1},
        )


def test_attempts_of_a_run(tmp_path: Path) -> None:
    """Send times, latencies and codes of one run or of all."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(2))
        whole_run(ledger, definitions(3), "run-2", now=START + 60)
        assert [(a.run_id, a.group, a.sent_at, a.latency, a.status) for a in ledger.attempts("run-2")] == [
            ("run-2", "create", START + 60, 0.02, 200)
        ]
        assert len(list(ledger.attempts())) == 3


def test_an_unknown_name_has_no_row(tmp_path: Path) -> None:
    """Finding nothing is no error."""
    with new_ledger(tmp_path) as ledger:
        assert ledger.find("nobody") is None


def test_no_value_reaches_the_ledger(tmp_path: Path) -> None:
    """No file of the ledger holds a value, raw, percent-encoded or in base64, whatever becomes of it."""
    value = "canary +~% value\n" * 40
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        block = [definition(f"s{i}", i, value=value) for i in range(50)]
        claims = ledger.admit([*block, *block], START).to_send
        ledger.record([settlement(claim, outcome) for claim, outcome in zip(claims, Outcome, strict=False)])
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    content += ledger.path.read_bytes()
    piece = value[:17]
    for form in (piece, quote(piece), base64.b64encode(value[:15].encode()).decode()):
        assert form.encode() not in content


def test_memory_does_not_grow_with_the_manifest(tmp_path: Path) -> None:
    """Of 100,000 definitions nothing is kept for each: not a name in first run, resume and reading."""
    small, large = map(int, told_by("grow", tmp_path / "prod.ledger.db").split())
    assert large - small < 2_000_000


def test_h12_what_is_committed_reaches_the_disk_on_macos_too(tmp_path: Path) -> None:
    """There fsync alone leaves data in the drive's cache; SQLite keeps the pragmas on any system (H12)."""
    with new_ledger(tmp_path) as ledger:
        assert ledger.one("PRAGMA fullfsync") == ledger.one("PRAGMA checkpoint_fullfsync") == 1


def test_h20_a_block_of_a_rollback_does_not_scan_the_rows_after_it(tmp_path: Path) -> None:
    """Rows come in the order of their ids; nothing is sorted, and other tables are searched (H20)."""
    with new_ledger(tmp_path) as ledger:
        for query in (_OWNED, _UPDATED):
            plan = [step for *_, step in ledger.connection.execute(f"EXPLAIN QUERY PLAN {query}", (0, 64))]
            assert plan[0] == "SEARCH claims USING INTEGER PRIMARY KEY (rowid>?)", plan
            assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step], plan
            assert not [step for step in plan if step.startswith("SCAN") and "claims" in step], plan


def test_h22_a_slow_reader_does_not_hold_the_log_back(tmp_path: Path) -> None:
    """Between two blocks it has no snapshot open, so the whole log can be taken in (H22)."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(BLOCK + 10))
        with read_ledger(ledger.path) as reader:
            rows = reader.rows()
            next(rows)
            busy, *_ = ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert (busy, sum(1 for _ in rows)) == (0, BLOCK + 9)
