"""A rollback finds what is ours, whatever our clock said while it was made and says now."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import World

from bulkseed.jobs.rollback import rollback
from bulkseed.ledger import open_ledger
from bulkseed.model import Origin, SecretDefinition, SecretValue
from bulkseed.policy.rollback import RollbackOutcome
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.message import Request, Response

UNLIMITED = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)


def definitions(count: int) -> list[SecretDefinition]:
    """Return `count` definitions."""
    return [
        SecretDefinition(f"secret-{i}", SecretValue(f"fake-value-{i}"), "v1", Origin("m.jsonl", i + 1))
        for i in range(count)
    ]


async def roll_back(world: World, skew: float) -> dict[RollbackOutcome, int]:
    """Roll back under a clock of ours that is ahead by `skew`."""
    world.skew = skew
    with closing(open_ledger(world.path, world.target)) as ledger:
        results = (await rollback(world.target, ledger, ports=world.ports())).results
    return {outcome: count for outcome, count in results.items() if count}


@pytest.mark.parametrize("then", [-10.0, -2.0, 0.0, 2.0, 10.0])
@pytest.mark.parametrize("now", [-10.0, 0.0, 10.0])
def test_a_clock_that_was_wrong_takes_nothing_from_what_is_ours(then: float, now: float) -> None:
    """Made under one clock and rolled back under another: all are deleted (A2)."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, skew=then)
        with closing(world):
            await world.live(definitions(3))
            await asyncio.sleep(5.0)
            assert await roll_back(world, now) == {RollbackOutcome.DELETED: 3}

    in_a_folder(test)


@pytest.mark.parametrize("dated", [True, False], ids=["dated by the service", "not dated"])
def test_what_was_adopted_after_a_kill_is_rolled_back(dated: bool) -> None:
    """Its claim came before the kill, its first attempt on record long after it was created (A3)."""

    async def test(folder: Path) -> None:
        arrived: list[Request] = []

        def die(request: Request, response: Response) -> Response:
            arrived.append(request)
            if len(arrived) == 4:
                world.kill()
            return response

        world = World(folder, options=UNLIMITED, rewrite=die, one_way=lambda: 0.2)
        with closing(world):
            await world.live(definitions(4), qps=400)
            await asyncio.sleep(10.0)
            summary = await world.live(definitions(4), qps=400)
            assert summary is not None
            assert summary.exit_code == 0
            if not dated:
                with closing(sqlite3.connect(world.path)) as ledger, ledger:
                    ledger.execute("UPDATE claims SET service_time = NULL")
            assert await roll_back(world, 0.0) == {RollbackOutcome.DELETED: 4}

    in_a_folder(test)


def in_a_folder(test: object) -> None:
    """Run a test with a folder of its own."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(test, Path(folder))  # type: ignore[arg-type]  # a coroutine function
