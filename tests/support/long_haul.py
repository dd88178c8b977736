"""Hours of a run at its quota under the virtual clock: credentials expire, spells of throttling, outages.

Every hour the service is away for four minutes, each time in another way, and for two minutes others take
half of the quota. Credentials are good for half an hour.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Credentials, NoReply, Origin, SecretDefinition, SecretValue, Summary
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_secret
from bulkseed.wire.message import Request, Response
from support import virtual_clock
from support.quota import SlidingWindow, most_in_one_second
from support.world import Network, Trouble, World

HOUR, MINUTE = 3600.0, 60.0
OUTAGE = (20 * MINUTE, 24 * MINUTE)
SPELL = (40 * MINUTE, 42 * MINUTE)
OUTAGES = ("drop-after", "refused", "500-after", "html-502", "drop-before", "500-before")
GOOD_FOR = 30 * MINUTE
SETTLING = 15.0
"""Seconds after a trouble until the pace must be back."""


@dataclass
class Haul:
    """What a long haul came to. `sent`: when each create was written, in seconds after the start."""

    rate: float
    summary: Summary
    sent: list[float]
    created: int
    fetched: int
    broken: list[object]
    alive: list[Counter[str]] = field(default_factory=list)  # objects of ours by type, every half hour

    @property
    def hours(self) -> float:
        """How long it took."""
        return self.sent[-1] / HOUR

    @property
    def worst_second(self) -> int:
        """The most sends in any second."""
        return most_in_one_second(self.sent)

    def pace_after(self, trouble: tuple[float, float]) -> list[float]:
        """Return the share of the quota used in the minutes soon after the end of each `trouble`."""
        shares: list[float] = []
        for hour in itertools.count():
            start = hour * HOUR + trouble[1] + SETTLING
            if start + MINUTE > self.sent[-1]:
                return shares
            sends = bisect_left(self.sent, start + MINUTE) - bisect_left(self.sent, start)
            shares.append(sends / MINUTE / self.rate)
        raise AssertionError


async def haul(folder: Path, hours: float, rate: float) -> Haul:
    """Provision what the quota allows in `hours`."""
    count = round(hours * HOUR * rate)
    start = virtual_clock.now()
    unlimited = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    world = World(folder, options=unlimited, troubles=_troubles(start, rate))
    source = _Expiring(world)
    world.target = replace(world.target, credentials=source)
    alive: list[Counter[str]] = []
    sent: list[float] = []
    world.make_transport = lambda world: _Watched(world, sent=sent)
    with closing(world):
        watch = asyncio.ensure_future(_watch(world, alive))
        summary = await world.live(_definitions(count), qps=rate)
        assert not watch.done()
        watch.cancel()
        await world.settle()
        assert summary is not None
        with read_ledger(world.path) as ledger:
            broken: list[object] = [finding for finding in audit(ledger) if not finding.holds]
        created = len(world.kms.creators)
    return Haul(rate, summary, [at - start for at in sent], created, source.fetched, broken, alive)


def _definitions(count: int) -> Iterator[SecretDefinition]:
    value = SecretValue("fake-value")
    for i in range(count):
        yield SecretDefinition(f"haul/{i}", value, "v1", Origin("haul.jsonl", i + 1))


def _troubles(start: float, rate: float) -> Iterator[Trouble]:
    rng = random.Random(3)  # noqa: S311  # a simulation, repeatable
    half = SlidingWindow(max(1.0, rate / 2))
    while True:
        hour, second = divmod(virtual_clock.now() - start, HOUR)
        one_way = 0.01 + 0.02 * rng.random()
        if OUTAGE[0] <= second < OUTAGE[1]:
            yield Trouble(OUTAGES[int(hour) % len(OUTAGES)], one_way)
        elif SPELL[0] <= second < SPELL[1] and not half.accepts(virtual_clock.now()):
            yield Trouble("429", one_way)
        else:
            yield Trouble(one_way=one_way)


@dataclass
class _Watched(Network):
    sent: list[float] = field(default_factory=list)

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        def wrote() -> bool:
            if not on_write():
                return False
            if request.headers["x-acs-action"] == create_secret.ACTION:
                self.sent.append(virtual_clock.now())
            return True

        return await super().send(request, wrote)


class _Expiring:
    """Gives the world's key anew, each time for half an hour."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.fetched = 0

    def fetch(self) -> Credentials:
        """Return credentials good from now on."""
        self.fetched += 1
        return replace(self._world.credentials, expires_at=self._world.time() + GOOD_FOR)


async def _watch(world: World, alive: list[Counter[str]]) -> None:
    while True:
        await asyncio.sleep(HOUR / 2)
        # Nobody asks for these here, and a day of twelve targets has ten million of each.
        for kept in (world.rows, world.sent, world.replied, world.kms.arrivals, world.kms.versions):
            kept.clear()
        gc.collect()
        kinds = [type(thing) for thing in gc.get_objects()]
        ours = ("bulkseed.engine", "bulkseed.policy", "bulkseed.ledger", "bulkseed.model", "_asyncio")
        counts = Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(ours))
        del counts["Row"]  # the world keeps those of the last moments
        alive.append(counts)
