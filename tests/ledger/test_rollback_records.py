"""What a rollback reads of a ledger and writes to it, act by act, without a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import LIMITS, START, attempt, definition, new_ledger, settlement

from bulkseed.ledger import Creation, Ledger
from bulkseed.ledger.rollbacks import (
    OwnedRow,
    Rollbacks,
    forecast,
    had_version,
    is_rolled_back,
    put_back,
    rolled_back,
)
from bulkseed.model import Outcome
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome

DELETED = RollbackEnd(RollbackOutcome.DELETED, status=200, request_id="r-1")
GONE = RollbackEnd(RollbackOutcome.GONE)
CHANGED = RollbackEnd(RollbackOutcome.CHANGED, "it was updated")
FAILED = RollbackEnd(RollbackOutcome.FAILED, "may not", "Forbidden", 403)
PENDING = RollbackEnd(RollbackOutcome.PENDING)
RESTORED = RollbackEnd(RollbackOutcome.RESTORED, "v1 is in force again", status=200, request_id="r-2")
DATED = "2027-01-15T08:00:00Z"


def micro(later: float) -> int:
    """Return so many seconds after the start, as the ledger has it."""
    return round((START + later) * 1e6)


MADE, SENT = micro(1.25), micro(1)
CREATED = OwnedRow(
    *(1, "a", "v1", "created", MADE, SENT, None, False, False, ("v1",), None, micro(0), 1_700_000_000),
    *("v1", None, False),
)
UPDATED = CREATED._replace(
    version_id="v2",
    outcome="updated",
    made_at=micro(12),
    versions=("v1", "v2"),
    last="v2",
    superseded="v1",
    claimed_at=micro(10),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger: "a", "b" are ours, "c" is somebody else's, "d" was never sent."""
    with new_ledger(tmp_path) as opened:
        opened.begin_run("run-1", [], LIMITS, START)
        block = [definition(name, line) for line, name in enumerate("abcd", 1)]
        a, b, c, d = opened.admit(block, START).to_send
        ends = [settlement(c, Outcome.EXISTING), settlement(d, Outcome.PENDING)]
        made = [Creation(it.row_id, START + 1, 0.25, service_time=1_700_000_000) for it in (a, b)]
        opened.record(ends, [attempt(c, status=409)], made)
        yield opened


def apply(ledger: Ledger, at: float, *names: str, version: str = "v1", end: Outcome | None = None) -> None:
    """Run an apply of some names, which ends so; None: it was killed."""
    ledger.begin_run(f"apply-{at}", [], LIMITS, START + at)
    claims = ledger.admit([definition(name, version=version) for name in names], START + at).to_send
    if end is not None:
        ledger.record([settlement(claim, end, START + at + 2) for claim in claims])


def undoing(ledger: Ledger, at: float, *, values: bool = False) -> Rollbacks:
    """Begin a rollback."""
    ledger.begin_run(f"rollback-{at}", [], LIMITS, START + at, "rollback")
    return Rollbacks(ledger, START + at, restore_values=True) if values else Rollbacks(ledger, START + at)


def on_record(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Return what rollbacks did: of which row, in which run, and the rest."""
    return list(ledger.select("SELECT * FROM rollbacks ORDER BY definition, run"))


def claim_of(ledger: Ledger, row_id: int = 1) -> tuple[Any, ...]:
    """Return a row as it is on disk."""
    columns = "version_id, outcome, settled_at, owned, doubt, message, status, request_id"
    (row,) = ledger.select(f"SELECT {columns} FROM definitions WHERE id = ?", row_id)  # noqa: S608  # our own text
    return tuple(row)


def counted(ledger: Ledger) -> list[tuple[int, int]]:
    """Return how many rows each run has reopened and settled."""
    return [tuple(row) for row in ledger.select("SELECT reopened, settled FROM runs ORDER BY id")]


def kept(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Return the earlier versions."""
    return [tuple(row) for row in ledger.select("SELECT * FROM earlier_versions ORDER BY definition, run")]


AS_MADE = ("v1", "created", MADE, 1, 0, None, 200, None)
CLAIMED = ("v1", "pending", None, 1, 1, None, 200, None)
UNDONE = ("v1", "pending", None, 0, 0, "deleted when it was rolled back", 200, "r-1")


def test_what_is_ours_comes_in_the_order_of_its_ids(ledger: Ledger) -> None:
    """Nothing else comes, and nothing twice."""
    rollbacks = undoing(ledger, 20)
    other = CREATED._replace(row_id=2, name="b")
    assert rollbacks.owned(0, 9) == [CREATED, other]
    assert (rollbacks.owned(0, 1), rollbacks.owned(1, 9), rollbacks.owned(2, 9)) == ([CREATED], [other], [])
    assert forecast(ledger, 1) == (2, 0, 2, [CREATED])
    assert forecast(ledger, 9, restore_values=True) == (0, 0, 4, [])
    assert undoing(ledger, 21, values=True).owned(0, 9) == []
    assert (rolled_back(ledger), put_back(ledger), on_record(ledger)) == (0, 0, [])


def test_a_deletion_is_claimed_and_then_the_secret_is_ours_no_more(ledger: Ledger) -> None:
    """An apply would create it again; no other row is touched."""
    rollbacks = undoing(ledger, 20)
    rollbacks.claim(CREATED, DATED, START + 21)
    claimed = (1, 2, "created", MADE, DATED, micro(21))
    assert on_record(ledger) == [(*claimed, None, None, None, None, None)]
    assert (claim_of(ledger), claim_of(ledger, 2)) == (CLAIMED, AS_MADE)
    assert (counted(ledger)[1], kept(ledger)) == ((1, 0), [(1, 2, "v1")])
    assert (rolled_back(ledger), forecast(ledger, 0)) == (0, (2, 1, 2, []))
    rollbacks.end(CREATED, DELETED, START + 22, claimed=True, doubt=False)
    assert on_record(ledger) == [(*claimed, micro(22), "deleted", None, None, None)]
    assert (claim_of(ledger), claim_of(ledger, 2)) == (UNDONE, AS_MADE)
    assert (counted(ledger)[1], kept(ledger)) == ((1, 0), [(1, -2, "v1")])
    assert (rolled_back(ledger), forecast(ledger, 0)) == (1, (1, 0, 3, []))
    assert [is_rolled_back(ledger, name) for name in "abcd"] == [True, False, False, False]


@pytest.mark.parametrize("end", [Outcome.CREATED, Outcome.PENDING, None])
def test_what_was_rolled_back_counts_until_an_apply_takes_it_up(ledger: Ledger, end: Outcome | None) -> None:
    """However that ended, unless it ended before."""
    rollbacks = undoing(ledger, 20)
    for row in rollbacks.owned(0, 9):
        rollbacks.end(row, GONE, START + 21, claimed=False, doubt=False)
    assert on_record(ledger)[1] == (2, 2, "created", MADE, None, None, micro(21), "gone", None, None, None)
    assert (rolled_back(ledger), counted(ledger)[1]) == (2, (2, 0))
    apply(ledger, 30, "b", end=end)
    not_reached = end is Outcome.PENDING  # nothing was sent of it, so what the rollback did still holds
    assert (rolled_back(ledger), is_rolled_back(ledger, "a")) == (1 + not_reached, True)
    assert is_rolled_back(ledger, "b") == not_reached


@pytest.mark.parametrize(
    ("end", "row", "result"),
    [
        (DELETED, UNDONE, ("deleted", None, None)),
        (CHANGED, AS_MADE, ("changed", None, "it was updated")),
        (FAILED, AS_MADE, ("failed", "Forbidden", "may not")),
    ],
)
def test_a_rollback_that_was_killed_is_taken_up_by_the_next(
    ledger: Ledger, end: RollbackEnd, row: tuple[Any, ...], result: tuple[str | None, ...]
) -> None:
    """It counts as claimed; that it was reopened was counted then, and that it is settled again is now."""
    undoing(ledger, 20).claim(CREATED, DATED, START + 21)
    rollbacks = undoing(ledger, 40)
    (again, other) = rollbacks.owned(0, 9)
    assert again == CREATED._replace(dated=DATED, claimed=True)
    assert (again.in_doubt(restore_values=False), again.in_doubt(restore_values=True)) == (True, False)
    assert (other.claimed, other.reopened, again.reopened) == (False, False, True)
    rollbacks.claim(again, DATED, START + 41)
    rollbacks.end(again, end, START + 42, claimed=True, doubt=False)
    assert on_record(ledger) == [
        (1, 2, "created", MADE, DATED, micro(21), micro(41), "resumed", None, None, None),
        (1, 3, "created", MADE, DATED, micro(41), micro(42), *result, None),
    ]
    assert claim_of(ledger) == row
    assert counted(ledger)[1:] == [(1, 0), (0, int(end is not DELETED))]
    assert kept(ledger) == ([(1, -2, "v1")] if end is DELETED else [])


def test_what_an_apply_took_up_meanwhile_was_overtaken(ledger: Ledger) -> None:
    """The apply found out what became of it; what no apply took up stays open."""
    rollbacks = undoing(ledger, 20)
    first, second = rollbacks.owned(0, 9)
    rollbacks.claim(first, DATED, START + 21)
    rollbacks.claim(second, DATED, START + 22)
    apply(ledger, 30, "a")
    (one, two) = undoing(ledger, 40).owned(0, 9)
    assert [row[5:8] for row in on_record(ledger)] == [
        (micro(21), micro(40), "overtaken"),
        (micro(22), None, None),
    ]
    assert (one.claimed, one.outcome, one.doubtful, two.claimed) == (False, "pending", "v1", True)
    undoing(ledger, 50)
    assert on_record(ledger)[0][6] == micro(40), "that is over"


@pytest.mark.parametrize(
    ("claimed", "doubt", "left"), [(True, False, False), (True, True, True), (False, False, True)]
)
@pytest.mark.parametrize("before", [False, True])
def test_a_deletion_that_was_not_sent_leaves_the_row_as_it_was(
    ledger: Ledger, claimed: bool, doubt: bool, left: bool, before: bool
) -> None:
    """Unless it may have been: then a claim stays open for the next run."""
    row = CREATED
    if before:
        undoing(ledger, 20).claim(row, DATED, START + 21)
        row = undoing(ledger, 30).owned(0, 1)[0]
    rollbacks = undoing(ledger, 40)
    if claimed:
        rollbacks.claim(row, DATED, START + 41)
    rollbacks.end(row, PENDING, START + 42, claimed=claimed, doubt=doubt)
    results = [result for *_, result, _, _, _ in on_record(ledger)]
    if left:
        assert results == ["resumed"] * (before and claimed) + [None] * (before or claimed)
        assert claim_of(ledger) == (CLAIMED if before or claimed else AS_MADE)
    else:
        assert results == [*["resumed"] * before, "unsent"]
        assert claim_of(ledger) == AS_MADE


@pytest.mark.parametrize("end", [CHANGED, FAILED])
def test_what_was_left_alone_before_any_claim_is_only_noted(ledger: Ledger, end: RollbackEnd) -> None:
    """The row says what it said."""
    undoing(ledger, 20).end(CREATED, end, START + 21, claimed=False, doubt=False)
    noted = (None, None, micro(21), end.outcome.value, end.code, end.message, None)
    assert on_record(ledger) == [(1, 2, "created", MADE, *noted)]
    assert (claim_of(ledger), counted(ledger)[1]) == (AS_MADE, (0, 0))


def test_a_version_that_is_in_doubt_is_not_known_to_be_in_force(ledger: Ledger) -> None:
    """What is known is the one before it, and all that were written are ours."""
    apply(ledger, 10, "a", version="v2", end=Outcome.UPDATED)
    apply(ledger, 15, "a", version="v3")
    (row, _) = undoing(ledger, 20).owned(0, 9)
    assert (row.version_id, row.versions, row.doubtful) == ("v2", ("v1", "v2"), "v3")
    assert (row.last, row.superseded, row.outcome, row.made_at) == ("v3", "v2", "pending", micro(15))
    rollbacks = undoing(ledger, 30)
    rollbacks.claim(row, DATED, START + 31)
    rollbacks.end(row, CHANGED, START + 32, claimed=True, doubt=False)
    assert claim_of(ledger)[:5] == ("v3", "pending", None, 1, 1), "it is in doubt still"
    assert (counted(ledger)[-1], kept(ledger)) == ((0, 0), [(1, 2, "v1"), (1, 3, "v2")])


def test_what_was_taken_back_from_its_delete_window_is_known_to_be(ledger: Ledger) -> None:
    """By an apply of this ledger, after a rollback that deleted it."""
    rollbacks = undoing(ledger, 20)
    first, second = rollbacks.owned(0, 9)
    rollbacks.end(first, DELETED, START + 21, claimed=False, doubt=False)
    rollbacks.end(second, GONE, START + 22, claimed=False, doubt=False)
    apply(ledger, 30, "a", "b", end=Outcome.ADOPTED)
    assert [row.taken_back for row in undoing(ledger, 40).owned(0, 9)] == [True, False]


@pytest.mark.parametrize(("restored", "versions"), [(True, ("v1", "v2", "v3")), (False, ("v3",))])
def test_what_was_taken_back_is_ours_with_all_its_versions(
    restored: bool, versions: tuple[str, ...], ledger: Ledger
) -> None:
    """Even where other versions were asked for meanwhile; one that was made anew has none but its own."""
    apply(ledger, 10, "a", version="v2", end=Outcome.UPDATED)
    rollbacks = undoing(ledger, 20)
    row = rollbacks.owned(0, 1)[0]
    rollbacks.claim(row, DATED, START + 21)
    rollbacks.end(row, DELETED, START + 22, claimed=True, doubt=False)
    apply(ledger, 30, "a", version="v4", end=Outcome.REJECTED)
    ledger.begin_run("apply", [], LIMITS, START + 40)
    (claim,) = ledger.admit([definition("a", version="v3")], START + 40).to_send
    assert (claim.deleted, claim.deleted_version, claim.held) == (DATED, "v2", None)
    if restored:
        ledger.mark_held(claim.row_id, "v2", None)
        ledger.record([settlement(claim, Outcome.UPDATED, START + 41)])
    else:
        ledger.record([], [], [Creation(claim.row_id, START + 41, 0.25)])
    assert undoing(ledger, 50).owned(0, 1)[0].versions == versions
    assert had_version(ledger, "a", "v1") is restored


def test_what_was_updated_gets_its_version_back_once(ledger: Ledger) -> None:
    """The row names it then; the other one is still a version of ours."""
    apply(ledger, 10, "a", version="v2", end=Outcome.UPDATED)
    rollbacks = undoing(ledger, 20, values=True)
    assert rollbacks.owned(0, 9) == [UPDATED]
    assert forecast(ledger, 9, restore_values=True) == (1, 0, 3, [UPDATED])
    rollbacks.claim(UPDATED, DATED, START + 21)
    again = undoing(ledger, 30, values=True)
    (row,) = again.owned(0, 9)
    assert row == UPDATED._replace(dated=DATED, restoring=True)
    assert (row.in_doubt(restore_values=True), row.in_doubt(restore_values=False)) == (True, False)
    assert undoing(ledger, 31).owned(0, 1) == [row], "so a deletion knows, too"
    again = undoing(ledger, 32, values=True)
    again.claim(row, DATED, START + 33)
    again.end(row, RESTORED, START + 34, claimed=True, doubt=False)
    assert on_record(ledger) == [
        (1, 3, "updated", micro(12), DATED, micro(21), micro(33), "resumed", None, None, "v1"),
        (1, 6, "updated", micro(12), DATED, micro(33), micro(34), "restored", None, RESTORED.message, "v1"),
    ]
    assert claim_of(ledger) == ("v1", "updated", micro(12), 1, 0, RESTORED.message, 200, "r-2")
    assert (counted(ledger)[2], counted(ledger)[5]) == ((1, 0), (0, 1))
    assert kept(ledger) == [(1, 2, "v1"), (1, 3, "v2")]
    assert (put_back(ledger), forecast(ledger, 9, restore_values=True)[:2]) == (1, (0, 0))
    assert undoing(ledger, 40, values=True).owned(0, 9) == []
    assert undoing(ledger, 41).owned(0, 1)[0].versions == ("v1", "v2")
    apply(ledger, 50, "a", version="v3", end=Outcome.UPDATED)
    assert (put_back(ledger), forecast(ledger, 9, restore_values=True)[:2]) == (0, (1, 0))


def test_what_was_found_back_in_force_without_a_claim_is_noted_as_that(ledger: Ledger) -> None:
    """Nothing was reopened, and nothing settled."""
    apply(ledger, 10, "a", "b", version="v2", end=Outcome.UPDATED)
    rollbacks = undoing(ledger, 20, values=True)
    rollbacks.end(UPDATED, RESTORED, START + 21, claimed=False, doubt=False)
    assert claim_of(ledger)[:2] == ("v1", "updated")
    assert claim_of(ledger, 2)[:2] == ("v2", "updated")
    assert (counted(ledger)[-1], kept(ledger)) == ((0, 0), [(1, 2, "v1"), (1, 3, "v2"), (2, 2, "v1")])
    assert [row.name for row in rollbacks.owned(0, 9)] == ["b"]


def test_a_way_back_that_came_to_nothing_leaves_the_row_and_its_versions(ledger: Ledger) -> None:
    """Of this secret and of others."""
    apply(ledger, 10, "a", "b", version="v2", end=Outcome.UPDATED)
    rollbacks = undoing(ledger, 20, values=True)
    first, second = rollbacks.owned(0, 9)
    rollbacks.claim(first, DATED, START + 21)
    rollbacks.claim(second, DATED, START + 22)
    rollbacks.end(first, CHANGED, START + 23, claimed=True, doubt=False)
    assert claim_of(ledger)[:5] == ("v2", "updated", micro(12), 1, 0)
    assert kept(ledger) == [(1, 2, "v1"), (2, 2, "v1"), (2, 3, "v2")]
    assert counted(ledger)[-1] == (2, 1)
    assert put_back(ledger) == 0


def test_what_was_never_there_in_another_version_has_none_to_go_back_to(ledger: Ledger) -> None:
    """Whatever versions others have; nor has what conflicts with its new version."""
    apply(ledger, 5, "b", version="v2", end=Outcome.CONFLICT)
    assert undoing(ledger, 7, values=True).owned(0, 9) == []
    apply(ledger, 10, "a", version="v2", end=Outcome.UPDATED)
    undoing(ledger, 20).end(undoing(ledger, 19).owned(1, 1)[0], GONE, START + 21, claimed=False, doubt=False)
    ledger.begin_run("run-30", [], LIMITS, START + 30)
    (claim,) = ledger.admit([definition("b")], START + 30).to_send
    ledger.mark_held(claim.row_id, "v1", None)
    ledger.record([settlement(claim, Outcome.UPDATED)])
    assert kept(ledger)[1:] == [(2, 7, "v1")]
    assert [row.name for row in undoing(ledger, 40, values=True).owned(0, 9)] == ["a"]


def test_a_way_back_that_an_apply_overtook_is_open_no_more(ledger: Ledger) -> None:
    """Also before the next rollback says so."""
    apply(ledger, 10, "a", "b", version="v2", end=Outcome.UPDATED)
    rollbacks = undoing(ledger, 20, values=True)
    for row in rollbacks.owned(0, 9):
        rollbacks.claim(row, DATED, START + 21)
    assert forecast(ledger, 9, restore_values=True)[:2] == (2, 2)
    apply(ledger, 30, "a", version="v2", end=Outcome.UPDATED)
    assert forecast(ledger, 9, restore_values=True)[:2] == (2, 1)
