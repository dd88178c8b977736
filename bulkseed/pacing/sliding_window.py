"""The one-second window of a quota, counted exactly: here and, whatever the network does, at the service.

A quota of Q means: no half-open second holds more than Q. Every request takes one of Q places, from its grant
on. How long it keeps it makes two promises.

At the sender: a place is kept until it is written, however long that takes, and 1.005 s from the write on. So
when the last of k writes in one second was granted, the other k - 1 all had places: k <= Q.

At the service: it counts a request at some moment between our write and its reply, so sends a second apart
may arrive closer together. The place is kept until a second after the latest moment at which it can have been
counted, as seen by a new request that arrives as early as any can: `reply - fastest round trip + 1 s`. That
adds the request's own excess latency, on average half of the jitter of each way, and no jitter is guessed.
Until a second after the first reply nobody knows how fast a round trip can be: it counts as 0, and all of a
latency as excess. Otherwise a slow first reply would make the next ones look as if they had no jitter.
"""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkseed.pacing.pacer import Permit

SLACK = 0.005
"""The share by which a place outlasts its second: it covers what lies between our clock and the kernel's."""

EXCESS_MAX = 0.1
"""Excess latency beyond this (50 ms of jitter each way) is a slow service, not a slow network."""

EPOCH = 30.0
"""The fastest round trip is the minimum of this epoch and the last, in seconds: routes change."""

FIRST_EPOCH = 1.0
FIRST_EXCESS_MAX = 0.5
"""The first epoch is short. In it the excess may be more, as a connection's first request may be slow."""


class SlidingWindow:
    """At most `limit` requests in any second; below 1 a second, one request in `1 / limit` seconds."""

    __slots__ = (
        "_base",
        "_epoch_ends",
        "_excess_max",
        "_held",
        "_in_flight",
        "_last",
        "_now",
        "_open",
        "_places",
        "_second",
        "_shortest",
        "_spread",
    )

    def __init__(self, limit: float) -> None:
        self._places = max(1, math.floor(limit))
        self._second = max(1.0, 1 / limit)
        self._shortest = self._second * (1 + SLACK)
        self._in_flight: deque[Permit] = deque()  # in the order of their writes; ended ones leave lazily
        self._open = 0  # how many of them have a place
        self._held: list[float] = []  # heap: when the places of ended requests become free
        self._base = 0.0  # fastest round trip
        self._excess_max = self._spread = FIRST_EXCESS_MAX  # spread: slowest minus fastest
        self._epoch_ends = -math.inf
        # Fastest and slowest of the last epoch and of this one; before the first, anything is possible.
        self._last = self._now = (0.0, math.inf)

    def wrote(self, permit: Permit, now: float) -> None:
        """Start the second of a request that is written now."""
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
        excess = min(now - placed_at - self._base, self._excess_max)
        until = placed_at + max(self._shortest, self._second + excess)
        heappush(self._held, until)
        return until

    def answered(self, now: float, latency: float) -> None:
        """Learn from a round trip of `latency` seconds."""
        if now >= self._epoch_ends:
            first = self._epoch_ends == -math.inf
            self._excess_max = FIRST_EXCESS_MAX if first else EXCESS_MAX
            self._epoch_ends = now + (FIRST_EPOCH if first else EPOCH)
            self._last, self._now = self._now, (math.inf, 0.0)
        fastest, slowest = self._now
        if not fastest <= latency <= slowest:
            self._now = fastest, slowest = min(fastest, latency), max(slowest, latency)
            self._base = min(fastest, self._last[0])
            self._spread = min(max(slowest, self._last[1]) - self._base, self._excess_max)

    def free_at(self, now: float, granted: int) -> float:
        """Return when there is a place while `granted` are unwritten; inf: not before one is written."""
        held, in_flight = self._held, self._in_flight
        while held and held[0] <= now:
            heappop(held)
        longest = max(self._shortest, self._second + self._spread)
        free_at = math.inf
        while in_flight:
            placed_at = in_flight[0].placed_at
            if placed_at is not None:
                free_at = placed_at + longest
                if free_at > now:
                    break
                in_flight[0].placed_at = None
                self._open -= 1
            in_flight.popleft()
        if granted + self._open + len(held) < self._places:
            return now
        return min(free_at, held[0]) if held else free_at
