"""Two hours at the quota with all that hours bring, in seconds; `benchmarks/long_haul.py` does a day."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.long_haul import OUTAGE, SPELL, Haul, haul

from bulkseed.model import Outcome


@pytest.fixture(scope="module")
def two_hours() -> Haul:
    """Live through them once."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        return virtual_clock.run(haul, Path(folder), 2.0, 2.0)


def test_nothing_is_lost(two_hours: Haul) -> None:
    """Every definition is created once, or found to be ours; the ledger proves itself."""
    outcomes = two_hours.summary.outcomes
    assert outcomes[Outcome.ADOPTED] > 0
    assert outcomes[Outcome.CREATED] + outcomes[Outcome.ADOPTED] == two_hours.created == 14_400
    assert two_hours.summary.exit_code == 0
    assert two_hours.broken == []


def test_the_pace_is_back_after_every_trouble(two_hours: Haul) -> None:
    """A quarter of a minute after an outage or a spell the quota is used again, and it is never exceeded."""
    for trouble in (OUTAGE, SPELL):
        shares = two_hours.pace_after(trouble)
        assert len(shares) == 2
        assert min(shares) >= 0.95
    assert two_hours.worst_second <= two_hours.rate


def test_an_outage_is_looked_at_not_stormed(two_hours: Haul) -> None:
    """While the service is away few requests go out, instead of two a second for each of the four minutes."""
    for hour in (0, 1):
        start, end = (3600 * hour + moment for moment in OUTAGE)
        assert sum(start + 30 <= at < end for at in two_hours.sent) <= 210 / 4


def test_credentials_are_renewed_before_they_expire(two_hours: Haul) -> None:
    """Good for half an hour, they are fetched anew every 25 minutes."""
    assert two_hours.hours * 60 / 25 <= two_hours.fetched <= two_hours.hours * 60 / 25 + 1


def test_nothing_accumulates(two_hours: Haul) -> None:
    """There are no more objects of ours after hours than after the first half hour."""
    first, *later = two_hours.alive
    assert len(later) >= 3
    for counts in later:
        grown = {kind: (first[kind], count) for kind, count in counts.items() if count > first[kind] + 20}
        assert not grown
