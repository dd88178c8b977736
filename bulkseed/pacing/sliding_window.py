"""The one-second window of a quota, counted exactly: here and, whatever the network does, at the service.

A quota of Q means: no half-open second holds more than Q. Every request takes one of Q places, from its grant
on. How long it keeps it makes two promises.

At the sender: a place is kept until it is written, however long that takes, and 1.005 s from the write on. So
when the last of k writes in one second was granted, the other k - 1 all had places: k <= Q.

At the service: it counts a request at some moment between our write and its reply. A request without a reply
may not have arrived yet, as a network that stalls lets go of everything at once. So a place is kept until the
request is answered or lost, and from then until a second after the latest moment at which it can have been
counted, as seen by a new request that arrives as early as any can: `reply - fastest round trip + 1 s`.

What is known of the fastest round trip is the least of two things that are measured, both over the last
minute: how long requests took, and what the kernel saw of their connections (`transport.round_trip`). The
first alone is wrong where every request waits in the service, as its process or its machine is starved: the
wait looks like distance. It ends at once for all, and then a new request arrives earlier than any before. The
kernel's figure holds no such wait, as the other kernel confirms bytes whether or not anybody reads them. To
a proxy it is smaller than to the service, which errs on the safe side. Where the system does not tell it, the
first alone must do.

That costs a request's own excess latency: the jitter, on average half of the most that each way adds, and
what the service itself takes beyond the 5 ms that a place lasts longer anyway. No jitter is guessed. It costs
more where replies take longer than a second: no more than Q requests are ever unanswered.

How fast a round trip can be, nobody knows at first: it counts as 0, and all of a latency as excess. It is
learned from requests that are written after the first reply, for a second at least, as connections that are
new are slow, and a network may stall just then. After a stall it is learned anew: what was known may be of a
machine that was busy, or of another route. What turns out to be faster than was known counts for the places
that are held already, too.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush

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
        # heap: when the places of ended requests become free, and when they ended
        self._held: list[tuple[float, float]] = []
        self._fastest = 0.0
        self._forget(math.inf)

    def _forget(self, known: float) -> None:
        """Begin to learn how fast a round trip can be; for an epoch no more than what was `known`."""
        self._known = known
        self._believe(0.0)  # 0: nobody knows yet
        self._first_reply_at = math.inf
        self._epoch_ends = math.inf
        self._last, self._now = 0.0, math.inf  # the fastest round trips of the last epoch and of this one

    def _believe(self, fastest: float) -> None:
        """Take it for the fastest round trip; if it is less than before, places are held for longer."""
        longer, self._fastest = fastest < self._fastest, fastest
        if longer:
            second = self._second - fastest
            self._held = [(max(until, ended_at + second), ended_at) for until, ended_at in self._held]
            heapify(self._held)

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
        heappush(self._held, (until, now))
        return until

    def answered(self, now: float, latency: float, round_trip: float | None = None) -> None:
        """Learn from a reply that came after `latency` seconds; `round_trip` is what the kernel has seen."""
        if self._first_reply_at == math.inf:
            self._first_reply_at, self._epoch_ends = now, now + FIRST_EPOCH
        if now - latency < self._first_reply_at:
            return
        if now >= self._epoch_ends and self._now < math.inf:
            if self._last > 0:  # a whole epoch has passed
                self._known = math.inf
            self._last, self._now = self._now, math.inf
            self._epoch_ends = now + EPOCH
        seen = latency if round_trip is None else min(latency, round_trip)
        if seen < self._now:
            self._now = seen
            self._believe(min(seen, self._last, self._known))

    def free_at(self, now: float, granted: int) -> float:
        """Return when there is a place while `granted` are unwritten; inf: not before a request ends."""
        held = self._held
        while held and held[0][0] <= now:
            heappop(held)
        if granted + self._open + len(held) < self._places:
            return now
        return held[0][0] if held else math.inf
