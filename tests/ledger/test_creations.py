"""Short rows for created secrets say what an end and an attempt would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledgers import LIMITS, START, attempt, definition, definitions, new_ledger, settlement

from bulkseed.errors import LedgerError
from bulkseed.ledger import Creation, Ledger
from bulkseed.ledger.creations import expand_created
from bulkseed.model import Outcome

_ENDS = """
SELECT outcome, code, message, status, request_id, arn, attempts, first_sent_at, settled_at, doubt, owned
FROM definitions WHERE id = ?"""
_ATTEMPTS = "SELECT run, quota_group, sent_at, latency, status, code FROM attempts WHERE definition = ?"
EIGHTHS = st.integers(0, 400).map(lambda eighths: eighths / 8)  # exact in microseconds


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a run going on."""
    with new_ledger(tmp_path) as opened:
        opened.begin_run("run-1", ["prod.jsonl"], LIMITS, START)
        yield opened


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
@given(
    sent_at=EIGHTHS.map(lambda later: START + later),
    latency=EIGHTHS,
    failed=st.lists(EIGHTHS, max_size=3),
    apart=st.booleans(),
)
def test_a_creation_is_an_attempt_and_an_end(
    ledger: Ledger, sent_at: float, latency: float, failed: list[float], apart: bool
) -> None:
    """It leaves what the two would leave, whatever failed before it, on record already or not."""
    rows = ledger.one("SELECT count(*) FROM definitions")
    one, other = ledger.admit(definitions(2, first=rows + 1), START).to_send
    before = [[attempt(claim, sent_at - ago, 500) for ago in failed] for claim in (one, other)]
    if apart:
        ledger.record([], [*before[0], *before[1]])
        before = [[], []]
    ledger.record([], before[0], [Creation(one.row_id, sent_at, latency, "request", "arn")])
    end = settlement(other, at=sent_at + latency, status=200, request_id="request", arn="arn")
    ledger.record([end], [*before[1], attempt(other, sent_at)._replace(latency=latency)])
    found = [
        [tuple(ledger.select(query, claim.row_id)) for query in (_ENDS, _ATTEMPTS)] for claim in (one, other)
    ]
    assert found[0] == found[1]
    assert not any(isinstance(value, float) for rows in found[0] for row in rows for value in row)


def test_a_creation_is_recorded_once(ledger: Ledger) -> None:
    """Neither a second creation nor one after an end is taken, and nothing that came along with it."""
    one, two = ledger.admit(definitions(2), START).to_send
    ledger.record([settlement(one, Outcome.EXISTING)])
    with pytest.raises(LedgerError, match="settled twice"):
        ledger.record([], [], [Creation(two.row_id, START, 0.1), Creation(one.row_id, START, 0.1)])
    assert [row.outcome for row in ledger.rows()] == [Outcome.EXISTING, Outcome.PENDING]
    assert ledger.one("SELECT count(*) FROM attempts") == 0


@pytest.mark.parametrize("again", ["a creation", Outcome.CREATED, Outcome.EXISTING, Outcome.PENDING])
def test_nothing_follows_a_creation(ledger: Ledger, again: Outcome | str) -> None:
    """What was created is neither created nor ended another time, nor given back."""
    (claim,) = ledger.admit(definitions(1), START).to_send
    ledger.record([], [], [Creation(claim.row_id, START + 1, 0.02, "first")])
    before = [list(ledger.select(query, claim.row_id)) for query in (_ENDS, _ATTEMPTS)]
    settlements = [settlement(claim, again)] if isinstance(again, Outcome) else []
    creations = [] if settlements else [Creation(claim.row_id, START + 3, 0.02, "second")]
    with pytest.raises(LedgerError, match="settled twice"):
        ledger.record(settlements, [attempt(claim, START + 3)] if settlements else [], creations)
    assert [list(ledger.select(query, claim.row_id)) for query in (_ENDS, _ATTEMPTS)] == before


@pytest.mark.parametrize(("latency", "whole"), [(0.0203456, 20_346), (0.0203453, 20_345), (0.0, 0)])
def test_the_times_of_a_creation_are_whole_microseconds(ledger: Ledger, latency: float, whole: int) -> None:
    """Clocks tell more than that; a creation is rounded to the nearest as any attempt is."""
    one, other = ledger.admit(definitions(2), START).to_send
    sent_at = START + 1.1234567
    ledger.record(
        [], [attempt(other, sent_at)._replace(latency=latency)], [Creation(one.row_id, sent_at, latency)]
    )
    found = [list(ledger.select(_ATTEMPTS, claim.row_id)) for claim in (one, other)]
    assert found[0] == found[1]
    assert found[0][0][2:4] == (round(sent_at * 1e6), whole)
    assert all(isinstance(time, int) for time in found[0][0][2:4])


def test_a_creation_that_is_folded_reads_as_before(ledger: Ledger) -> None:
    """Row and attempts say the same in the long way of writing them, whatever an earlier run had left."""
    (claim,) = ledger.admit([definition("a")], START).to_send
    refused = settlement(claim, Outcome.REJECTED, code="Odd", message="no", status=403, request_id="r0")
    ledger.record([refused], [attempt(claim, START + 1, 403)])
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    (claim,) = ledger.admit([definition("a")], START + 9).to_send
    ledger.record([], [], [Creation(claim.row_id, START + 10, 0.02, "r1", "arn")])

    def read() -> list[list[tuple[object, ...]]]:
        return [sorted(ledger.select(query, claim.row_id)) for query in (_ENDS, _ATTEMPTS)]

    before = read()
    assert before[0][0][:6] == ("created", None, None, 200, "r1", "arn")
    with ledger.transaction():
        expand_created(ledger.connection, [claim.row_id])
    assert ledger.one("SELECT count(*) FROM creations") == 0
    assert read() == before


def test_only_what_was_created_is_folded_and_only_what_is_to_be(ledger: Ledger) -> None:
    """One that was not created is left as it is, and so are the others' short rows."""
    one, two, three = ledger.admit(definitions(3), START).to_send
    ledger.record(
        [], [], [Creation(claim.row_id, START + 1, 0.02, f"r{claim.row_id}") for claim in (one, two)]
    )
    before = [list(ledger.select(_ENDS, claim.row_id)) for claim in (one, two, three)]
    with ledger.transaction():
        expand_created(ledger.connection, [one.row_id, three.row_id])
    assert [row[0] for row in ledger.select("SELECT id FROM creations")] == [two.row_id]
    assert [list(ledger.select(_ENDS, claim.row_id)) for claim in (one, two, three)] == before
