"""On real time and both event loops the ceiling holds; how much is used, `benchmarks/pacing.py` shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop
from support.quota import most_in_one_second

from bulkseed.pacing.pacer import Pacer


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_ceiling_holds_on_real_time(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """1.5 s of real sends by 40 workers: at most the limit in any second."""

    async def main() -> list[float]:
        pacer, written = Pacer(300), []

        async def work() -> None:
            while (permit := await pacer.acquire()) is not None:
                written.append(time.monotonic())
                pacer.wrote(permit)
                await asyncio.sleep(0.001)
                pacer.ended(permit)
                pacer.answered(0.001)

        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(work())
            await asyncio.sleep(1.5)
            pacer.close()
        return written

    with asyncio.Runner(loop_factory=new_loop) as runner:
        written = runner.run(main())
    assert 0 < most_in_one_second(written) <= 300


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_where_only_an_answer_frees_a_place_no_timer_is_set(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """The service does not answer, and the quota is used up: uvloop has no timer without an end (D1)."""

    async def main() -> None:
        pacer = Pacer(1)
        permit = await pacer.acquire()
        assert permit is not None
        pacer.wrote(permit)
        waiting = asyncio.ensure_future(pacer.acquire())
        await asyncio.sleep(0)
        assert pacer._timer is None
        pacer.close()
        assert await waiting is None

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
