"""The two one-second windows that a lane with a quota must respect, counted exactly.

A quota of Q means: no half-open second holds more than Q. Where that second is laid differs.

`SenderWindow` is ours: at most Q writes in any second, whatever the delay between a grant and its write. A
grant is counted until it is written, and a write from the moment it happened, so when the last of k writes in
one second was granted, the other k - 1 were all counted: k <= Q.

`ServiceWindow` is the service's. It counts a request somewhere between our write and its reply, and the
network decides when: sends that are a second apart may arrive closer together. So a request keeps its place
until one second after the latest moment at which the service can have counted it, seen from a new request
that arrives as early as any can: `reply - fastest round trip + 1 s`. The wait added is the request's own
excess latency, on average half of the jitter of one way, and no jitter has to be guessed.
"""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkseed.engine.pacer import Permit

SECOND = 1.005
"""The sender's second, in seconds: the last 5 ms cover what lies between our clock and the kernel's write."""

EXCESS_MAX = 0.1
"""Excess latency beyond this (50 ms of jitter each way) is a slow service, not a slow network."""

EPOCH = 30.0
"""The fastest round trip is the minimum of this epoch and the last, in seconds: routes change."""


class SenderWindow:
    """At most `limit` writes in any half-open second; below 1 a second, one write in `1 / limit` seconds."""

    __slots__ = ("_length", "_slots", "_times")

    def __init__(self, limit: float) -> None:
        self._slots = max(1, math.floor(limit))
        self._length = SECOND * max(1.0, 1 / limit)
        self._times: deque[float] = deque()

    def wrote(self, now: float) -> None:
        """Count a write that happens now."""
        self._times.append(now)

    def free_at(self, now: float, granted: int) -> float:
        """Return when one more may be granted while `granted` are unwritten; inf: not before a write."""
        times = self._times
        horizon = now - self._length
        while times and times[0] <= horizon:
            times.popleft()
        if len(times) + granted < self._slots:
            return now
        return times[0] + self._length if times else math.inf


class ServiceWindow:
    """At most `limit` requests that the service may have counted within the same second."""

    __slots__ = (
        "_base",
        "_epoch_began",
        "_held",
        "_in_flight",
        "_last",
        "_now",
        "_open",
        "_second",
        "_slots",
        "_spread",
    )

    def __init__(self, limit: float) -> None:
        self._slots = max(1, math.floor(limit))
        self._second = max(1.0, 1 / limit)
        self._in_flight: deque[Permit] = deque()  # in the order of their writes; ended ones leave lazily
        self._open = 0  # how many of them still hold a place
        self._held: list[float] = []  # heap: when the places of answered requests become free
        self._base = math.inf  # fastest round trip
        self._spread = EXCESS_MAX  # slowest minus fastest
        self._epoch_began = -math.inf
        self._last = self._now = (math.inf, 0.0)  # fastest and slowest of the last epoch and of this one

    def wrote(self, permit: Permit, now: float) -> None:
        """Give the request a place, from its write on."""
        permit.placed_at = now
        self._in_flight.append(permit)
        self._open += 1

    def ended(self, permit: Permit, now: float) -> float:
        """Note that the request ended, answered or lost; return when its place becomes free."""
        placed_at = permit.placed_at
        if placed_at is None:
            return now
        permit.placed_at = None
        self._open -= 1
        excess = min(max(0.0, now - placed_at - self._base), EXCESS_MAX)
        until = placed_at + self._second + excess
        if until > now:
            heappush(self._held, until)
        return until

    def answered(self, now: float, latency: float) -> None:
        """Learn from a round trip of `latency` seconds."""
        if now - self._epoch_began >= EPOCH:
            self._epoch_began = now
            self._last, self._now = self._now, (math.inf, 0.0)
        fastest, slowest = self._now
        if not fastest <= latency <= slowest:
            self._now = fastest, slowest = min(fastest, latency), max(slowest, latency)
            self._base = min(fastest, self._last[0])
            self._spread = min(max(slowest, self._last[1]) - self._base, EXCESS_MAX)

    def free_at(self, now: float, granted: int) -> float:
        """Return when one more may be granted while `granted` are unwritten; inf: not before a write."""
        held, in_flight = self._held, self._in_flight
        while held and held[0] <= now:
            heappop(held)
        free_at = math.inf
        while in_flight:
            placed_at = in_flight[0].placed_at
            if placed_at is not None:
                free_at = placed_at + self._second + self._spread
                if free_at > now:
                    break
                in_flight[0].placed_at = None
                self._open -= 1
            in_flight.popleft()
        if granted + self._open + len(held) < self._slots:
            return now
        return min(free_at, held[0]) if held else free_at
