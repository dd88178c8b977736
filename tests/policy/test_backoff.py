"""Waiting before the next attempt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.model import Fault, NoReply
from bulkseed.pacing.pacer import PAUSE_MAX
from bulkseed.policy.backoff import RetryPolicy, delay
from bulkseed.policy.moments import of_earlier_run
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import CREATE, READ_CURRENT, GiveUp, Step, Wait


@given(attempt=st.integers(1, 10_000), u=st.floats(0, 1, exclude_max=True))
def test_a_delay_is_within_its_ceiling(attempt: int, u: float) -> None:
    """Full jitter: anything from nothing to the ceiling, however many attempts there were."""
    policy = RetryPolicy()
    assert 0 <= delay(policy, attempt, u) <= policy.ceiling


def test_delays_grow_up_to_the_ceiling() -> None:
    """The bound doubles from half a second until the ceiling holds it."""
    bounds = [delay(RetryPolicy(), attempt, 1.0) for attempt in range(1, 9)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


def test_a_definition_is_tried_eight_times_within_two_minutes() -> None:
    """Unless told otherwise; the pauses double from half a second to twenty."""
    assert RetryPolicy() == RetryPolicy(8, 120.0, 0.5, 2.0, 20.0)
    assert [delay(RetryPolicy(), attempt, 1.0) for attempt in range(1, 8)] == [0.5, 1, 2, 4, 8, 16, 20]


class Asking:
    """A request that is made until it is answered for good, at times that a test sets."""

    def __init__(self, step: Step[Any], budget: float = 10.0) -> None:
        self.now = 1_000.0
        policy = RetryPolicy(budget=budget)
        self.retry = RetryState(policy, None, lambda: of_earlier_run(self.now), lambda: self.now, lambda: 0.0)
        self._step, self._asking = step, self.retry.ask(step)
        assert next(self._asking) is step

    def answer(self, answer: Fault | NoReply) -> float:
        """Answer it, wait as it wants, and let it be made again; return how long that was."""
        wait = self._asking.send(answer)
        assert isinstance(wait, Wait)
        self.now += 5.0
        assert self._asking.send(None) is self._step
        return wait.seconds


def test_a_budget_begins_with_the_first_attempt() -> None:
    """Whatever the clock says by then; a pause that ends with it is begun."""
    asking, throttled = Asking(CREATE), Fault("Rejected.Throttling", 429, retry_after=5.0)
    assert [asking.answer(throttled), asking.answer(throttled)] == [5.0, 5.0]
    with pytest.raises(GiveUp):
        asking.answer(throttled)


def test_a_pause_of_years_does_not_use_up_the_budget_at_once() -> None:
    """A service that asks for one is asked again after a minute, as the lane's pause ends then."""
    asking = RetryState(RetryPolicy(), None, lambda: of_earlier_run(1.0), lambda: 0.0, lambda: 0.5).ask(
        CREATE
    )
    assert next(asking) is CREATE
    assert asking.send(Fault("Rejected.Throttling", 429, retry_after=1e8)) == Wait(PAUSE_MAX)


def test_a_doubt_is_as_old_as_the_first_attempt_that_was_not_answered() -> None:
    """And only what may make the secret leaves one."""
    lost = NoReply("connection reset", maybe_applied=True)
    creating, reading = Asking(CREATE), Asking(READ_CURRENT)
    creating.answer(Fault("Rejected.Throttling", 429))
    assert not creating.retry.in_doubt
    for _ in range(2):
        creating.answer(lost)
        reading.answer(lost)
        assert creating.retry.doubt_since == of_earlier_run(1_005.0)
    assert not reading.retry.in_doubt
