"""What replies tell about the service's clock."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime

from bulkseed.pacing.clock import Clock
from bulkseed.policy.moments import AGREEMENT, MARGIN, CreationTime, OurMoment, Sending, ServiceMoment
from bulkseed.wire.message import Response

EPOCH = 60.0
"""Seconds for which a Date is believed, and as many after them: clocks drift, and are slewed."""

PROMPT = 10.0
"""Seconds within which a reply's Date tells the time: a way may be long, but no reply comes after a sleep."""

_ANY = OurMoment(-math.inf, -math.inf)


class ServiceTime:
    """What replies' Date headers tell about the service's clock against ours.

    `correction` is added to the time that requests carry; it stays 0 until the service refuses our time, and
    is set again when it refuses the corrected one: either clock may have been put right. `ahead` is the least
    by which the service's clock is ahead of our steady one, None while nobody knows. Once our clocks have
    parted, as one was set or does not count sleep, what was known before counts no more. `date` is the Date
    of the last success, in epoch seconds.
    """

    def __init__(self) -> None:
        self.correction = 0.0
        self.ahead: float | None = None  # every attempt asks, and it changes once a second at most
        self.date: float | None = None
        self._last: str | None = None
        self._steady, self._wall = _Lead(), _Lead()
        self._epoch_began = 0.0
        self._apart = 0.0  # our wall clock from our steady one, when the last Date came

    def saw(self, response: Response, clock: Clock, sent_at: float) -> None:
        """Take note of the Date header of a reply that arrives now; it was asked for at `sent_at`.

        Only of a success of the service's own: a proxy's page tells a proxy's time. A reply that took long
        may have been on its way while this machine slept: its Date is no more than when it was sent.
        """
        if response.status != 200 or not response.body.startswith(b"{"):
            return
        date = response.headers.get("date")
        if date == self._last:
            return
        self._last = None
        self.date = seconds = _epoch(date) if date else None
        if seconds is None:
            return
        now, parted = clock.time(), self._parted(clock)
        self._apart = clock.wall_there() - now
        if parted:  # also what this reply says may be of before
            self._steady, self._wall, self.ahead = _Lead(), _Lead(), None
        if parted or now - clock.stamp(sent_at) > PROMPT:
            return
        self._last = date
        for lead, ours in ((self._steady, now), (self._wall, clock.wall_there())):
            lead.saw(seconds - ours, now - self._epoch_began)
        self.ahead = self._steady.least
        if now - self._epoch_began >= EPOCH:
            self._epoch_began = now

    def correct(self, response: Response, now: float) -> None:
        """Set the correction from the Date of a reply that refused our time, `now` (`Clock.wall`)."""
        date = response.headers.get("date")
        seconds = _epoch(date) if date else None
        if seconds is not None:
            self.correction = seconds - now

    def sending(self, clock: Clock) -> Sending:
        """Return now, as the moment of something that is sent."""
        now, ahead = clock.time(), self.known_ahead(clock)
        service = None if ahead is None else ServiceMoment(now + ahead)
        return Sending(OurMoment(now, clock.wall_there()), service)

    def known_ahead(self, clock: Clock) -> float | None:
        """Return `ahead` if it holds now."""
        return None if self.ahead is None or self._parted(clock) else self.ahead

    def _parted(self, clock: Clock) -> bool:
        return abs(clock.wall_there() - clock.time() - self._apart) > AGREEMENT

    def creation(self, created: float) -> CreationTime:
        """Return the moment of what the service dates `created`, in whole seconds.

        Where nothing is known of the service's clock it may be any by ours.
        """
        steady, wall = self._steady.least, self._wall.least
        if steady is None or wall is None:
            return CreationTime(ServiceMoment(created), _ANY, _ANY)
        earliest = OurMoment(created - steady - MARGIN, created - wall - MARGIN)
        latest = OurMoment(created + 1.0 - steady, created + 1.0 - wall)
        return CreationTime(ServiceMoment(created), latest, earliest)


class _Lead:
    """The least by which the service's clock is ahead of one of ours: the most that a Date has shown lately.

    A Date that was on the way for long shows less.
    """

    def __init__(self) -> None:
        self._before = self._now = -math.inf  # of the epoch before, and of this one

    @property
    def least(self) -> float | None:
        least = max(self._before, self._now)
        return None if least == -math.inf else least

    def saw(self, ahead: float, age: float) -> None:
        """Note what a Date has shown; `age` is that of the epoch, in seconds."""
        if age >= EPOCH:
            self._before = self._now if age < 2 * EPOCH else -math.inf
            self._now = -math.inf
        self._now = max(self._now, ahead)


def _epoch(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
