"""The pace at which the requests of one quota group are sent.

Every attempt, first or repeated, asks its group's pacer for a `Permit`. The pacer grants one when all of
these allow it. Otherwise the earliest moment that they do sets the one timer; waiters are served in order.

- its `SlidingWindow`: never more than the limit in any second, neither here, whatever happens between grant
  and write, nor at the service, whatever the network does to our spacing;
- a token bucket, which spreads the sends over the second and saves up next to nothing while idle;
- `AdaptiveRate`: the rate of that bucket, lowered while the service throttles;
- a pause that the service asked for.

A pacer without a ceiling grants at once until the service throttles; then only rate and pause hold it back.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

from bulkseed.pacing.adaptive_rate import AdaptiveRate
from bulkseed.pacing.permit import Permit
from bulkseed.pacing.sliding_window import SlidingWindow

PAUSE_MAX = 60.0
"""The longest pause taken from the service, in seconds."""

TICK = 0.001
"""Timers are no finer than this, in seconds: uvloop and epoll count milliseconds."""

BURST = 3.0
BURST_TIME = 0.02
"""The bucket holds 3 tokens and what comes in 20 ms: it makes up for late timers, not for idling."""


def always() -> bool:
    """Return True."""
    return True


class Pacer:
    """Paces the sends of one quota group; `limit_qps` is the most in any one-second window, 0 for no ceiling.

    Belongs to one event loop. `clock` is monotonic, in seconds. With `adapts` it slows down while the service
    throttles; an open-loop load must not. `may_send` is asked at every write.

    Attributes:
        limit_qps: the ceiling as given.
        sent: how many requests were written.
        worst_second: the most that were written in any half-open second.
        first_sent_at: when the first was written, on `clock`; without meaning before.
        last_sent_at: when the last was written.
    """

    def __init__(
        self,
        limit_qps: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        adapts: bool = True,
        may_send: Callable[[], bool] = always,
    ) -> None:
        self.sent = 0
        self.worst_second = 0
        self.first_sent_at = 0.0
        self.last_sent_at = 0.0
        self.limit_qps = limit_qps
        self._clock = clock
        self._adapts = adapts
        self._may_send = may_send
        self._rate = AdaptiveRate(limit_qps)
        self._window = SlidingWindow(limit_qps) if limit_qps else None
        self._unlimited = not limit_qps  # nothing to ask: no ceiling, not throttled, not paused
        self._granted = 0  # not yet written
        self._tokens = 0.0
        self._filled_at = -math.inf  # full at first
        self._paused_until = -math.inf
        self._recent: deque[float] = deque()  # writes of the last second
        self._refused: deque[float] = deque()  # throttled answers of the last second
        self._waiters: deque[asyncio.Future[Permit | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait for a permit, or were cancelled a moment ago."""
        return len(self._waiters)

    @property
    def pace(self) -> float:
        """The rate allowed now, in sends per second: the limit, less while throttled, inf without either."""
        return min(self.limit_qps or math.inf, self._rate.at(self._clock()))

    async def acquire(self) -> Permit | None:
        """Wait for a permit; None once closed."""
        if self._unlimited:
            return Permit()
        if self._closed:
            return None
        if not self._waiters and self._free_at(now := self._clock()) <= now:
            return self._grant()
        future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        if self._timer is None:
            self._serve()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and (permit := future.result()):
                self.ended(permit)
            raise

    def answered(
        self,
        latency: float,
        throttled: bool = False,
        retry_after: float | None = None,
        round_trip: float | None = None,
    ) -> None:
        """Learn from an answer that came `latency` seconds after its write; `retry_after` is in seconds.

        `round_trip` is the fastest that the kernel has seen on the connection, in seconds; None: it does not
        tell.
        """
        if self._window is not None:
            self._window.answered(self._clock(), latency, round_trip)
        if throttled and self._adapts:
            self._slow_down(self._clock(), latency, retry_after)

    def hold_until(self, moment: float) -> None:
        """Grant nothing before a moment of the clock."""
        self._paused_until = max(self._paused_until, moment)

    def close(self) -> None:
        """Grant nothing any more: everyone who waits, now or later, gets None."""
        self._closed = True
        self._unlimited = False
        self._disarm()
        for future in self._waiters:
            if not future.done():
                future.set_result(None)
        self._waiters.clear()

    def _slow_down(self, now: float, latency: float, retry_after: float | None) -> None:
        self._refused.append(now)
        _forget(self._recent, now - 1)
        _forget(self._refused, now - 1)
        if retry_after:
            self._paused_until = max(self._paused_until, now + min(retry_after, PAUSE_MAX))
        span = min(1.0, max(now - self.first_sent_at, 0.05))
        resume_at = max(now, self._paused_until)
        self._rate.refused(now - latency, now, len(self._recent) / span, len(self._refused) / span, resume_at)
        if self._unlimited:
            self._unlimited = False
            self._tokens, self._filled_at = 0.0, now

    def _free_at(self, now: float) -> float:
        """Return the earliest moment for a grant; inf: not before a permit is written or released."""
        rate = self._rate.at(now)
        if rate == math.inf:
            rate = self.limit_qps
            if not rate:
                self._unlimited = self._paused_until <= now
                return self._paused_until
        burst = BURST + BURST_TIME * rate
        self._tokens = tokens = min(burst, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        at = max(self._paused_until, now + (1 - tokens) / rate)
        if self._window is not None:
            at = max(at, self._window.free_at(now, self._granted))
        return at

    def _grant(self) -> Permit:
        self._granted += 1
        self._tokens -= 1
        return Permit()

    def wrote(self, permit: Permit) -> bool:
        """Count the send from now; call it at the moment of the write. False: it must not be written."""
        if not self._may_send():
            return False
        now = self._clock()
        permit.sent_at = self.last_sent_at = now
        if not self.sent:
            self.first_sent_at = now
        self.sent += 1
        recent = self._recent
        recent.append(now)
        if len(recent) > self.worst_second:  # otherwise it does not matter how many of them are older
            second_ago = now - 1
            while recent[0] <= second_ago:
                recent.popleft()
            if len(recent) > self.worst_second:
                self.worst_second = len(recent)
        if self._window is not None:
            self._granted -= 1
            self._window.wrote(permit, now)
        return True

    def ended(self, permit: Permit) -> None:
        """End the attempt, at once when its answer came or it was lost; unused, the permit goes back."""
        if permit.sent_at is None:
            self._granted -= 1
            self._tokens += 1
            if self._waiters:
                self._serve()
        elif self._window is not None:
            until = self._window.ended(permit, self._clock())
            if self._waiters and until < self._timer_at:
                self._arm(until)

    def _serve(self) -> None:
        """Grant to those who wait, as many as may go now, and set the timer for the next."""
        self._disarm()
        now = self._clock()
        while self._waiters:
            at = self._free_at(now)
            if at > now:
                if at < math.inf:
                    self._arm(at)
                return
            future = self._waiters.popleft()
            if not future.done():
                future.set_result(self._grant())

    def _arm(self, at: float) -> None:
        self._disarm()
        self._timer_at = at
        delay = max(TICK, at - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._serve)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = math.inf


def _forget(times: deque[float], until: float) -> None:
    while times and times[0] <= until:
        times.popleft()
