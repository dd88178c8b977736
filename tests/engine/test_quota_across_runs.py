"""The quota holds across runs: one that follows another waits until the last second of that is over."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import Network, World

from bulkseed.engine.stop import Stop
from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import NoReply, Origin, SecretDefinition, SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.message import Request, Response


def definitions(count: int) -> list[SecretDefinition]:
    """Return `count` definitions."""
    return [
        SecretDefinition(f"secret-{i}", SecretValue("fake"), "v1", Origin("m", i + 1)) for i in range(count)
    ]


def run(test: Callable[[World], Awaitable[None]]) -> None:
    """Run a test in a world of its own."""

    async def whole(folder: Path) -> None:
        with closing(World(folder, options=ServiceOptions(create_qps=0, read_qps=0, manage_qps=0))) as world:
            await test(world)

    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(whole, Path(folder))


async def end_after(world: World, sends: int, how: str, qps: float) -> None:
    """Run until `sends` requests were sent, and end the run at that moment."""
    stop, left = Stop(), sends
    ways: dict[str, Callable[[], None]] = {
        "killed": world.kill,
        "cancelled": world.cancel,
        "stopped": lambda: stop.request("enough"),
        "finished": lambda: None,
    }

    class Watched(Network):
        async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
            def wrote() -> bool:
                nonlocal left
                on_write()
                left -= 1
                if left == 0:
                    ways[how]()
                return True

            return await super().send(request, wrote)

    world.make_transport = Watched
    await world.live(definitions(100), qps=qps, stop=stop, limit=sends if how == "finished" else None)


@pytest.mark.parametrize(
    ("how", "set_by"),
    [
        *((how, 0.0) for how in ("killed", "cancelled", "stopped", "finished")),
        ("stopped", 30.0),
        ("finished", 3600.0),
        ("finished", -30.0),
    ],
)
@pytest.mark.parametrize("qps", [0.5, 3.0, 20.0])
def test_no_second_holds_more_than_the_limit(how: str, set_by: float, qps: float) -> None:
    """Four runs one after another, each ended once its share is used up; our clock may be set between."""

    async def test(world: World) -> None:
        for _ in range(3):
            await end_after(world, max(1, int(qps)), how, qps)
            world.skew += set_by
        world.make_transport = Network
        await world.live(definitions(100), qps=qps, limit=20)
        second, most = max(1.0, 1 / qps), max(1, math.floor(qps))
        creates = [at for at, action, _ in world.kms.arrivals if action == "CreateSecret"]
        assert max(sum(start <= at < start + second - 1e-6 for at in creates) for start in creates) <= most
        with read_ledger(world.path) as ledger:
            assert [finding for finding in audit(ledger) if not finding.holds] == []

    run(test)


@pytest.mark.parametrize(("pause", "wait"), [(0.0, 1.005), (0.6, 0.405), (60.0, 0.0)])
def test_the_wait_is_no_longer_than_it_has_to_be(pause: float, wait: float) -> None:
    """What has passed since the end counts; without a run before, or a ceiling, nothing is waited for."""

    async def test(world: World) -> None:
        began = virtual_clock.now()
        await world.live(definitions(1), qps=10)
        assert world.sent[0] - began < 0.01
        await anyio.sleep(pause)
        for qps, expected in ((10, wait), (0, 0.0)):
            sent, began = len(world.sent), virtual_clock.now()
            await world.live(definitions(len(world.kms.creators) + 1), qps=qps)
            assert world.sent[sent] - began == pytest.approx(expected, abs=0.004)

    run(test)
