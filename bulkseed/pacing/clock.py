"""The clocks of a run: one that never jumps and counts sleep, and the wall clock that signatures need."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from bulkseed.policy.moments import AGREEMENT, Era


def this_boot() -> str | None:
    """Name the boot of this machine, on Linux (proc(5), /proc/sys/kernel/random/boot_id)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def counting_sleep() -> Callable[[], float]:
    """Return a clock that is never set and goes on while the machine sleeps, where the system has one."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    if sys.platform == "darwin":
        clock = time.CLOCK_MONOTONIC  # counts sleep there, which `time.monotonic` does not
    if clock is not None:
        with suppress(OSError):
            time.clock_gettime(clock)
            return partial(time.clock_gettime, clock)
    return time.monotonic


class Clock:
    """Monotonic seconds for pacing, and wall-clock times that stay consistent with them.

    `stamp` turns a monotonic time into epoch seconds by the offset at the start of the run, so that the send
    times of a run keep their distances even when the wall clock is set while it goes on.

    Attributes:
        monotonic: seconds that count the time in which the machine sleeps.
        awake: seconds that do not: sleep uses up no budget, and is no outage.
        wall: epoch seconds, which may be set at any time.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] | None = None,
        wall: Callable[[], float] = time.time,
        ahead: float = 0.0,
        awake: Callable[[], float] | None = None,
        boot: str | None = None,
    ) -> None:
        """Read the clocks. `ahead`: seconds by which the ledger's machine is ahead of ours.

        `boot` names the time for which `monotonic` counts on, where another one is given.
        """
        self.monotonic = monotonic or counting_sleep()
        self.awake = awake or monotonic or time.monotonic
        self.wall = wall
        self._ahead = ahead
        self._offset = wall() + ahead - self.monotonic()
        self.era = Era(this_boot() if monotonic is None else boot, self._offset)

    def wall_there(self) -> float:
        """Return what the wall clock of the ledger's machine says, as far as ours knows it."""
        return self.wall() + self._ahead

    def time(self) -> float:
        """Return the epoch seconds of now."""
        return self.monotonic() + self._offset

    def agrees(self) -> bool:
        """Tell whether both clocks say that the same time has passed since the run began."""
        return abs(self.wall_there() - self.time()) <= AGREEMENT

    def stamp(self, monotonic: float) -> float:
        """Return the epoch seconds of a monotonic time of this run."""
        return monotonic + self._offset
