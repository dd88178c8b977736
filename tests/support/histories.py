"""Random histories of a manifest and its service, lived to their end.

What may happen is in `support.history`, what must be true of it in `support.history_laws`.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from bulkseed.engine.stop import Stop
from bulkseed.ledger import read_ledger
from bulkseed.model import Outcome, SecretValue, Summary
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_secret, delete_secret, put_secret_value
from support import virtual_clock
from support.history import History, Manifest, manifest, name, rules_of, value
from support.history_laws import attempts, examine, is_done, judge, outcomes, regenerate, rows_of, undo
from support.world import World

FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a disk that is fast, where there is one
LIVES = 25
"""No history needs as many runs: every trouble meets one request."""


def check(history: History, spoil: Callable[[World], None] | None = None) -> None:
    """Live the history until everything is done, and see that all promises held; `spoil` breaks the code."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(_live, history, Path(folder), spoil)


async def _live(history: History, folder: Path, spoil: Callable[[World], None] | None) -> None:
    data_dir = folder / "kms" if history.restarts else None
    asyncio.get_running_loop().thread_time = 0.002  # type: ignore[attr-defined]  # of the virtual clock
    world = World(
        folder,
        options=ServiceOptions(data_dir=data_dir, create_qps=history.quota, read_qps=0, manage_qps=0),
        troubles=history.troubles,
        one_way=lambda: history.one_way,
        skew=history.skew,
    )
    if spoil is not None:
        spoil(world)
    with closing(world):
        await _people(history, world)
        await asyncio.sleep(5.0)  # what was there is older than any claim, by the service's seconds
        _arrange(history, world)
        settled: dict[str, Outcome] = {}
        ends, between = list(history.ends), list(history.between)
        world.drift = history.drift
        for life in range(LIVES):
            await asyncio.sleep(1.0)
            if life and between:
                world.skew += between.pop(0)
            path, heard, sent = world.path, set(world.replied), len(world.sent)
            summary = await _one_life(history, world, ends.pop(0) if ends else None)
            rows = examine(world, summary)
            if world.path == path:  # it was not killed
                assert all(rows[n] is Outcome.CREATED for n in world.replied - heard), "an answer is lost"
                assert attempts(world) == len(world.sent) - sent
            for known, outcome in settled.items():
                assert rows[known] is outcome, f"{known} was {outcome}, now {rows[known]}"
            settled = {n: o for n, o in rows.items() if o.settled}
            if summary is not None and not ends and is_done(history, world, rows):
                break
        else:
            raise AssertionError(f"not done after {LIVES} runs: {rows}")
        await world.settle()
        judge(history, world, rows)
        if all(outcome.settled for outcome in rows.values()):
            sent = len(world.sent)
            await world.live(Manifest(manifest(history)), rules=rules_of(history))
            assert len(world.sent) == sent, "a settled row cost a request"
            assert outcomes(rows_of(world)) == rows
        await regenerate(history, world)
        await undo(history, world)


async def _people(history: History, world: World) -> None:
    """Somebody else's secrets are there."""
    for number, kind in history.there.items():
        same_value = kind in {"same", "same value, other version"}
        data = SecretValue(value(number) if same_value else "their-value")
        version = "v0" if "other version" in kind else "v1"
        world.foreign(create_secret.Request(name(number), version, data))
        if kind == "to be deleted":
            world.foreign(delete_secret.Request(name(number), recovery_window_in_days=30))
        await asyncio.sleep(1.0)  # they keep to the quota


def _arrange(history: History, world: World) -> None:
    """Plan what happens in between."""
    for number, (step, who, what) in enumerate(history.meanwhile):
        if what == "create":
            theirs = SecretValue(f"their-value-{number}")
            request: object = create_secret.Request(name(who), "v1" if step % 2 else "v0", theirs)
        else:
            request = put_secret_value.Request(
                name(who), f"w{number}", SecretValue(f"their-new-value-{number}")
            )
        world.at_step(step, lambda request=request: world.foreign(request))  # type: ignore[misc]  # bound now
    for step, what, seconds in history.jumps:
        world.at_step(step, partial(jump, world, what, seconds))
    for step in history.restarts:
        world.at_step(step, world.restart_service)


def jump(world: World, what: str, seconds: float) -> None:
    """Let a clock jump in mid-run. Of what is ours and was not dated by the service a doubt may stay."""
    world.untold.update(_undated(world), map(name, range(8)) if world.unheard else world.undated_sends)
    world.unheard = 2  # what the first success after it tells may be of before
    match what:
        case "set":
            world.skew += seconds
        case "the service's":  # it is put right by a little, and goes on
            world.slept += math.copysign(min(abs(seconds), 0.4), seconds)
            world.skew -= math.copysign(min(abs(seconds), 0.4), seconds)
        case "sleep":
            world.sleep(abs(seconds))
        case "sleep uncounted":
            world.sleep(abs(seconds), steady=False)
        case "sleep without the wall clock":
            world.sleep(abs(seconds), wall=False)


def _undated(world: World) -> set[str]:
    """Return what is in doubt, and nothing of the service's clock was on record when it was claimed."""
    with read_ledger(world.path) as ledger:
        found = ledger.select(
            "SELECT name FROM definitions d JOIN runs r ON r.id = d.run WHERE doubt"
            " AND coalesce(claimed_service, ahead, 0) = 0"
        )
        return {name for (name,) in found}


async def _one_life(history: History, world: World, end: tuple[int, str] | None) -> Summary | None:
    stop = Stop()
    if end is not None:
        after, how = end
        actions: dict[str, Callable[[], None]] = {
            "kill": world.kill,
            "cancel": world.cancel,
            "stop": lambda: stop.request("interrupted"),
            "restart": lambda: None,
        }
        alive = True
        world.at_step(world.steps + after, lambda: actions[how]() if alive else None)
    try:
        return await world.live(
            Manifest(manifest(history)),
            stop=stop,
            qps=history.qps,
            workers=history.workers,
            rules=rules_of(history),
        )
    finally:
        alive = False
