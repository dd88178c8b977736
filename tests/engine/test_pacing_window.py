"""The window of a quota, place by place: how long a request keeps its own, and what replies teach."""

from __future__ import annotations

import math

import pytest

from bulkseed.pacing.permit import Permit
from bulkseed.pacing.sliding_window import SlidingWindow


def end(window: SlidingWindow, written: float, ended: float) -> float:
    """Send a request that gets lost; return when its place becomes free."""
    permit = Permit()
    window.wrote(permit, written)
    return window.ended(permit, ended)


def reply(window: SlidingWindow, written: float, replied: float) -> float:
    """Send a request that is answered; return when its place becomes free."""
    free = end(window, written, replied)
    window.answered(replied, replied - written)
    return free


def believed(window: SlidingWindow, at: float) -> float:
    """Return the fastest round trip that the window believes in; asking teaches it nothing."""
    return at + 1.0 - end(window, at - 0.875, at)


def taught(known: float = 0.125) -> SlidingWindow:
    """Return a window that has learned the fastest round trip by 1.25 s."""
    window = SlidingWindow(1_000)
    reply(window, 0.0, 0.25)
    reply(window, 0.25, 0.25 + known)
    reply(window, 0.75, 1.25)
    return window


@pytest.mark.parametrize(
    ("limit", "places", "second"),
    [(3.0, 3, 1.0), (2.7, 2, 1.0), (1.0, 1, 1.0), (1.9, 1, 1.0), (0.5, 1, 2.0), (0.25, 1, 4.0)],
)
def test_as_many_places_as_the_limit_each_for_a_second(limit: float, places: int, second: float) -> None:
    """Taken from the grant on; below one a second there is one for as long as that takes."""
    window = SlidingWindow(limit)
    assert [window.free_at(7.0, granted) for granted in range(places + 1)] == [*[7.0] * places, math.inf]
    permit = Permit()
    window.wrote(permit, 7.0)
    assert window.free_at(8.0, places - 1) == math.inf
    assert window.ended(permit, 7.0) == pytest.approx(7.0 + 1.005 * second)
    assert end(window, 7.0, 8.0) == 8.0 + second, "it may have arrived just now"


def test_a_place_is_free_from_the_moment_that_it_was_told_to_be() -> None:
    """And the first that becomes free is told, whichever request ended first."""
    window = SlidingWindow(3)
    late, soon = end(window, 0.0, 0.75), end(window, 0.0, 0.5)
    assert (late, soon) == (1.75, 1.5)
    assert [window.free_at(at, 1) for at in (0.75, 1.25, 1.5, 1.625)] == [1.5, 1.5, 1.5, 1.625]
    assert [window.free_at(at, 2) for at in (1.625, 1.75)] == [1.75, 1.75]
    assert window.free_at(1.75, 3) == math.inf


def test_the_fastest_round_trip_is_believed_a_second_after_the_first_reply() -> None:
    """It is that of a request written after it; until then nobody knows how fast one can be."""
    window = SlidingWindow(1_000)
    reply(window, 0.0, 0.25)
    reply(window, 0.1875, 0.3125)  # as fast, and written before
    reply(window, 0.25, 0.5)
    assert believed(window, 1.0) == 0.0
    reply(window, 0.75, 1.1875)
    assert believed(window, 1.2) == 0.0
    reply(window, 0.75, 1.25)
    assert believed(window, 1.25) == 0.25
    reply(window, 1.25, 1.375)
    assert believed(window, 1.375) == 0.125, "one that is faster counts at once"
    reply(window, 2.0, 2.375)
    assert believed(window, 2.375) == 0.125


def test_a_second_in_which_no_reply_came_teaches_nothing() -> None:
    """It is over once there is something to believe."""
    window = SlidingWindow(1_000)
    reply(window, 0.0, 0.25)
    reply(window, 1.25, 1.5)
    assert believed(window, 1.5) == 0.0
    reply(window, 1.5, 1.875)
    assert believed(window, 1.875) == 0.25


def test_the_fastest_round_trip_is_forgotten_when_two_epochs_of_thirty_seconds_are_over() -> None:
    """Routes change."""
    window = taught()
    for at, known in [(31.0, 0.125), (31.25, 0.375), (61.0, 0.375), (61.25, 0.5), (90.0, 0.5)]:
        reply(window, at - (0.375 if at == 31.0 else 0.5), at)
        assert believed(window, at) == known, at


def test_after_a_stall_it_is_learned_anew_and_for_an_epoch_it_is_no_more_than_before() -> None:
    """What was fast before may be fast again."""
    window = taught()
    assert end(window, 2.0, 3.125) == 4.0, "as long as a second and the fastest round trip is no stall"
    assert end(window, 2.0, 3.25) == 4.25, "now nobody knows how fast one can be"
    assert believed(window, 3.25) == 0.0
    reply(window, 4.0, 4.5)
    for at, known in [(5.0, 0.0), (5.5, 0.125), (35.0, 0.125), (35.5, 0.5)]:
        reply(window, at - 0.5, at)
        assert believed(window, at) == known, at


def test_a_stall_before_anything_is_known_hides_nothing_later() -> None:
    """There is nothing to forget yet."""
    window = SlidingWindow(1_000)
    assert end(window, 0.0, 5.0) == 6.0
    reply(window, 5.0, 5.25)
    reply(window, 5.25, 5.375)
    reply(window, 5.75, 6.25)
    assert believed(window, 6.25) == 0.125


@pytest.mark.parametrize(
    ("round_trip", "known"), [(None, 0.375), (0.5, 0.375), (0.375, 0.375), (0.25, 0.25), (0.125, 0.125)]
)
def test_what_the_kernel_saw_counts_where_it_is_less(round_trip: float | None, known: float) -> None:
    """A wait in the service is no distance."""
    window = SlidingWindow(1_000)
    for written, replied in [(0.0, 0.25), (0.25, 0.625), (0.75, 1.25)]:
        end(window, written, replied)
        window.answered(replied, replied - written, round_trip)
    assert believed(window, 1.25) == known


def test_places_are_held_for_longer_once_it_turns_out_that_a_round_trip_can_be_faster() -> None:
    """A new request could arrive earlier than was thought, and one that ended may have arrived just then."""
    window = taught(0.25)
    assert end(window, 2.0, 2.5) == 3.25
    assert end(window, 2.25, 2.25) == 2.25 + 1.005
    assert window.free_at(3.0, 1_000) == 3.25
    reply(window, 2.5, 2.625)
    assert window.free_at(3.0, 1_000) == 2.25 + 1.005, "that is a whole second already"
    assert window.free_at(3.3, 1_000) == 2.5 + 1.0 - 0.125
    assert window.free_at(3.375, 1_000) == 2.5 + 1.005
    reply(window, 3.0, 3.375)
    assert window.free_at(3.375, 1_000) == 2.5 + 1.005, "one that was slower changes nothing"
