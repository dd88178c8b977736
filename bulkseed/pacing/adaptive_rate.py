"""The pace of a quota group that the service throttles: how far down, and how it comes back.

Throttling below our own ceiling means that others use the quota too, or that the ceiling is set too high.
What got through in the last second is about what is left for us. The pace drops to 90 % of that and climbs
back along a cubic curve (as TCP CUBIC does, RFC 9438): fast at first, level around the rate that was too
much, so that most of the time is spent just below it with few refusals, then ever faster. From any depth it
is at the ceiling again within 9 s, so when the others leave, the quota is used again within 10.
"""

from __future__ import annotations

import math

DECREASE = 0.9
CLIMB = 300.0  # seconds cubed: after the level part, nothing becomes the ceiling in cbrt(CLIMB) = 6.7 s
WINDOW = 1.0
FLOOR = 1.0
"""Sends per second, or a tenth of the ceiling: whoever tries less may starve beside a steady client."""


class AdaptiveRate:
    """The rate that the service lets us have, in sends per second; inf while it does not throttle.

    Without a `limit` the ceiling is the rate that was sent when the throttling began.
    """

    __slots__ = ("_anchor", "_ceiling", "_cut_at", "_level_after", "_limit")

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._ceiling = limit
        self._anchor = math.inf  # the rate that was too much; inf: none is
        self._cut_at = -math.inf
        self._level_after = 0.0

    def at(self, now: float) -> float:
        """Return the pace at this moment."""
        if self._anchor == math.inf:
            return math.inf
        after = max(0.0, now - self._cut_at) - self._level_after
        rate = self._anchor + self._ceiling / CLIMB * after * after * after
        if rate >= self._ceiling:
            self._anchor = math.inf
            return math.inf
        return rate

    def refused(self, written_at: float, now: float, sent: float, refused: float, resume_at: float) -> None:
        """Slow down: a request written at `written_at` was throttled.

        `sent` and `refused` are the rates of the last second. Requests written before the last cut say
        nothing new. The climb starts at `resume_at`, the end of a pause that the service asked for.
        """
        if written_at < self._cut_at:
            return
        rate = self.at(now)
        if self._anchor == math.inf:  # the first refusal may be chance: 10 %, and see
            self._anchor = self._ceiling = self._limit or max(FLOOR, sent)  # it may have left long ago
        elif now - self._cut_at < WINDOW:  # still the same overload: follow it, but no second 10 %
            self._anchor = min(self._anchor, sent - refused)
        else:
            self._anchor = min(rate, (self._anchor + sent - refused) / 2)
        self._anchor = max(self._anchor, min(FLOOR, self._ceiling / 10))
        self._level_after = math.cbrt((1 - DECREASE) * self._anchor * CLIMB / self._ceiling)
        self._cut_at = resume_at
