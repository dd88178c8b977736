"""Quotas of requests: per group, never more than the limit in any one-second window.

Times are those of a clock that nobody sets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from bulkseed.wire.message import QuotaGroup


class Quota:
    """Counts what was let through in the last second; what is refused does not count."""

    def __init__(self, limits: Mapping[QuotaGroup, float]) -> None:
        self._windows = {group: _window(limit) for group, limit in limits.items() if limit}

    def take(self, group: QuotaGroup, now: float) -> float | None:
        """Let a request through (None), or return after how many seconds there is room again."""
        window = self._windows.get(group)
        return None if window is None else window.take(now)


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
