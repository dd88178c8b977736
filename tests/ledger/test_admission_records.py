"""What a block of entries leaves on disk, and what its claims say, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import LIMITS, START, attempt, definition, definitions, new_ledger, settlement

from bulkseed.ledger import Admission, Claim, Creation, Ledger, TakeUp
from bulkseed.ledger.rollbacks import Rollbacks
from bulkseed.model import InvalidLine, ManifestEntry, Origin, Outcome
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome

COUNTED = "SELECT read, known, claimed, unsent, invalid, added, reopened FROM runs ORDER BY id DESC LIMIT 1"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger whose "a" and "b" were created and "c" was there before."""
    with new_ledger(tmp_path) as opened:
        opened.begin_run("run-1", [], LIMITS, START)
        a, b, c = opened.admit([definition(name, line) for line, name in enumerate("abc", 1)], START).to_send
        made = [Creation(it.row_id, START + 1, 0.25, "r", "arn", 1_700_000_000) for it in (a, b)]
        opened.record([settlement(c, Outcome.EXISTING, status=409)], [attempt(c, status=409)], made)
        yield opened


def run(ledger: Ledger, at: float, *entries: ManifestEntry, claim: bool = True, **again: Any) -> Admission:
    """Begin a run that reads these entries."""
    ledger.begin_run(f"run at {at}", [], LIMITS, START + at, again=TakeUp(**again))
    return ledger.admit(entries, START + at, claim=claim)


def claimed(ledger: Ledger, at: float, name: str = "a", version: str = "v1", **again: Any) -> Claim:
    """Begin a run that takes up one definition again."""
    (claim,) = run(ledger, at, definition(name, "abc".index(name) + 1, version=version), **again).to_send
    return claim


def undo(ledger: Ledger, at: float, name: str, dated: str, outcome: RollbackOutcome) -> None:
    """Roll one secret back, which ends so."""
    ledger.begin_run(f"rollback at {at}", [], LIMITS, START + at, "rollback")
    rollbacks = Rollbacks(ledger, START + at)
    (row,) = [row for row in rollbacks.owned(0, 9) if row.name == name]
    rollbacks.claim(row, dated, START + at)
    rollbacks.end(row, RollbackEnd(outcome), START + at, claimed=True, doubt=False)


def test_a_run_counts_what_it_reads(ledger: Ledger) -> None:
    """Block after block: known, claimed, invalid, added, reopened; and after a stop what was left unsent."""
    bad = [InvalidLine(Origin("prod.jsonl", line), ("bad",)) for line in (8, 9)]
    first: list[ManifestEntry] = [
        definition("a", 1),
        definition("b", 2, version="v2"),
        definition("c", 3),
        *bad,
    ]
    admission = run(ledger, 10, *first, *definitions(3, first=10), definition("a", 20))
    assert (len(admission.to_send), admission.unsent) == (4, 0)
    assert next(ledger.select(COUNTED)) == (9, 2, 4, 0, 3, 3, 1)
    ledger.admit([*definitions(2, first=30), *bad], START + 11)
    assert next(ledger.select(COUNTED)) == (13, 2, 6, 0, 5, 5, 1)
    ledger.admit(definitions(3, first=40), START + 12, claim=False)
    assert next(ledger.select(COUNTED)) == (16, 2, 6, 3, 5, 8, 1)
    ledger.admit(definitions(1, first=50), START + 12, claim=False)
    assert next(ledger.select(COUNTED)) == (17, 2, 6, 4, 5, 9, 1)


@pytest.mark.parametrize("follow", [True, False])
def test_what_is_known_is_counted_by_how_it_ended(ledger: Ledger, follow: bool) -> None:
    """One by one; of ours what is behind is known as that."""
    version = "v1" if follow else "v2"
    entries = [definition(name, line, version=version) for line, name in enumerate("ab", 1)]
    ended = Outcome.CREATED if follow else Outcome.BEHIND
    assert run(ledger, 10, *entries, definition("c", 3), follow=follow).settled == {
        ended: 2,
        Outcome.EXISTING: 1,
    }


@pytest.mark.parametrize("own", [True, False])
def test_what_was_compared_is_no_reason_to_leave_another_end_alone(ledger: Ledger, own: bool) -> None:
    """A row that says "identical" was compared by the run that said so, and is compared by each that asks."""
    name = "a" if own else "c"
    claim = claimed(ledger, 10, name, version="v2")
    ledger.record([settlement(claim, Outcome.IDENTICAL)])
    again = TakeUp(reopen=[Outcome.IDENTICAL])
    for number in (1, 2):
        ledger.begin_run(f"run {number}", [], LIMITS, START + 20, again=again)
        line = definition(name, "abc".index(name) + 1, version="v2")
        claims = ledger.admit([line], START + 20).to_send
        assert len(claims) == (not own), "what is ours is not compared"
        ledger.record([settlement(claim, Outcome.IDENTICAL) for claim in claims])


def test_the_version_that_is_held_is_the_last_that_was_ours(ledger: Ledger) -> None:
    """Of this secret: while the next one is under way."""
    ledger.record([settlement(claimed(ledger, 10, version="v2"), Outcome.UPDATED)])
    ledger.record([settlement(claimed(ledger, 20, "b", version="w2"), Outcome.UPDATED)])
    assert claimed(ledger, 30, version="v3").held == "v2"
    assert claimed(ledger, 40, version="v3").held == "v2"
    assert claimed(ledger, 50, "b", version="w3").held == "w2"
    assert claimed(ledger, 60, "c", version="x2").held is None


def test_what_a_rollback_deleted_is_known_by_when_it_was_created(ledger: Ledger) -> None:
    """The latest deletion counts, of this secret; not one that was none, nor where it is ours again."""
    undo(ledger, 10, "b", "of b", RollbackOutcome.DELETED)
    undo(ledger, 11, "a", "left alone", RollbackOutcome.CHANGED)
    assert claimed(ledger, 12, version="v2").deleted is None
    undo(ledger, 13, "a", "first", RollbackOutcome.DELETED)
    claim = claimed(ledger, 14, version="v2")
    assert (claim.deleted, claim.deleted_version, claim.held) == ("first", "v2", None)
    ledger.record([settlement(claim, Outcome.CREATED)])
    claim = claimed(ledger, 15, version="v3")
    assert (claim.deleted, claim.deleted_version, claim.held) == (None, None, "v2")
    assert claimed(ledger, 16, version="v3").deleted is None, "it is ours"
    undo(ledger, 17, "a", "second", RollbackOutcome.DELETED)
    assert claimed(ledger, 18, version="v3").deleted == "second"
    claim = claimed(ledger, 19, version="v3")
    ledger.record([settlement(claim, Outcome.EXISTING)])
    assert claimed(ledger, 20, version="v4").deleted is None, "it was found to be somebody else's"


def test_what_is_gone_is_begun_anew(ledger: Ledger) -> None:
    """Nothing of the one before stays, and no other row is touched."""
    claim = claimed(ledger, 10, "c", version="v2")
    ledger.mark_foreign(claim.row_id)
    answer: dict[str, Any] = {"code": "c", "message": "m", "status": 409, "request_id": "r", "arn": "arn"}
    ledger.record([settlement(claim, Outcome.EXISTING, **answer)], [], [])
    ledger.record([settlement(claimed(ledger, 15, "a", "v2"), Outcome.UPDATED)])
    for name, version in (("a", "v2"), ("c", "v2")):
        claim = claimed(ledger, 20 + ord(name), name, version, gone=[name])
        assert claim == Claim(claim.definition, claim.row_id)
        found = ledger.select(
            "SELECT outcome, doubt, owned, is_foreign, service_time, arn, request_id, code, message, status"
            " FROM definitions WHERE id = ?",
            claim.row_id,
        )
        assert list(found) == [("pending", 1, 0, 0, *[None] * 6)]
        assert next(ledger.select(COUNTED))[-1] == 1
        again = claimed(ledger, 30 + ord(name), name, version)
        assert (again.held, again.doubt_since) == (None, START + 20 + ord(name)), "nor in the next run"
    assert ledger.one("SELECT sum(owned) FROM definitions") == 1


def test_what_is_foreign_is_told_to_whoever_takes_it_up(ledger: Ledger) -> None:
    """Also when it was, once more, not answered."""
    claim = claimed(ledger, 10, "c", version="v2")
    assert not claim.foreign
    ledger.mark_foreign(claim.row_id)
    assert [claimed(ledger, at, "c", version="v2").foreign for at in (20, 30)] == [True, True]


def test_what_is_only_accounted_for_keeps_the_time_of_its_claim(ledger: Ledger) -> None:
    """Nothing is sent for it."""
    ledger.record([settlement(claimed(ledger, 10, "c", version="v2"), Outcome.REJECTED)])
    run(ledger, 20, definition("c", 3, version="v2"), claim=False)
    found = ledger.select("SELECT claimed_at, doubt FROM definitions WHERE name = 'c'")
    assert next(found) == (round((START + 10) * 1e6), 0)


def test_a_line_that_moved_is_told_where_it_is_now(ledger: Ledger) -> None:
    """Also to whoever reads it twice."""
    admission = run(ledger, 10, definition("a", 7), definition("a", 8))
    assert "at prod.jsonl:7" in str(admission.invalid[0].reasons)
    row = ledger.find("a")
    assert row is not None
    assert (row.manifest, row.line) == ("prod.jsonl", 7)


@pytest.mark.parametrize(
    ("source", "again", "same"),
    [
        ("prod.jsonl", str(Path("prod.jsonl").resolve()), True),
        ("prod.jsonl", "other.jsonl", False),
        ("-", "-", True),
        ("-", str(Path("-").resolve()), False),
        ("vault://kv/app", "vault://kv/app", True),
        ("vault://kv/app", str(Path("vault://kv/app").resolve()), False),
    ],
)
def test_one_source_by_any_name_is_one(tmp_path: Path, source: str, again: str, same: bool) -> None:
    """A path is as good as another that leads there; standard input and stores have one name each."""
    with new_ledger(tmp_path) as ledger:
        run(ledger, 10, InvalidLine(Origin(source, 1), ("bad",)))
        run(ledger, 20, definition("x", 1, manifest=again))
        assert len(list(ledger.rows([Outcome.INVALID]))) == (not same)


def test_an_invalid_line_is_forgotten_at_its_place_alone(ledger: Ledger) -> None:
    """And not what this run found there, nor what another source has."""
    bad = [InvalidLine(Origin(source, line), ("bad",)) for source in ("one", "two") for line in (1, 2)]
    run(ledger, 10, *bad)
    run(ledger, 20, bad[0], definition("x", 2, manifest="two"))
    ledger.admit([InvalidLine(Origin("one", 1), ("bad again",))], START + 21)
    found = [(row.manifest, row.line, row.message) for row in ledger.rows([Outcome.INVALID])]
    assert found == [("one", 2, "bad"), ("two", 1, "bad"), ("one", 1, "bad"), ("one", 1, "bad again")]


def test_what_all_is_read_forgets_what_earlier_runs_found_in_it(ledger: Ledger) -> None:
    """Of the sources that the run named, at its end."""
    run(ledger, 10, *(InvalidLine(Origin(source, 1), ("bad",)) for source in ("one", "two")))
    ledger.begin_run("last", ["one"], LIMITS, START + 20)
    ledger.admit([InvalidLine(Origin("one", 5), ("bad",))], START + 20)
    assert len(list(ledger.rows([Outcome.INVALID]))) == 3
    ledger.admit([], START + 21, last=True)
    assert [(row.manifest, row.line) for row in ledger.rows([Outcome.INVALID])] == [("two", 1), ("one", 5)]


def test_a_doubt_about_an_older_version_stays_about_that_one(ledger: Ledger) -> None:
    """Until it is the one that is wanted again."""
    assert claimed(ledger, 10, version="v2").doubt_version is None
    assert claimed(ledger, 20, version="v3").doubt_version == "v2"
    assert claimed(ledger, 30, version="v4").doubt_version == "v2"
    claim = claimed(ledger, 40, version="v2")
    assert (claim.doubt_version, claim.doubt_since) == (None, START + 10)
    assert claimed(ledger, 50, version="v2").doubt_version is None
