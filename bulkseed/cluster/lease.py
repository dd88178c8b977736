"""The right to send, which ends by itself: so nobody sends who was cut off, frozen, or taken for dead."""

from __future__ import annotations

import math
from collections.abc import Callable

from bulkseed.pacing.clock import counting_sleep

LEASE = 30.0
"""Seconds. What was lost with its worker waits for so long until it goes on elsewhere."""

MARGIN = 1.5
"""Seconds from the end of a lease to the next placement: a request's way to the service, and a window of one
second there."""

DRAINED = "its worker was shut down"
LAPSED = "its worker was cut off from the coordinator"
AGAIN = frozenset({DRAINED, LAPSED})
"""Why a run was stopped that goes on at another worker."""

lease_clock = counting_sleep()
"""Seconds of a clock that never jumps and, where the system has one, goes on while the machine sleeps."""


class Lease:
    """A worker's right to send for one target. It lasts for `seconds` from when it was last asked for.

    The coordinator counts from when it heard, which is later: its end of the lease is never the earlier one.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = lease_clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = -math.inf
        self._began = clock()
        self._ended = False

    def renewed(self, asked_at: float) -> None:
        """Note that the coordinator has answered what was asked at a time of `lease_clock`."""
        if not self._ended:
            self._until = max(self._until, asked_at + self.seconds)

    def end(self) -> None:
        """Give it back: nothing is sent any more, whatever answers come late."""
        self._ended = True
        self._until = -math.inf
        self._began = -math.inf

    def lasts(self) -> bool:
        """Tell whether something may be sent now."""
        return self._clock() < self._until

    @property
    def is_over(self) -> bool:
        """True if it ended, or was never given for as long as it would have lasted."""
        return self._clock() >= max(self._until, self._began + self.seconds)
