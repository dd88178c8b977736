"""What a run has done so far, in constant memory: counters that the summary and the progress display read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bulkseed.client.operations import Operation
from bulkseed.client.work_item import WorkItem
from bulkseed.model import Fault, NoReply, Outcome, Verified
from bulkseed.policy.verdicts import Verdict, classify

_STEPS_PER_E = 50  # a bucket is 2 % wide


def _bucket(seconds: float) -> int:
    return int(math.log(seconds * 1e6) * _STEPS_PER_E) if seconds > 1e-6 else 0


class Latencies:
    """A histogram of latencies with buckets 2 % wide; memory does not grow with the number of requests."""

    __slots__ = ("_buckets", "_max")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max = 0.0

    def add(self, seconds: float) -> None:
        """Count one reply."""
        buckets, bucket = self._buckets, _bucket(seconds)
        buckets[bucket] = buckets.get(bucket, 0) + 1  # a Counter's own += asks twice
        if seconds > self._max:
            self._max = seconds

    def percentile(self, share: float) -> float | None:
        """Return the latency in seconds that `share` of the replies did not exceed, within 2 %."""
        rank = share * self._buckets.total()
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(math.exp((bucket + 1) / _STEPS_PER_E) / 1e6, self._max)
        return None

    def to_json(self) -> list[Any]:
        """Return the whole histogram, for another process."""
        return [list(self._buckets.items()), self._max]

    def add_json(self, found: list[Any]) -> None:
        """Count all that another histogram has counted, as exactly as if here."""
        buckets, longest = found
        for bucket, count in buckets:
            self._buckets[bucket] += count
        self._max = max(self._max, longest)

    @property
    def count(self) -> int:
        """How many replies there were."""
        return self._buckets.total()

    def cumulative(self, bounds: Iterable[float]) -> list[tuple[float, int]]:
        """Return for each bound, in seconds and rising, how many replies came within it (to 2 %)."""
        buckets = dict(self._buckets)  # another thread may ask
        return [
            (bound, sum(count for bucket, count in buckets.items() if bucket <= _bucket(bound)))
            for bound in bounds
        ]

    def as_milliseconds(self) -> dict[str, float | None]:
        """Return p50, p90, p99 and max in milliseconds; None without replies."""
        shares = {"p50": self.percentile(0.5), "p90": self.percentile(0.9), "p99": self.percentile(0.99)}
        shares["max"] = self._max if self._buckets else None
        return {name: None if value is None else round(value * 1000, 1) for name, value in shares.items()}


class Stats:
    """Counters of one run. `read` definitions have been read; each ends in exactly one of `outcomes`.

    `last_problem` and `waiting_for` are what a display shows beside them. `source_reads` counts reads at
    sources, `source_throttled` those that were refused for their rate.

    What `admitted` counts is written in the ledger's thread, everything else in the event loop's.
    """

    def __init__(self) -> None:
        self.read = 0
        # Every key from the start: the other thread may iterate.
        words = dict.fromkeys((*Outcome, *Verified), 0)
        self.known: Counter[Outcome | Verified] = Counter(words)  # settled by earlier runs, or invalid
        self.carried: Counter[Outcome | Verified] = Counter(words)  # what workers have come to
        self.attempts = 0
        self.throttled = 0
        self.retried = 0
        self.latencies = Latencies()
        self.last_problem: str | None = None
        self.source_reads = 0
        self.source_throttled = 0
        self.silent: list[str] = []

    def attempted(
        self, work: WorkItem[Any], _operation: Operation[Any, Any], _status: int | None, answer: object
    ) -> None:
        """Count an attempt; an observer of a `Client`."""
        self.attempts += 1
        self.retried += work.repeated
        if isinstance(answer, NoReply):
            return
        self.latencies.add(work.latency)
        if isinstance(answer, Fault):
            self.throttled += classify(answer) is Verdict.THROTTLED

    def admitted(self, read: int, settled: Mapping[Outcome | Verified, int], invalid: int) -> None:
        """Count a block of the manifest."""
        self.read += read
        self.known.update(settled)
        self.known[Outcome.INVALID] += invalid

    @property
    def waiting_for(self) -> str:
        """Who does not answer, so that the run waits; "" while nobody is waited for."""
        return " and ".join(self.silent)

    @property
    def outcomes(self) -> Counter[Outcome | Verified]:
        """Outcome → how many definitions have it so far."""
        return self.known + self.carried

    @property
    def finished(self) -> int:
        """How many definitions have their outcome."""
        return self.known.total() + self.carried.total()
