"""What is learnt from the Date headers of replies, and what of times by two clocks is believed."""

from __future__ import annotations

import math
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.client.service_time import ServiceTime
from bulkseed.pacing.clock import Clock, counting_sleep, this_boot
from bulkseed.policy.moments import CreationTime, Era, OurMoment, Sending, ServiceMoment, of_earlier_run
from bulkseed.wire.message import Response

NOW = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT
headers = st.text() | st.builds(
    "{}, {} Jan {} {} GMT".format,
    st.sampled_from(["Thu", "\udcff"]),
    st.integers(-9, 40) | st.characters(),
    st.integers(0, 10**9) | st.characters(),
    st.sampled_from(["00:00:00", "99:99:99", "24:00", "\udcc3"]),
)


def reply(date: str, status: int = 200, body: bytes = b"{}") -> Response:
    """Return a reply with this Date header."""
    return Response(status, {"date": date}, body)


class Hands:
    """A clock whose two hands a test moves: it begins at `NOW`."""

    def __init__(self, steady: float = 0.0, wall: float = NOW) -> None:
        self.steady, self.wall = steady, wall
        self.clock = Clock(lambda: self.steady, lambda: self.wall)

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.steady += seconds
        self.wall += seconds


def dated(at: float) -> Response:
    """Return a success of the service, whose clock says `at`."""
    return reply(formatdate(int(at), usegmt=True))


@given(headers)
def test_no_date_hurts(date: str) -> None:
    """A header that is no date, or holds bytes that are no text, teaches nothing or a finite time."""
    known = ServiceTime()
    known.saw(reply(date), Hands().clock, 0.0)
    known.correct(reply(date), NOW)
    assert known.ahead is None or abs(known.ahead) < 1e12
    assert abs(known.correction) < 1e12


def test_a_clock_that_is_put_right_is_corrected_for_again() -> None:
    """The first correction is of the clock as it was; a later refusal tells of the clock as it is (D3)."""
    known = ServiceTime()
    known.correct(reply("Thu, 01 Jan 2026 00:20:00 GMT", 400), NOW)
    assert known.correction == 1200.0
    known.correct(reply("Thu, 01 Jan 2026 00:21:00 GMT", 400), NOW + 1260)
    assert known.correction == 0.0


def test_the_service_is_ahead_by_what_its_latest_date_tells() -> None:
    """Of many replies the one that was on the way for the shortest time tells most."""
    known, hands = ServiceTime(), Hands()
    assert (known.correction, known.ahead) == (0.0, None)
    for date, passed in [(NOW + 5, 4.0), (NOW + 7, 0.0), (NOW + 8, 2.0)]:
        hands.go(passed)
        known.saw(dated(date), hands.clock, hands.steady)
    assert known.ahead == 3.0


@pytest.mark.parametrize(("seconds", "ahead"), [(59.0, 3.0), (100.0, 3.0), (130.0, 1.0), (1000.0, 1.0)])
def test_a_date_is_believed_for_two_minutes_at_most(seconds: float, ahead: float) -> None:
    """A clock of ours that gains on the service's is not held against what was true an hour ago."""
    known, hands = ServiceTime(), Hands()
    known.saw(dated(NOW + 3), hands.clock, hands.steady)
    hands.go(seconds / 2)
    known.saw(dated(NOW + seconds / 2 + 1), hands.clock, hands.steady)
    hands.go(seconds / 2)
    known.saw(dated(NOW + seconds + 1), hands.clock, hands.steady)
    assert known.ahead is not None
    assert int(known.ahead + 0.5) == ahead


def test_dates_that_come_often_are_forgotten_as_soon() -> None:
    """Replies come all the time: what the first told is not believed for ever."""
    known, hands = ServiceTime(), Hands()
    known.saw(dated(NOW + 3), hands.clock, hands.steady)
    for second in range(10, 180, 10):
        hands.go(10.0)
        known.saw(dated(NOW + second + 1), hands.clock, hands.steady)
        assert known.ahead == (3.0 if second < 120 else 1.0)


@pytest.mark.parametrize(("silence", "ahead"), [(59.0, 3.0), (119.0, 3.0), (120.0, 1.0), (180.0, 1.0)])
def test_a_date_outlives_a_silence_of_less_than_two_minutes(silence: float, ahead: float) -> None:
    """Also if nothing came meanwhile."""
    known, hands = ServiceTime(), Hands()
    known.saw(dated(NOW + 3), hands.clock, hands.steady)
    hands.go(silence)
    known.saw(dated(NOW + silence + 1), hands.clock, hands.steady)
    assert known.ahead == ahead


@pytest.mark.parametrize("apart", [0.5, -0.5])
def test_a_creation_is_dated_by_each_of_our_clocks(apart: float) -> None:
    """To a second by what a Date has shown of that clock, and two for what the service itself may differ by.

    Clocks that part by less than a second were not set.
    """
    known, hands = ServiceTime(), Hands()
    hands.wall += apart
    known.saw(dated(NOW + 20), hands.clock, hands.steady)
    by_ours = OurMoment(10.0 + NOW - 20, 10.0 + NOW - 20 + apart)
    assert known.creation(NOW + 10) == CreationTime(ServiceMoment(NOW + 10), by_ours + 1.0, by_ours + -2.0)
    assert known.sending(hands.clock) == Sending(OurMoment(NOW, NOW + apart), ServiceMoment(NOW + 20))


def test_where_nothing_is_known_of_the_service_a_creation_may_be_of_any_time() -> None:
    """By our clocks: nothing is younger than it, and nothing of ours is surely older."""
    ever = OurMoment(-math.inf, -math.inf)
    assert ServiceTime().creation(NOW) == CreationTime(ServiceMoment(NOW), ever, ever)


@pytest.mark.parametrize("apart", [1.5, -1.5])
def test_what_was_known_before_our_clocks_parted_counts_no_more(apart: float) -> None:
    """The steady one does not count sleep, or the wall clock was set: until a Date comes nothing is known.

    What somebody made meanwhile would be taken for younger than what is sent now (H2).
    """
    known, hands = ServiceTime(), Hands()
    known.saw(dated(NOW + 20), hands.clock, hands.steady)
    assert known.known_ahead(hands.clock) == 20.0
    hands.wall += apart
    assert known.sending(hands.clock).service is None
    assert known.known_ahead(hands.clock) is None
    hands.go(1.0)
    known.saw(dated(NOW + 14), hands.clock, hands.steady)
    assert known.known_ahead(hands.clock) is None, "that reply may have been on its way before"
    known.saw(dated(NOW + 15), hands.clock, hands.steady)
    assert known.known_ahead(hands.clock) == 14.0, "the one before was more, and is forgotten"
    hands.wall += 1.0
    assert known.known_ahead(hands.clock) == 14.0, "NTP slews"


def test_a_run_knows_whether_its_clocks_have_agreed_since_it_began() -> None:
    """To the second."""
    hands = Hands()
    hands.wall += 1.0
    assert hands.clock.agrees()
    hands.wall += 0.1
    assert not hands.clock.agrees()
    hands.wall -= 2.2
    assert not hands.clock.agrees()


def test_the_times_of_two_runs_count_from_the_same_only_in_one_boot() -> None:
    """And what was added to the clock is what they are moved by."""
    assert Era("a", 100.0).since(Era("a", 40.0)) == 60.0
    assert Era("a", 100.0).since(Era("b", 100.0)) is None
    assert Era(None, 101.0).since(Era("a", 100.0)) == 1.0
    assert Era("a", 99.0).since(Era(None, 100.0)) == -1.0
    assert Era(None, 101.1).since(Era(None, 100.0)) is None


@pytest.mark.parametrize(("took", "believed"), [(0.0, True), (10.0, True), (11.0, False), (3600.0, False)])
def test_a_reply_that_took_long_does_not_tell_the_time(took: float, believed: bool) -> None:
    """This machine slept while it was on its way: what others made would be younger than ours (H2)."""
    known, hands = ServiceTime(), Hands()
    asked = hands.steady
    hands.go(took)
    known.saw(dated(NOW + 20), hands.clock, asked)
    assert (known.ahead is not None) is believed
    assert known.date == NOW + 20
    unknown = Sending(OurMoment(NOW - 1e6, NOW - 1e6))
    assert known.creation(NOW + 20).dated is believed
    assert known.creation(NOW + 20).before(unknown) is not believed, "what cannot be dated is not younger"
    assert not known.creation(NOW + 20).surely_before(unknown)
    known.saw(dated(NOW + 20), hands.clock, hands.steady)
    assert known.ahead is not None, "another reply of the same second tells it"


def test_a_proxy_does_not_tell_the_time() -> None:
    """Neither an error nor a page that is no reply of the service teaches anything."""
    known, hands = ServiceTime(), Hands()
    known.saw(reply("Thu, 01 Jan 2026 00:00:05 GMT", 502), hands.clock, hands.steady)
    known.saw(reply("Thu, 01 Jan 2026 00:00:05 GMT", 200, b"<html>"), hands.clock, hands.steady)
    assert known.ahead is None


def test_two_clocks_are_not_compared() -> None:
    """It does not type-check, which the unused-ignore rule of mypy holds these lines to, nor does it run."""
    service, ours = ServiceMoment(NOW), OurMoment(NOW, NOW)
    with pytest.raises(AttributeError):
        _ = service < ours  # type: ignore[operator]
    with pytest.raises(AttributeError):
        _ = ours < service  # type: ignore[operator]
    assert service < service + 1.0
    assert ours < ours + 1.0


@pytest.mark.parametrize(
    ("name", "steady", "wall"),
    [
        ("slept", 0.0, 10.0),
        ("slept the other way", 10.0, 0.0),
        ("set back", 0.0, -3600.0),
        ("set", 0.0, 3600.0),
    ],
)
def test_a_clock_that_jumped_makes_nothing_of_ours_older(name: str, steady: float, wall: float) -> None:
    """Created after it was sent, while one of our clocks jumped: not before it (A4, H2)."""
    known, hands = ServiceTime(), Hands()
    service = NOW + 20.0
    known.saw(dated(service), hands.clock, hands.steady)
    sent = known.sending(hands.clock)
    passed = 10.0 if name.startswith("slept") else 0.0
    created = service + passed + 0.3
    hands.steady += steady
    hands.wall += wall
    hands.go(1.0)
    known.saw(dated(service + passed + 1.0), hands.clock, hands.steady)
    assert not known.creation(int(created)).before(sent)
    assert not known.creation(int(created)).surely_before(sent)


@pytest.mark.parametrize(("steady", "wall"), [(0.0, 10.0), (10.0, 0.0), (0.0, -10.0)])
def test_where_our_clocks_do_not_agree_nothing_of_theirs_is_young(steady: float, wall: float) -> None:
    """Nothing was known of the service's clock when it was sent, and one of ours was set then (A4)."""
    known, hands = ServiceTime(), Hands()
    sent = known.sending(hands.clock)
    hands.steady += steady
    hands.wall += wall
    known.saw(dated(NOW + 20), hands.clock, hands.steady)
    theirs = known.creation(NOW + 14)
    assert theirs.before(sent)
    assert not theirs.surely_before(sent)


def test_what_was_there_long_before_is_older() -> None:
    """By our clocks where the service's was not known, by the service's where it was; near it, not surely.

    (H2)
    """
    known, hands = ServiceTime(), Hands()
    unknown = known.sending(hands.clock)
    known.saw(dated(NOW + 20), hands.clock, hands.steady)
    since = known.sending(hands.clock)
    for created, older, surely in [
        (15, True, True),
        (17, True, False),
        (18, True, False),
        (19, False, False),
    ]:
        made = known.creation(NOW + created)
        assert made.before(since) is older
        assert made.surely_before(since) is surely
        assert made.before(unknown) is older
        assert not made.surely_before(unknown), "by our clocks nothing is sure"


def test_what_an_earlier_run_noted_is_compared_by_the_clock_that_it_noted() -> None:
    """Killed under a clock that was an hour fast: by its own clock ours would be older (A4)."""
    made = CreationTime(ServiceMoment(NOW), OurMoment(NOW, NOW), OurMoment(NOW - 3, NOW - 3))
    assert made.before(of_earlier_run(NOW + 3600))
    assert not made.before(of_earlier_run(NOW + 3600, NOW - 0.5))
    assert made.before(of_earlier_run(NOW - 3600, NOW + 9.0)), (
        "and what is theirs is not made ours by a slow one"
    )
    assert Sending(OurMoment(NOW, NOW)).service is None


@pytest.mark.parametrize("service", [None, NOW])
@pytest.mark.parametrize("ours", [True, False])
def test_a_sending_is_dated_where_one_clock_tells_when(service: float | None, ours: bool) -> None:
    """By the service's or by ours."""
    assert of_earlier_run(NOW, service, dated=ours).dated is (ours or service is not None)


def test_the_clock_of_a_run_counts_sleep_and_its_budgets_do_not() -> None:
    """Where the system has such a clock; what waits inside the process goes by the one that stands still.

    (H2)
    """
    clock = Clock()
    counting = getattr(time, "CLOCK_BOOTTIME", None)
    if counting is None:
        pytest.skip("no clock here counts sleep under this name")
    before = time.clock_gettime(counting)
    assert before <= clock.monotonic() <= time.clock_gettime(counting)
    assert getattr(counting_sleep(), "args", None) == (counting,)
    assert clock.awake is time.monotonic
    assert clock.era.boot == this_boot()


def test_a_run_counts_as_the_machine_of_its_ledger_does() -> None:
    """By how much that is ahead of ours is added to both clocks; a clock that is given names its own boot."""
    hands = Hands(steady=7.0)
    clock = Clock(lambda: hands.steady, lambda: hands.wall, 5.0, boot="there")
    hands.go(1.0)
    assert (clock.time(), clock.wall_there(), clock.stamp(7.0)) == (NOW + 6, NOW + 6, NOW + 5)
    assert clock.era == Era("there", NOW + 5 - 7)
    assert clock.awake() == 8.0
    ours = Hands(steady=7.0).clock
    assert (ours.time(), ours.wall_there(), ours.era) == (NOW, NOW, Era(None, NOW - 7))
