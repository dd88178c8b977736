"""Runs start together, once all are ready to send; one that is not holds nobody up for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from support.virtual_clock import now, run

from bulkseed.engine.stop import Stop
from bulkseed.targets.start_line import PATIENCE, StartLine


async def _starts(ready_after: Sequence[float | None]) -> list[float]:
    """Let runs become ready at moments, None: it ends before that, 0.5 s later; return when each started."""
    line, began = StartLine(len(ready_after)), now()
    started: list[float] = []

    async def one(number: int, after: float | None) -> None:
        if after is None:
            await asyncio.sleep(0.5)
            line.come()
            return
        await asyncio.sleep(after)
        await line.start(number, Stop())
        started.append(now() - began)

    await asyncio.gather(*(one(number, after) for number, after in enumerate(ready_after)))
    return started


def test_nobody_sends_while_others_are_made_ready() -> None:
    """All wait for the last, and then start one after another; what has ended is not waited for."""
    assert run(_starts, [0.0, 1.5, 0.1]) == pytest.approx([1.5, 1.55, 1.6], abs=0.001)
    assert run(_starts, [0.0, None, 0.1]) == pytest.approx([0.5, 0.6], abs=0.001)


def test_many_starts_take_a_second() -> None:
    """However many they are."""
    starts = run(_starts, [0.0] * 200)
    assert (starts[0], starts[-1]) == pytest.approx((0.0, 0.995), abs=0.001)


def test_who_takes_long_is_not_waited_for() -> None:
    """Its credentials come from far away: the others start without it, and it starts when it is ready."""
    assert run(_starts, [0.0, 1.0, 30.0]) == pytest.approx([1.0 + PATIENCE, 3.05, 30.1], abs=0.001)


def test_a_stop_is_not_slept_over() -> None:
    """Whoever waits for its moment goes on at once."""

    async def main() -> float:
        line, stop, began = StartLine(2), Stop(), now()
        waiting = asyncio.ensure_future(line.start(1, stop))
        await asyncio.sleep(0.01)
        stop.request("enough")
        line.open()
        await waiting
        return now() - began

    assert run(main) == pytest.approx(0.01, abs=0.001)
