"""The curve of a throttled pace, moment by moment."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.pacing.adaptive_rate import CLIMB, DECREASE, AdaptiveRate

BEGAN = 50.0
LEVEL = math.cbrt((1 - DECREASE) * CLIMB)
"""Seconds from a cut at the ceiling until the rate that was too much is reached again."""


def cut(limit: float, *, sent: float = 80.0, refused: float = 8.0) -> AdaptiveRate:
    """Return a rate that was refused once, at `BEGAN`."""
    rate = AdaptiveRate(limit)
    rate.refused(BEGAN, BEGAN, sent, refused, BEGAN)
    return rate


@pytest.mark.parametrize(
    ("limit", "sent", "pace"), [(100.0, 80.0, 90.0), (0.0, 80.0, 72.0), (0.0, 0.25, 0.9), (0.0, 1.5, 1.35)]
)
def test_the_first_refusal_costs_a_tenth(limit: float, sent: float, pace: float) -> None:
    """Of the ceiling, and where there is none of what was sent, which counts as one a second at least."""
    rate = cut(limit, sent=sent)
    assert rate.at(BEGAN) == pytest.approx(pace)
    assert rate.at(BEGAN - 1) == pytest.approx(pace), "the curve begins at the cut"


def test_what_was_never_refused_has_no_rate_to_keep_to() -> None:
    """And what was, has none again once it is at the ceiling, however early it is asked for then."""
    assert AdaptiveRate(100.0).at(BEGAN) == math.inf
    rate = cut(100.0)
    assert rate.at(BEGAN + LEVEL) == math.inf, "as fast as the ceiling is as fast as it gets"
    assert rate.at(BEGAN) == math.inf
    rate.refused(BEGAN + 9, BEGAN + 9, 80.0, 8.0, BEGAN + 9)
    assert rate.at(BEGAN + 9) == pytest.approx(90), "that is a first refusal again"


@pytest.mark.parametrize(
    ("after", "written", "anchor"),
    [
        (0.5, -0.1, 100.0),  # written before the cut
        (0.5, 0.0, 40.0),  # what got through in the last second
        (0.9, 0.9, 40.0),
        (1.0, 1.0, 70.0),  # half way from the anchor to that
        (1.2, 1.2, 70.0),
    ],
)
def test_a_second_refusal_takes_the_pace_to_what_got_through(
    after: float, written: float, anchor: float
) -> None:
    """At once in the same overload, half the way later; what was written before the cut tells nothing new."""
    rate, now = cut(100.0), BEGAN + after
    before = rate.at(now)
    rate.refused(BEGAN + written, now, 50.0, 10.0, now)
    assert rate.at(now) == pytest.approx(before if written < 0 else DECREASE * anchor)


@pytest.mark.parametrize(("limit", "sent", "pace"), [(100.0, 0.0, 0.9), (5.0, 0.0, 0.45), (100.0, 3.0, 2.7)])
def test_the_pace_never_falls_to_nothing(limit: float, sent: float, pace: float) -> None:
    """One a second, or a tenth of a ceiling below ten: whoever tries less may starve."""
    rate = cut(limit)
    rate.refused(BEGAN + 0.5, BEGAN + 0.5, sent, 0.0, BEGAN + 0.5)
    assert rate.at(BEGAN + 0.5) == pytest.approx(pace)


def test_more_that_got_through_raises_no_pace() -> None:
    """A refusal is no reason to be faster: in the same overload, and when much of the climb is done."""
    for after in (0.5, 2.0):
        rate, now = cut(100.0), BEGAN + after
        before = rate.at(now)
        rate.refused(now, now, 500.0, 1.0, now)
        assert rate.at(now) <= before * (1 + 1e-9)


def test_the_climb_begins_when_the_pause_is_over() -> None:
    """Until then it is the pace of the cut."""
    rate = AdaptiveRate(100.0)
    rate.refused(BEGAN, BEGAN, 80.0, 8.0, BEGAN + 30)
    assert rate.at(BEGAN + 30) == pytest.approx(90)
    assert rate.at(BEGAN + 30 + LEVEL / 2) == pytest.approx(100 - 10 / 8)


@given(
    st.sampled_from([0.5, 3.0, 10.0, 450.0]),
    st.lists(st.tuples(st.floats(0.1, 3), st.floats(0, 500), st.floats(0, 100)), min_size=1, max_size=8),
)
def test_from_any_depth_the_ceiling_is_reached_in_nine_seconds(
    limit: float, refusals: list[tuple[float, float, float]]
) -> None:
    """Rising all the way; and at the cut it is nine tenths of a rate that is no more than the ceiling."""
    rate, now = AdaptiveRate(limit), BEGAN
    for passed, sent, refused in refusals:
        now += passed
        rate.refused(now, now, sent, min(refused, sent), now)
        assert min(0.9, 0.09 * limit) * (1 - 1e-9) <= rate.at(now) <= DECREASE * limit * (1 + 1e-9)
    climb = [rate.at(now + step / 4) for step in range(4 * 10)]
    assert all(earlier <= later * (1 + 1e-9) for earlier, later in pairwise(climb))
    assert climb[4 * 9] == math.inf
