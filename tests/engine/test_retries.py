"""Retries of a run without a ceiling are spread: they do not stampede when many definitions fail at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from support import virtual_clock

from bulkseed.engine.lane import Ports
from bulkseed.engine.stop import Stop
from bulkseed.jobs.apply import seed
from bulkseed.ledger import open_ledger
from bulkseed.model import (
    Credentials,
    NoReply,
    Origin,
    Outcome,
    SecretDefinition,
    SecretValue,
    Summary,
    Target,
)
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.retry_bucket import BURST, PER_SECOND
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.wire.message import Request, Response

WORKERS = 1000
TARGET = Target("http://127.0.0.1:1", "cn-hangzhou", Credentials("fake", SecretValue("fake")))


class Down:
    """A service that answers 500 to everything, after a moment, and remembers when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def send(self, _request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Fail."""
        on_write()
        self.asked.append(virtual_clock.now())
        await asyncio.sleep(0.01)
        return Response(500, {}, b'{"Code": "InternalFailure", "RequestId": "0a1b2c3d"}')


async def _fail(service: Down, folder: Path, stop: Stop | None = None) -> Summary:
    clock = Clock(virtual_clock.now, virtual_clock.now)
    definitions = [
        SecretDefinition(f"s/{i}", SecretValue("fake"), "v1", Origin("m", i + 1)) for i in range(WORKERS)
    ]
    with open_ledger(folder / "x.ledger.db", TARGET) as ledger:
        return await seed(
            definitions,
            TARGET,
            ledger,
            qps=0,
            workers=WORKERS,
            rules=Rules(RetryPolicy(max_attempts=3)),
            stop_after=10 * WORKERS,
            ports=Ports(service, clock, lambda: 0.9),
            stop=stop,
        )


def test_retries_without_a_ceiling_do_not_stampede() -> None:
    """A thousand definitions fail together; from then on no second has more than the bucket gives."""
    service = Down()
    with tempfile.TemporaryDirectory() as folder:
        virtual_clock.run(_fail, service, Path(folder))
    first, retries = service.asked[:WORKERS], service.asked[WORKERS:]
    assert first[-1] - first[0] < 1
    assert len(retries) == 2 * WORKERS
    worst = max(sum(start <= at < start + 1 for at in retries) for start in retries[::50])
    assert worst <= PER_SECOND + BURST + 1


def test_a_stop_does_not_wait_for_the_turn_of_retries() -> None:
    """Hundreds wait to be allowed to repeat: the run ends at once, and repeats nothing any more."""
    service = Down()

    async def interrupt(folder: Path) -> None:
        stop = Stop()
        asyncio.get_running_loop().call_later(2.0, stop.request, "enough")
        began = virtual_clock.now()
        summary = await _fail(service, folder, stop)
        assert virtual_clock.now() - began < 2.1
        assert summary.outcomes[Outcome.PENDING] > 300
        assert len(service.asked) == summary.attempts
        assert max(service.asked) - began <= 2.0

    with tempfile.TemporaryDirectory() as folder:
        virtual_clock.run(interrupt, Path(folder))
