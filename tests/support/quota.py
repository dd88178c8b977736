"""Quotas as services enforce them, and clients that use one, under the virtual clock."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bulkseed.pacing.pacer import Pacer
from support.virtual_clock import now

Delay = Callable[[], float]


class Quota(Protocol):
    """Decides on requests in the order of their arrival."""

    def accepts(self, at: float) -> bool:
        """Decide on a request that arrives at `at`."""
        ...


class SlidingWindow:
    """At most `limit` accepted in any half-open second; refused requests do not count."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._accepted: deque[float] = deque()

    def accepts(self, at: float) -> bool:
        """Decide on a request that arrives at `at`."""
        while self._accepted and self._accepted[0] <= at - 1:
            self._accepted.popleft()
        if len(self._accepted) >= self.limit:
            return False
        self._accepted.append(at)
        return True


class CalendarWindow:
    """At most `limit` accepted in each second of the calendar."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._second = -1
        self._accepted = 0

    def accepts(self, at: float) -> bool:
        """Decide on a request that arrives at `at`."""
        if math.floor(at) != self._second:
            self._second, self._accepted = math.floor(at), 0
        self._accepted += 1
        return self._accepted <= self.limit


@dataclass
class Record:
    """When each request of a client was written and decided, in seconds after the client's start."""

    written: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def rate(self, start: float, end: float) -> float:
        """Return how many a second were accepted in between."""
        return sum(start <= at < end for at in self.accepted) / (end - start)

    def refusals(self, start: float, end: float) -> float:
        """Return the share of what was decided in between that was refused."""
        refused = sum(start <= at < end for at in self.refused)
        return refused / max(1, refused + sum(start <= at < end for at in self.accepted))


async def use(
    quota: Quota,
    pacer: Pacer,
    seconds: float,
    *,
    there: Delay = lambda: 0.005,
    back: Delay = lambda: 0.005,
    workers: int = 32,
    retry_after: float | None = None,
    round_trip: float | None = None,
) -> Record:
    """Send as much as `pacer` lets through for some seconds; `there` and `back` are the one-way latencies.

    `round_trip` is what the kernel says of the network alone; None: it says nothing.
    """
    record, start = Record(), now()

    async def work() -> None:
        while (permit := await pacer.acquire()) is not None:
            pacer.wrote(permit)
            written = now()
            record.written.append(written - start)
            await asyncio.sleep(there())
            accepted = quota.accepts(now())
            (record.accepted if accepted else record.refused).append(now() - start)
            await asyncio.sleep(back())
            pacer.ended(permit)
            pacer.answered(now() - written, not accepted, None if accepted else retry_after, round_trip)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
        await asyncio.sleep(seconds)
        pacer.close()
    return record


async def crowd(quota: Quota, rate: float, join: float, leave: float, seed: int = 0) -> None:
    """Others: `rate` requests a second at random moments, from `join` to `leave` seconds from now."""
    rng, start = random.Random(seed), now()  # noqa: S311  # a simulation, repeatable
    await asyncio.sleep(join)
    while now() < start + leave:
        quota.accepts(now())
        await asyncio.sleep(rng.expovariate(rate))


def most_in_one_second(times: list[float]) -> int:
    """Return the most of the sorted `times` in any half-open second, counted the plain way."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most
