"""The two clocks of a run: one that never jumps, and the wall clock that rows and signatures need."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Monotonic seconds for pacing, and wall-clock times that stay consistent with them.

    `stamp` turns a monotonic time into epoch seconds by the offset at the start of the run, so that the send
    times of a run keep their distances even when the wall clock is set while it goes on.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        ahead: float = 0.0,
    ) -> None:
        """Read both clocks. `ahead`: seconds by which the ledger's machine is ahead of ours."""
        self.monotonic = monotonic
        self.wall = wall
        self._offset = wall() + ahead - monotonic()

    def time(self) -> float:
        """Return the epoch seconds of now."""
        return self.monotonic() + self._offset

    def stamp(self, monotonic: float) -> float:
        """Return the epoch seconds of a monotonic time of this run."""
        return monotonic + self._offset
