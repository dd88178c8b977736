"""The one-second window of a quota, counted exactly: here and, whatever the network does, at the service.

A quota of Q means: no half-open second holds more than Q. Every request takes one of Q places, from its grant
on. How long it keeps it makes two promises.

At the sender: a place is kept until it is written, however long that takes, and 1.005 s from the write on. So
when the last of k writes in one second was granted, the other k - 1 all had places: k <= Q.

At the service: it counts a request at some moment between our write and its reply. A request without a reply
may not have arrived yet, as a network that stalls lets go of everything at once. So a place is kept until the
request is answered or lost, and from then until a second after the latest moment at which it can have been
counted, as seen by a new request that arrives as early as any can: `reply - fastest round trip + 1 s`.

That costs a request's own excess latency, on average half of the jitter of each way, and no jitter is
guessed. It costs more where replies take longer than a second: no more than Q requests are ever unanswered.

How fast a round trip can be, nobody knows at first: it counts as 0, and all of a latency as excess. It is
learned from requests that are written after the first reply, for a second at least, as connections that are
new are slow, and a network may stall just then. After a stall it is learned anew: what was known may be of a
machine that was busy, or of another route.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

from bulkseed.pacing.permit import Permit

SLACK = 0.005
"""The share by which a place outlasts its second: it covers what lies between our clock and the kernel's."""

EPOCH = 30.0
"""The fastest round trip is the minimum of this epoch and the last, in seconds: routes change."""

FIRST_EPOCH = 1.0
"""Seconds from the first reply until the fastest round trip since is believed."""


class SlidingWindow:
    """At most `limit` requests in any second; below 1 a second, one request in `1 / limit` seconds."""

    __slots__ = (
        "_epoch_ends",
        "_fastest",
        "_first_reply_at",
        "_held",
        "_known",
        "_last",
        "_now",
        "_open",
        "_places",
        "_second",
        "_shortest",
    )

    def __init__(self, limit: float) -> None:
        self._places = max(1, math.floor(limit))
        self._second = max(1.0, 1 / limit)
        self._shortest = self._second * (1 + SLACK)
        self._open = 0  # requests that are written and neither answered nor lost
        self._held: list[float] = []  # heap: when the places of ended requests become free
        self._forget(math.inf)

    def _forget(self, known: float) -> None:
        """Begin to learn how fast a round trip can be; for an epoch no more than what was `known`."""
        self._known = known
        self._fastest = 0.0  # 0: nobody knows yet
        self._first_reply_at = math.inf
        self._epoch_ends = math.inf
        self._last, self._now = 0.0, math.inf  # the fastest round trips of the last epoch and of this one

    def wrote(self, permit: Permit, now: float) -> None:
        """Start the second of a request that is written now."""
        permit.placed_at = now
        self._open += 1

    def ended(self, permit: Permit, now: float) -> float:
        """Note that the request ended, answered or lost; return when its place becomes free."""
        self._open -= 1
        if 0 < self._fastest < now - permit.placed_at - self._second:  # a stall
            self._forget(self._fastest)
        until = max(permit.placed_at + self._shortest, now - self._fastest + self._second)
        heappush(self._held, until)
        return until

    def answered(self, now: float, latency: float) -> None:
        """Learn from a round trip of `latency` seconds."""
        if self._first_reply_at == math.inf:
            self._first_reply_at, self._epoch_ends = now, now + FIRST_EPOCH
        if now - latency < self._first_reply_at:
            return
        if now >= self._epoch_ends and self._now < math.inf:
            if self._last > 0:  # a whole epoch has passed
                self._known = math.inf
            self._last, self._now = self._now, math.inf
            self._epoch_ends = now + EPOCH
        if latency < self._now:
            self._now = latency
            self._fastest = min(latency, self._last, self._known)

    def free_at(self, now: float, granted: int) -> float:
        """Return when there is a place while `granted` are unwritten; inf: not before a request ends."""
        held = self._held
        while held and held[0] <= now:
            heappop(held)
        if granted + self._open + len(held) < self._places:
            return now
        return held[0] if held else math.inf
