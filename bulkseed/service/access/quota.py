"""Quotas of requests: per group, never more than the limit in any one-second window.

Times are those of a clock that nobody sets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from bulkseed.model import QuotaGroup


class Quota:
    """Counts what was let through in the last second; what is refused does not count.

    `limits` has every quota group; 0 is no limit.
    """

    def __init__(self, limits: Mapping[QuotaGroup, float]) -> None:
        self._limits = limits
        self._windows = {group: _window(limits[group]) if limits[group] else None for group in QuotaGroup}
        self._minutes = {group: Minute() for group in QuotaGroup}

    def take(self, group: QuotaGroup, now: float) -> float | None:
        """Let a request through (None), or return after how many seconds there is room again."""
        window = self._windows[group]
        wait = None if window is None else window.take(now)
        self._minutes[group].count(now, refused=wait is not None)
        return wait

    def usage(self, now: float) -> list[dict[str, object]]:
        """Return each group's limit and what it let through and refused in each second, oldest first."""
        return [
            {"group": str(group), "limit": self._limits[group], "used": used, "refused": refused}
            for group, minute in self._minutes.items()
            for used, refused in [minute.read(now)]
        ]


class Minute:
    """Counts requests in each of the last 60 seconds."""

    def __init__(self) -> None:
        self._second = 0
        self._counts = deque([[0, 0]], maxlen=60)

    def count(self, now: float, *, refused: bool) -> None:
        """Count a request at `now`, in epoch seconds."""
        if int(now) != self._second:
            self._advance(int(now))
        self._counts[-1][refused] += 1

    def read(self, now: float) -> tuple[list[int], list[int]]:
        """Return how many were let through and how many refused, for each second up to `now`."""
        self._advance(int(now))
        counts = [[0, 0]] * (60 - len(self._counts)) + list(self._counts)
        return [used for used, _ in counts], [refused for _, refused in counts]

    def _advance(self, second: int) -> None:
        for _ in range(min(60, second - self._second)):
            self._counts.append([0, 0])
        self._second = max(second, self._second)


def _window(limit: float) -> Window:
    """Below one a second, one event fits into a longer window."""
    return Window(int(limit)) if limit >= 1 else Window(1, 1 / limit)


class Window:
    """At most `limit` events in any half-open span of `span` seconds."""

    def __init__(self, limit: int, span: float = 1.0) -> None:
        self._times: deque[float] = deque(maxlen=limit)
        self._span = span

    def take(self, now: float) -> float | None:
        """Record an event at `now` (None), or return how long until one fits."""
        times = self._times
        if len(times) == times.maxlen:
            wait = times[0] + self._span - now
            if wait > 0:
                return wait
        times.append(now)
        return None
