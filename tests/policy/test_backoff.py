"""Waiting before the next attempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkseed.policy.backoff import RetryPolicy, delay


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
