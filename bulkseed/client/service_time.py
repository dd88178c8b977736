"""What replies tell about the service's clock."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from bulkseed.wire.message import Response

MARGIN = 2.0
"""Seconds by which the service's clock may be further ahead than `ServiceTime.ahead`: a second that its Date
headers do not show, and one for the way of a reply and for drift between the runs that compare times."""


class ServiceTime:
    """What replies' Date headers tell about the service's clock against ours.

    `correction` is added to the time that requests carry; it stays 0 until the service refuses our time, and
    is set again when it refuses the corrected one: either clock may have been put right. `ahead` is the least
    by which the service's clock is ahead of ours. `date` is the Date of the last success, in epoch seconds.
    """

    def __init__(self) -> None:
        self.correction = 0.0
        self.ahead: float | None = None
        self.date: float | None = None
        self._last: str | None = None

    def saw(self, response: Response, now: Callable[[], float]) -> None:
        """Take note of the Date header of a reply that arrives `now` (`Clock.time`).

        Only a success of the service's own: a proxy's page tells a proxy's time.
        """
        if response.status != 200 or not response.body.startswith(b"{"):
            return
        date = response.headers.get("date")
        if date == self._last:
            return
        self._last = date
        self.date = seconds = _epoch(date) if date else None
        if seconds is not None:
            ahead = seconds - now()
            self.ahead = ahead if self.ahead is None else max(self.ahead, ahead)

    def correct(self, response: Response, now: float) -> None:
        """Set the correction from the Date of a reply that refused our time, `now` (`Clock.wall`)."""
        date = response.headers.get("date")
        seconds = _epoch(date) if date else None
        if seconds is not None:
            self.correction = seconds - now

    def ours_not_before(self, created: float) -> float:
        """Return the earliest time, by our clock, of something the service dates `created`."""
        return created - (self.ahead or 0.0) - MARGIN

    def ours(self, created: float) -> float:
        """Return the latest time, by our clock, of something the service dates `created` (whole seconds)."""
        return created + 1.0 - (self.ahead or 0.0)


def _epoch(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
