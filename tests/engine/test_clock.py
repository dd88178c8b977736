"""What is learnt from the Date headers of replies, whoever sent them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkseed.client.service_time import ServiceTime
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


@given(headers)
def test_no_date_hurts(date: str) -> None:
    """A header that is no date, or holds bytes that are no text, teaches nothing or a finite time."""
    time = ServiceTime()
    time.saw(reply(date), lambda: NOW)
    time.correct(reply(date), NOW)
    assert time.ahead is None or abs(time.ahead) < 1e12
    assert abs(time.correction) < 1e12


def test_a_clock_that_is_put_right_is_corrected_for_again() -> None:
    """The first correction is of the clock as it was; a later refusal tells of the clock as it is."""
    time = ServiceTime()
    time.correct(reply("Thu, 01 Jan 2026 00:20:00 GMT", 400), NOW)
    assert time.correction == 1200.0
    time.correct(reply("Thu, 01 Jan 2026 00:21:00 GMT", 400), NOW + 1260)
    assert time.correction == 0.0


def test_the_service_is_ahead_by_what_its_latest_date_tells() -> None:
    """Of many replies the one that was on the way for the shortest time tells most."""
    time = ServiceTime()
    for date, now in [("Thu, 01 Jan 2026 00:00:05 GMT", NOW + 4), ("Thu, 01 Jan 2026 00:00:06 GMT", NOW + 3)]:
        time.saw(reply(date), lambda now=now: now)  # type: ignore[misc]  # mypy takes the default for a parameter
    assert time.ahead == 3.0


def test_a_proxy_does_not_tell_the_time() -> None:
    """Neither an error nor a page that is no reply of the service teaches anything."""
    time = ServiceTime()
    time.saw(reply("Thu, 01 Jan 2026 00:00:05 GMT", 502), lambda: NOW)
    time.saw(reply("Thu, 01 Jan 2026 00:00:05 GMT", 200, b"<html>"), lambda: NOW)
    assert time.ahead is None
