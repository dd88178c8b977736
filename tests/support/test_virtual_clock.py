"""The virtual clock itself: what every test that waits builds on."""

from __future__ import annotations

import asyncio
import time

import anyio
import anyio.to_thread
import pytest
from aiolimiter import AsyncLimiter

from support.virtual_clock import StuckError, now, run


def test_a_day_passes_in_moments() -> None:
    """Waiting costs no real time, and the clock shows what was waited for."""

    async def sleeper() -> float:
        began = now()
        for _ in range(24):
            await anyio.sleep(3600)
        return now() - began

    assert run(sleeper) == pytest.approx(86_400, abs=0.001)


def test_timers_fire_in_order_and_never_early() -> None:
    """Tasks wake in the order of their deadlines, at or just after them."""

    async def main() -> list[tuple[float, float]]:
        began, woken = now(), []

        async def sleeper(delay: float) -> None:
            await anyio.sleep(delay)
            woken.append((delay, now() - began))

        async with anyio.create_task_group() as group:
            for delay in (0.3, 0.1, 5.0, 0.2):
                group.start_soon(sleeper, delay)
        return woken

    woken = run(main)
    assert [delay for delay, _ in woken] == [0.1, 0.2, 0.3, 5.0]
    assert all(delay <= at < delay + 0.001 for delay, at in woken)


def test_scopes_time_out() -> None:
    """`move_on_after` and `asyncio.timeout` end at their virtual deadlines."""

    async def main() -> tuple[bool, float]:
        began = now()
        with anyio.move_on_after(2) as scope:
            await anyio.sleep(10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await anyio.sleep_forever()
        return scope.cancelled_caught, now() - began

    caught, took = run(main)
    assert caught
    assert took == pytest.approx(5, abs=0.001)


def test_time_stands_still_for_threads() -> None:
    """A function in a thread or an executor takes no virtual time, whatever is scheduled meanwhile."""

    async def main() -> tuple[float, int]:
        background = asyncio.create_task(asyncio.sleep(1000))
        began = now()
        await anyio.to_thread.run_sync(time.sleep, 0.02)
        total = await asyncio.get_running_loop().run_in_executor(None, sum, [1, 2, 3])
        total += await asyncio.to_thread(sum, [4])
        took = now() - began
        background.cancel()
        return took, total

    took, total = run(main)
    assert took < 0.001
    assert total == 10


def test_an_executor_hands_over_exceptions() -> None:
    """What the function in the executor raises, the awaiting task gets."""

    async def main() -> None:
        await asyncio.to_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        run(main)


def test_a_deadlock_is_reported() -> None:
    """Waiting for what can never come fails at once instead of hanging the test."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError, match="deadlock"):
        run(main)


def test_the_horizon_ends_a_run_that_only_ticks() -> None:
    """A periodic timer cannot keep a stuck run alive for ever."""

    async def main() -> None:
        for _ in range(1_000):
            await anyio.sleep(1)

    with pytest.raises(StuckError, match="virtual seconds"):
        run(main, horizon=100)


def test_aiolimiter_does_not_hang() -> None:
    """A limiter whose float residue re-arms a due timer still gets on: 30 at 3 a second take 9 to 10 s."""

    async def main() -> float:
        limiter, began = AsyncLimiter(1, 1 / 3), now()
        for _ in range(30):
            await limiter.acquire()
        return now() - began

    assert run(main) == pytest.approx(29 / 3, abs=0.01)


def test_a_failing_callback_fails_the_run() -> None:
    """An exception in a timer, which asyncio only logs, is raised."""

    async def main() -> None:
        asyncio.get_running_loop().call_later(1, int, "x")
        await anyio.sleep(2)

    with pytest.raises(ValueError, match="invalid literal"):
        run(main)


def test_leftover_tasks_are_cancelled() -> None:
    """Tasks still running at the end are cancelled and may clean up."""
    ended = []

    async def background() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async def main() -> None:
        ended.append(False)
        task = asyncio.create_task(background())
        await anyio.sleep(1)
        assert not task.done()

    run(main)
    assert ended == [False, True]
