"""The attempts of a quota group over time: runs side by side, cut into slots of equal width.

What lies between two runs is left out, so that a run resumed days later stays readable.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bulkseed.report.attempts import SECOND, AnswerKind, kind_of

MOST_SLOTS = 240
WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Slot widths in seconds that people can read; beyond them whole days."""

_SPANS = (
    "SELECT run, min(sent_at), max(sent_at) FROM attempts WHERE quota_group = ? GROUP BY run ORDER BY run"
)
_SLOTS = """
SELECT run, (sent_at - first) / ? AS slot, status, code, count(*), sum(nth > 1) FROM (
  SELECT run, sent_at, status, code, min(sent_at) OVER (PARTITION BY run) AS first,
    row_number() OVER (PARTITION BY run, definition ORDER BY sent_at) AS nth
  FROM attempts WHERE quota_group = ?)
GROUP BY run, slot, status, code"""


@dataclass(slots=True)
class Slot:
    """What was sent in `seconds` from `started_at` on (epoch microseconds), by what became of it."""

    started_at: int
    seconds: int  # the last slot of a run may be shorter than the others
    kinds: Counter[AnswerKind] = field(default_factory=Counter)
    retries: int = 0

    @property
    def attempts(self) -> int:
        """All of them."""
        return self.kinds.total()


@dataclass(slots=True)
class Stretch:
    """The part of the timeline that belongs to a run; `offset` in seconds from the timeline's start."""

    run: int
    offset: int
    seconds: int
    limit: float  # attempts a second, 0: no ceiling
    slots: list[Slot]


@dataclass(slots=True)
class Timeline:
    """A quota group's attempts over time. `width` of a slot in seconds."""

    group: str
    width: int
    stretches: list[Stretch]

    @property
    def seconds(self) -> int:
        """The length of all runs together."""
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def smooth(self) -> bool:
        """True if every attempt was accepted and none was a retry."""
        slots = [slot for stretch in self.stretches for slot in stretch.slots]
        return not any(slot.retries or slot.attempts > slot.kinds[AnswerKind.ACCEPTED] for slot in slots)


def read_timeline(connection: sqlite3.Connection, group: str, limits: Mapping[int, float]) -> Timeline:
    """Return the timeline of a quota group that has attempts; `limits` maps runs to attempts a second."""
    spans = {run: (first, last) for run, first, last in connection.execute(_SPANS, (group,))}
    # A slot reaches to the next whole second, so that no rate can look higher than it was.
    lengths = {run: (last - first) // SECOND + 1 for run, (first, last) in spans.items()}
    width = _width(sum(lengths.values()))
    stretches: dict[int, Stretch] = {}
    offset = 0
    for run, (first, _) in spans.items():
        seconds = lengths[run]
        slots = [
            Slot(first + start * SECOND, min(width, seconds - start)) for start in range(0, seconds, width)
        ]
        stretches[run] = Stretch(run, offset, seconds, limits[run], slots)
        offset += seconds
    for run, number, status, code, count, retries in connection.execute(_SLOTS, (width * SECOND, group)):
        slot = stretches[run].slots[number]
        slot.kinds[kind_of(status, code)] += count
        slot.retries += retries
    return Timeline(group, width, list(stretches.values()))


def _width(seconds: int) -> int:
    least = math.ceil(seconds / MOST_SLOTS)
    return next((width for width in WIDTHS if width >= least), math.ceil(least / 86400) * 86400)
