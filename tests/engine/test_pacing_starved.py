"""A service that is starved holds no more than the limit in any second, also when that ends."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_server import REPLY, Peer, hostile_server, with_length
from support.quota import Record, SlidingWindow, most_in_one_second, use
from support.transports import Opener, contract
from support.virtual_clock import START, now, run

from bulkseed.engine.lane import Ports
from bulkseed.jobs.apply import seed
from bulkseed.ledger import open_ledger
from bulkseed.model import Credentials, NoReply, Origin, SecretDefinition, SecretValue, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.wire.message import Request, Response

CLOSING = with_length(b"{}", b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
TARGET = Target("http://127.0.0.1:1", "cn-hangzhou", Credentials("fake", SecretValue("fake")))
WAY = 0.00002
FULL_SPEED = 0.002
"""Seconds that a way takes, and the most that the service takes where nothing is in its way."""


def _starved(limit: float, wait: float, how: str, until: float, seed: int, *, kernel: bool = True) -> Record:
    """Use a quota whose service reads nothing until requests have waited, up to a moment; then at once."""
    rng = random.Random(seed)  # noqa: S311  # a simulation, repeatable

    def there() -> float:
        passed = now() - START
        if passed >= until:
            return WAY + rng.uniform(0, FULL_SPEED)
        if how == "steady":
            return WAY + wait
        if how == "by turns":  # of its process: what has come meanwhile is read at once
            return WAY + (passed // wait + 1) * wait - passed
        return WAY + rng.uniform(wait / 2, wait)

    async def main() -> Record:
        return await use(
            SlidingWindow(1e9),
            Pacer(limit, clock=now),
            until + 4,
            there=there,
            back=lambda: WAY,
            workers=3 * int(limit),
            round_trip=2 * WAY if kernel else None,
        )

    return run(main)


@settings(max_examples=60, deadline=None)
@given(
    limit=st.sampled_from([1, 5, 10, 30, 100]),
    wait=st.sampled_from([0.006, 0.02, 0.1, 0.3, 0.8, 1.4]),
    how=st.sampled_from(["steady", "by turns", "at random"]),
    until=st.floats(0.5, 6),
    seed=st.integers(0, 2**32),
)
def test_when_a_starved_service_recovers_no_second_is_over_the_limit(
    limit: int, wait: float, how: str, until: float, seed: int
) -> None:
    """What every request waited is no distance: a place lasts until a second after the reply."""
    assert most_in_one_second(_starved(limit, wait, how, until, seed).accepted) <= limit


@pytest.mark.parametrize("how", ["steady", "by turns", "at random"])
def test_without_the_kernels_round_trip_a_starved_service_sees_more(how: str) -> None:
    """The guard's control: with nothing but latencies, the end of the wait lets too many through."""
    seen = [_starved(10, 0.1, how, until, 1, kernel=False).accepted for until in (2.0, 2.1, 2.2, 2.3)]
    assert max(map(most_in_one_second, seen)) > 10


class _Starved:
    """A service that lets each request wait for 0.1 s until 2.1 s, and then answers at once."""

    def __init__(self, round_trip: float | None) -> None:
        self.arrived: list[float] = []
        self._round_trip = round_trip

    async def send(self, _request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Answer as it does to a create, and tell what the kernel saw."""
        on_write()
        await asyncio.sleep(WAY + (0.1 if now() - START < 2.1 else 0.0))
        self.arrived.append(now())
        await asyncio.sleep(WAY)
        body = b'{"RequestId": "0a1b2c3d", "Arn": "acs:kms:cn-hangzhou:1:secret/x", "VersionId": "v1"}'
        return Response(200, {}, body, self._round_trip)


@pytest.mark.parametrize(("round_trip", "kept"), [(2 * WAY, True), (None, False)])
def test_a_run_heeds_the_round_trip_that_its_replies_tell(
    round_trip: float | None, kept: bool, tmp_path: Path
) -> None:
    """From the reply to the window: with it the limit is kept, and without it, as a control, it is not."""

    async def main() -> list[float]:
        there = _Starved(round_trip)
        names = [SecretDefinition(f"s/{n}", SecretValue("fake"), "v1", Origin("m", n + 1)) for n in range(50)]
        with open_ledger(tmp_path / "x.ledger.db", TARGET) as ledger:
            await seed(names, TARGET, ledger, qps=10, ports=Ports(there, Clock(now, now)))
        return there.arrived

    arrived = run(main)
    assert len(arrived) == 50
    assert (most_in_one_second(arrived) <= 10) is kept


def test_the_kernels_round_trip_costs_nothing_where_the_service_is_quick() -> None:
    """A way of 5 to 50 ms is known, and what the service takes is within what a place lasts longer anyway."""

    async def main(way: float) -> Record:
        return await use(
            SlidingWindow(1e9),
            Pacer(10, clock=now),
            60,
            there=lambda: way / 2 + 0.004,
            back=lambda: way / 2,
            round_trip=way,
        )

    for way in (0.005, 0.02, 0.05):
        assert run(main, way).rate(2, 60) >= 0.99 * 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
@pytest.mark.parametrize("closes", [False, True])
@contract
async def test_a_reply_tells_the_kernels_round_trip_and_not_the_services_wait(
    open_to: Opener, closes: bool
) -> None:
    """The service lets requests wait, its kernel confirms at once; also where it closes after each."""
    waited: list[float] = []

    async def slow(peer: Peer) -> None:
        while await peer.read_request():
            began = time.monotonic()
            await asyncio.sleep(0.02)
            waited.append(time.monotonic() - began)
            await peer.send(CLOSING if closes else REPLY)

    async with hostile_server(slow) as server, open_to(server.url) as sender:
        for _ in range(2):
            answer = await sender.send()
            assert isinstance(answer, Response)
            assert answer.round_trip is not None
            assert 0 < answer.round_trip < min(waited)
