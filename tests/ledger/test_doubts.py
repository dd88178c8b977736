"""What a ledger says of when something was sent whose fate is not known, run after run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.ledgers import LIMITS, START, definition, new_ledger, target

from bulkseed.ledger import Claim, Ledger, open_ledger
from bulkseed.policy.moments import AGREEMENT, Era


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a run going on."""
    with new_ledger(tmp_path) as opened:
        opened.begin_run("run-1", ["prod.jsonl"], LIMITS, START)
        yield opened


def next_run(ledger: Ledger, now: float, era: Era = Era(None, 0.0), name: str = "a") -> Claim:  # noqa: B008
    """Begin another run and return its claim of a definition."""
    ledger.begin_run(f"run at {now} in {era}", [], LIMITS, now, era=era)
    (claim,) = ledger.admit([definition(name)], now).to_send
    return claim


def test_doubt_outlives_a_run(ledger: Ledger) -> None:
    """A claim without an answer comes back with the time of the earliest attempt whose fate is unknown."""
    ledger.admit([definition("a")], START)
    for later in (100.0, 200.0):
        claim = next_run(ledger, START + later)
        assert (claim.doubt_since, claim.dated) == (START, True)


@pytest.mark.parametrize("name", ["that boot", None])
def test_a_claim_that_is_later_than_now_has_no_date(ledger: Ledger, name: str | None) -> None:
    """A machine that was put back to an earlier state: its clock goes on, and counts the same time twice."""
    ledger.begin_run("run-2", [], LIMITS, START, era=Era(name, 0.0))
    ledger.admit([definition("a")], START)
    claim = next_run(ledger, START, Era(name, 0.0))
    assert (claim.dated, claim.doubt_since) == (True, START), "it may be of this moment"
    assert not next_run(ledger, START - 50, Era(name, 0.0)).dated
    assert ledger.one("SELECT claimed_service FROM definitions") == -1
    assert ledger.one("SELECT claimed_at FROM definitions") == round((START - 50) * 1e6)
    assert not next_run(ledger, START + 50, Era(name, 0.0)).dated, "and it never gets one again"


def test_a_doubt_is_known_by_the_clock_of_the_service(ledger: Ledger) -> None:
    """What a run heard first of that clock dates what it had claimed, however often it is taken up (A4)."""
    ledger.admit([definition("a")], START)
    ledger.note_clock(3600.0)
    for now in (START - 9000, START + 9000):
        claim = next_run(ledger, now)
        assert (claim.doubt_service, claim.dated) == (START + 3600, True)
        assert claim.doubt_since == START - 9000, "no claim is later than when it is taken up"
        ledger.note_clock(4000.0)


def test_a_claim_keeps_its_own_time_by_the_clock_of_the_service(ledger: Ledger) -> None:
    """Clocks drift apart in a long run: what was known when it was claimed counts."""
    ledger.note_clock(3600.0)
    ledger.admit([definition("a"), definition("b", 2)], START + 9, START + 3611)
    assert next_run(ledger, START + 20).doubt_service == START + 3611
    ledger.admit([definition("b", 2)], START + 21, START + 3633)
    assert next_run(ledger, START + 30, name="b").doubt_service == START + 3611
    ledger.admit([definition("c", 3)], START + 31, START + 3644)
    ledger.begin_run("the last", [], LIMITS, START + 40)
    (c,) = ledger.admit([definition("c", 3)], START + 40).to_send
    assert c.doubt_service == START + 3644


def test_a_doubt_is_not_dated_by_the_clock_of_another_run(ledger: Ledger) -> None:
    """The run that claimed it heard nothing of the service: what the next one hears says nothing of that."""
    ledger.admit([definition("a")], START)
    for number in (2, 3):
        claim = next_run(ledger, START + number)
        assert (claim.doubt_since, claim.doubt_service) == (START, None)
        ledger.note_clock(4000.0)


@pytest.mark.parametrize("moved", [0.0, 3600.0, -3600.0])
def test_a_clock_that_is_never_set_dates_a_claim_of_an_earlier_run(ledger: Ledger, moved: float) -> None:
    """The wall clock was set between two runs of one boot; nothing was heard of the service's (A2, A4)."""
    ledger.begin_run("run-2", [], LIMITS, START, era=Era("boot", 1e9))
    ledger.admit([definition("a")], START)
    for after in (60.0, 120.0):  # by the clock that is never set
        claim = next_run(ledger, START + moved + after, Era("boot", 1e9 + moved))
        assert (claim.doubt_since, claim.dated) == (START + moved, True)


@pytest.mark.parametrize(
    ("before", "after", "dated"),
    [
        (Era("boot", 100.0), Era("another", 100.0), False),
        (Era("boot", 100.0), Era(None, 100.0 + AGREEMENT), True),
        (Era("boot", 100.0), Era(None, 100.5 + AGREEMENT), False),
        (Era(None, 100.0), Era("boot", 100.0), True),
        (Era(None, 100.0), Era(None, 100.0 - AGREEMENT), True),
        (Era(None, 100.0), Era(None, 99.5 - AGREEMENT), False),
    ],
)
def test_where_no_clock_has_gone_on_a_claim_has_no_date(
    ledger: Ledger, before: Era, after: Era, dated: bool
) -> None:
    """On another machine, or after another start, unless both clocks say that the same time has passed."""
    ledger.begin_run("run-2", [], LIMITS, START, era=before)
    ledger.admit([definition("a")], START)
    assert next_run(ledger, START + 60, after).dated is dated
    assert next_run(ledger, START + 120, after).dated is dated, "a run that could not tell makes it no truer"


def test_what_was_not_in_doubt_has_nothing_to_be_dated(ledger: Ledger) -> None:
    """A claim of this run counts by its own clocks."""
    claim = next_run(ledger, START + 9, Era("boot", 0.0))
    assert (claim.doubt_since, claim.doubt_service, claim.dated) == (None, None, True)


def test_a_ledger_of_an_earlier_version_is_given_what_came_since(tmp_path: Path) -> None:
    """It goes on; what its runs left in doubt has no date but the service's."""
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        ledger.admit([definition("a"), definition("b", 2)], START)
    with closing(sqlite3.connect(ledger.path)) as connection:
        for column in ("boot", "clock_offset"):
            connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        connection.commit()
    for later in (60.0, 120.0):
        with open_ledger(ledger.path, target()) as again:
            claim = next_run(again, START + later)
            assert (claim.doubt_since, claim.dated) == (START, False)
