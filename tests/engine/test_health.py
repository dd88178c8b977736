"""Outages and streaks: what ends them."""

from __future__ import annotations

from bulkseed.engine.outage import OUTAGE_AFTER, OUTAGE_FAILURES, Health
from bulkseed.model import NoReply, Outcome
from bulkseed.policy.steps import Settled

LOST = NoReply("no reply in time", maybe_applied=True)


class Time:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_creation_ends_an_outage_which_used_up_no_working_time() -> None:
    """An attempt from before the outage that is answered in it shows that the service is back."""
    time = Time()
    health = Health(time, patience=100.0, stop_after=50)
    health.created()
    time.now = OUTAGE_AFTER + 1
    for _ in range(OUTAGE_FAILURES):
        assert health.answered(LOST) is None
    assert (health.outage, health.working_time()) == (True, 0.0)
    time.now = 30.0
    health.created()
    time.now = 34.0
    assert (health.outage, health.working_time()) == (False, 4.0)
    assert health.answered(LOST) is None
    assert (health.outage, health.working_time()) == (False, 4.0)


def test_a_creation_ends_a_streak_of_rejections() -> None:
    """Only rejections in a row stop a run, and a creation comes between."""
    health = Health(Time(), patience=100.0, stop_after=3)
    rejected = Settled(Outcome.REJECTED, "Forbidden.NoPermission")
    for _ in range(5):
        assert [health.settled(rejected), health.settled(rejected)] == [None, None]
        health.created()
    assert [health.settled(rejected), health.settled(rejected)] == [None, None]
    assert health.settled(rejected) is not None
