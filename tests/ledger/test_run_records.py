"""What a run puts on record of itself, and what the next one is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ledgers import LIMITS, START, attempt, definition, definitions, new_ledger, settlement

from bulkseed.errors import LedgerError
from bulkseed.ledger import Creation, Ledger
from bulkseed.ledger.reader import Tally
from bulkseed.model import InvalidLine, Origin, Outcome, QuotaGroup
from bulkseed.policy.moments import Era

HERE = Era("boot", 0.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger without a run."""
    with new_ledger(tmp_path) as opened:
        yield opened


def begin(ledger: Ledger, at: float, era: Era = HERE) -> float | None:
    """Begin a run; return since when the one before it cannot have sent, in seconds after the start."""
    until = ledger.begin_run(f"run at {at}", [], LIMITS, START + at, era=era)
    return None if until is None else until - START


@pytest.mark.parametrize(
    ("lent", "era", "until"),
    [
        ([], HERE, 30.0),
        ([15.0], HERE, 45.0),
        ([15.0, 4.5], HERE, 34.5),
        ([15.0, None], HERE, 30.0),
        ([15.0], Era("another", 0.0), 45.0),
    ],
)
def test_a_run_that_was_killed_may_have_sent_until_now(
    ledger: Ledger, lent: list[float | None], era: Era, until: float
) -> None:
    """And one that was lent for as long after its command as it said last."""
    assert begin(ledger, 0) is None
    for seconds in lent:
        ledger.lend(seconds)
    assert ledger.known_target().region == "cn-hangzhou", "nothing else is forgotten"
    assert begin(ledger, 30, era) == until


@pytest.mark.parametrize(
    ("era", "until"), [(HERE, 10.25), (Era("boot", 100.0), 110.25), (Era("another", 0.0), 30.0)]
)
def test_a_run_that_ended_sent_until_then(ledger: Ledger, era: Era, until: float) -> None:
    """As the clock of the next one counts; where none tells, it was just now. The last run counts."""
    begin(ledger, 0)
    ledger.end_run({}, 0, None, START + 5)
    begin(ledger, 6)
    ledger.end_run({}, 0, None, START + 10.25)
    assert begin(ledger, 30, era) == until


def test_rows_are_numbered_without_gaps(ledger: Ledger) -> None:
    """From one on, run after run."""
    begin(ledger, 0)
    first = ledger.admit(definitions(2), START).to_send
    begin(ledger, 10)
    new = ledger.admit([definition("a"), definition("secret-000002", 2)], START + 10).to_send
    begin(ledger, 20)
    last = ledger.admit([definition("b")], START + 20).to_send
    assert [claim.row_id for claim in (*first, *new, *last)] == [1, 2, 3, 2, 4]


def test_what_was_invalid_is_forgotten_only_where_there_was_something(ledger: Ledger) -> None:
    """One line is enough."""
    begin(ledger, 0)
    ledger.admit([InvalidLine(Origin("prod.jsonl", 1), ("bad",))], START)
    begin(ledger, 10)
    ledger.admit([definition("a", 1)], START + 10)
    assert not list(ledger.rows([Outcome.INVALID]))


def test_attempts_are_counted_for_their_rows_and_for_the_run(ledger: Ledger) -> None:
    """With an end, without one, or given back; as they come."""
    begin(ledger, 0)
    one, two, three, four, five = ledger.admit(definitions(5), START).to_send
    both = [attempt(two, START + 3, 500), attempt(two, START + 1, 500)]
    ends = [settlement(two, Outcome.REJECTED), settlement(three, Outcome.PENDING, doubt=True)]
    ends.append(settlement(five, Outcome.EXISTING))
    made = [Creation(four.row_id, START + 4, 0.25)]
    ledger.record(ends, [attempt(one), *both, attempt(three)], made)
    ledger.record([], [attempt(one, START + 0.5)])
    columns = "attempts, first_sent_at, outcome, doubt, owned"
    assert list(ledger.select(f"SELECT {columns} FROM definitions ORDER BY id")) == [  # noqa: S608
        (2, round((START + 1) * 1e6), "pending", 1, 0),
        (2, round((START + 3) * 1e6), "rejected", 0, 0),
        (1, round((START + 1) * 1e6), "pending", 1, 0),
        (1, round((START + 4) * 1e6), "created", 0, 1),
        (0, None, "existing", 0, 0),
    ]
    assert list(ledger.select("SELECT settled, attempts FROM runs")) == [(2, 6)]
    begin(ledger, 20)
    (claim,) = ledger.admit(definitions(1), START + 20).to_send
    ledger.record([settlement(claim, Outcome.ADOPTED)], [attempt(claim, START + 21, lane=QuotaGroup.READ)])
    found = ledger.select(f"SELECT {columns} FROM definitions WHERE id = 1")  # noqa: S608
    assert next(found) == (3, round((START + 1) * 1e6), "adopted", 0, 1)
    assert list(ledger.select("SELECT settled, attempts FROM runs")) == [(2, 6), (1, 1)]


@pytest.mark.parametrize("again", ["an end", "a return", "a creation"])
def test_one_that_is_settled_twice_takes_all_others_back_with_it(ledger: Ledger, again: str) -> None:
    """However many there are of the other kinds."""
    begin(ledger, 0)
    done, one, two, three, four = ledger.admit(definitions(5), START).to_send
    ledger.record([settlement(done, Outcome.EXISTING)])
    ends = [settlement(one, Outcome.EXISTING), settlement(two, Outcome.PENDING)]
    made = [Creation(three.row_id, START + 1, 0.25), Creation(four.row_id, START + 1, 0.25)]
    if again == "a creation":
        made.append(Creation(done.row_id, START + 1, 0.25))
    else:
        ends.append(settlement(done, Outcome.PENDING if again == "a return" else Outcome.EXISTING))
    with pytest.raises(LedgerError, match="settled twice"):
        ledger.record(ends, [], made)
    assert [row.outcome for row in ledger.rows()] == [Outcome.EXISTING, *[Outcome.PENDING] * 4]
    ledger.record(ends[:2], [], made[:2])
    assert ledger.counts()[Outcome.CREATED] == 2


def test_what_is_marked_is_that_row_alone_and_only_while_it_is_pending(ledger: Ledger) -> None:
    """Foreign, held, and without a doubt about another version."""
    begin(ledger, 0)
    one, two, three = ledger.admit(definitions(3), START).to_send
    ledger.record([settlement(three, Outcome.EXISTING)])
    begin(ledger, 10)
    ledger.admit([definition(f"secret-00000{i}", i, version="v2") for i in (1, 2)], START + 10)
    ledger.mark_foreign(two.row_id)
    ledger.mark_held(one.row_id, "v1", None, 1_700_000_000.75)
    ledger.mark_held(three.row_id, "v0", START + 11, 1_700_000_000.75)
    columns = "owned, is_foreign, service_time, doubt_version, claimed_at, claimed_service"
    found = f"SELECT {columns} FROM definitions ORDER BY id"  # noqa: S608  # our own text
    began = round(START * 1e6)
    first, second, third = ledger.select(found)
    assert first == (1, 0, 1_700_000_000, "v1", began, 0)
    assert second == (0, 1, None, "v1", began, 0)
    assert third == (0, 0, None, None, began, None)
    ledger.drop_doubt(one.row_id, START + 12, START + 3612)
    assert list(ledger.select(found)) == [
        (1, 0, 1_700_000_000, None, round((START + 12) * 1e6), round((START + 3612) * 1e6)),
        second,
        third,
    ]


def test_what_the_last_run_counted_is_told(ledger: Ledger) -> None:
    """Of the one that goes on, from the same commits as its rows."""
    with pytest.raises(LedgerError, match="has no run"):
        ledger.tally()
    begin(ledger, 0)
    (claim, _) = ledger.admit(definitions(2), START).to_send
    ledger.record([settlement(claim, Outcome.EXISTING)])
    assert ledger.tally() == Tally(read=2, known=0, claimed=2, unsent=0, invalid=0, settled=1)
    begin(ledger, 10)
    assert ledger.tally() == Tally(0, 0, 0, 0, 0, 0)
