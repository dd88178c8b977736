"""What the attempts on record say: answers, pace and latencies.

Rules that live here: what counts as accepted, throttled, failed, lost or refused, and what a retry is.
Times are epoch microseconds, as in the ledger; latencies and lengths too.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from bulkseed.model import Fault
from bulkseed.policy.verdicts import Verdict, classify

SECOND = 1_000_000
BINS_PER_DECADE = 10

_ANSWERS = """
SELECT quota_group, status, code, count(*) AS n FROM attempts GROUP BY quota_group, status, code
ORDER BY n DESC, 1, 2, 3"""
_USE = """
SELECT quota_group, run, count(*), count(*) - count(DISTINCT definition), max(sent_at) - min(sent_at)
FROM attempts GROUP BY quota_group, run ORDER BY run, quota_group"""
_FULLEST = """
SELECT quota_group, run, max(sends), sent_at FROM (
  SELECT quota_group, run, sent_at, count(*) OVER (
    PARTITION BY quota_group ORDER BY sent_at RANGE BETWEEN 999999 PRECEDING AND CURRENT ROW) AS sends
  FROM attempts)
GROUP BY quota_group, run"""
_LATENCIES = """
SELECT quota_group, latency, count(*) FROM attempts WHERE status IS NOT NULL GROUP BY quota_group, latency
ORDER BY quota_group, latency"""


class AnswerKind(StrEnum):
    """What became of an attempt."""

    ACCEPTED = "accepted"
    THROTTLED = "throttled"
    FAILED = "failed"  # at the service or a gateway, so that another attempt may succeed
    LOST = "no answer"
    REFUSED = "refused"  # for good; a name that exists already is among them


_KINDS = {Verdict.THROTTLED: AnswerKind.THROTTLED, Verdict.RETRY: AnswerKind.FAILED}


def kind_of(status: int | None, code: str | None) -> AnswerKind:
    """Tell what an attempt's status and code mean, by the rules that the run went by."""
    if status is None:
        return AnswerKind.LOST
    if code is None and 200 <= status < 300:
        return AnswerKind.ACCEPTED
    return _KINDS.get(classify(Fault(code or "", status)), AnswerKind.REFUSED)


class Answer(NamedTuple):
    """How often a quota group had an answer; without a `status` none came."""

    group: str
    status: int | None
    code: str | None
    times: int

    @property
    def kind(self) -> AnswerKind:
        """What it means."""
        return kind_of(self.status, self.code)


@dataclass(slots=True, frozen=True)
class Pace:
    """How a run used a quota group. `fullest`: the most attempts in any second up to one of its attempts."""

    group: str
    run: int
    attempts: int
    retries: int  # after the first of the same definition
    length: int  # from the first attempt to the last
    limit: float  # attempts a second, 0: no ceiling
    fullest: int
    fullest_at: int  # when that second ended

    @property
    def mean(self) -> float | None:
        """Attempts a second between the first and the last; None within a second, which is no rate.

        Bursts at both ends count no more than the fullest second held.
        """
        if self.length < SECOND:
            return None
        return min(float(self.fullest), (self.attempts - 1) * SECOND / self.length)

    @property
    def kept(self) -> bool:
        """True if no second held more than the limit; a limit below 1 allows one."""
        return not self.limit or self.fullest <= max(1, math.floor(self.limit))


class Bin(NamedTuple):
    """Answers that took at least `low` and less than `high`."""

    low: float
    high: float
    answers: int


@dataclass(slots=True, frozen=True)
class LatencyFigures:
    """How long a quota group's answers took: percentiles by nearest rank, and bins of a tenth of a decade."""

    group: str
    answers: int
    percentiles: dict[int, int]  # of 50, 90, 99 and 100
    bins: list[Bin]


def read_answers(connection: sqlite3.Connection) -> list[Answer]:
    """Count the answers, the most frequent first."""
    return [Answer(*row) for row in connection.execute(_ANSWERS)]


def read_paces(connection: sqlite3.Connection, limits: Mapping[int, Mapping[str, float]]) -> list[Pace]:
    """Return the pace of every quota group and run; `limits` maps runs to quota groups to attempts a second.

    A second that reaches back over the end of an earlier run counts its attempts too.
    """
    fullest = {(group, run): (most, at) for group, run, most, at in connection.execute(_FULLEST)}
    return [
        Pace(group, run, attempts, retries, length, limits[run].get(group, 0), *fullest[group, run])
        for group, run, attempts, retries, length in connection.execute(_USE)
    ]


def read_latencies(connection: sqlite3.Connection) -> list[LatencyFigures]:
    """Return the latencies of every quota group that had an answer."""
    return [
        _latencies(group, [(latency, count) for _, latency, count in found])
        for group, found in groupby(connection.execute(_LATENCIES), itemgetter(0))
    ]


def _latencies(group: str, counts: list[tuple[int, int]]) -> LatencyFigures:
    """`counts`: latency and how often, in ascending order."""
    answers = sum(count for _, count in counts)
    ranks = {share: math.ceil(answers * share / 100) for share in (50, 90, 99, 100)}
    percentiles: dict[int, int] = {}
    seen = 0
    for latency, count in counts:
        seen += count
        percentiles |= {s: latency for s, rank in ranks.items() if s not in percentiles and rank <= seen}
    return LatencyFigures(group, answers, percentiles, list(_bins(counts)))


def _bins(counts: list[tuple[int, int]]) -> Iterator[Bin]:
    """Yield the bins from the fastest answer to the slowest, empty ones between them too."""
    found: dict[int, int] = {}
    for latency, count in counts:
        step = math.floor(math.log10(max(latency, 1)) * BINS_PER_DECADE)
        found[step] = found.get(step, 0) + count
    for step in range(min(found), max(found) + 1):
        low, high = (10 ** (edge / BINS_PER_DECADE) for edge in (step, step + 1))
        yield Bin(low, high, found.get(step, 0))
