"""Waiting for a permit: order, cancellation, permits that go back, and the end of the run."""

from __future__ import annotations

import asyncio
import math

import pytest
from support.virtual_clock import now, run

from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.permit import Permit
from bulkseed.pacing.retry_bucket import RetryBucket


async def _drain(pacer: Pacer) -> None:
    """Use up what the bucket holds."""
    while not pacer.waiting:
        task = asyncio.create_task(_send(pacer))
        await asyncio.sleep(0)
        if not task.done():
            await task
            return


async def _send(pacer: Pacer) -> Permit | None:
    permit = await pacer.acquire()
    if permit is not None:
        pacer.wrote(permit)
        pacer.ended(permit)
    return permit


def test_waiters_are_served_in_order() -> None:
    """First come, first served, whatever became of those in between."""

    async def main() -> list[int]:
        pacer, served = Pacer(50, clock=now), []
        await _drain(pacer)

        async def wait(number: int) -> None:
            if await _send(pacer):
                served.append(number)

        tasks = [asyncio.create_task(wait(number)) for number in range(20)]
        await asyncio.sleep(0)
        for number in (0, 7, 19):
            tasks[number].cancel()
        await asyncio.wait(tasks)
        return served

    assert run(main) == [number for number in range(20) if number not in {0, 7, 19}]


def test_closing_wakes_everyone() -> None:
    """All who wait get None at once, and so does everyone later."""

    async def main() -> None:
        pacer = Pacer(0.1, clock=now)
        assert await _send(pacer)
        tasks = [asyncio.create_task(pacer.acquire()) for _ in range(10)]
        await asyncio.sleep(0.1)
        assert pacer.waiting == 10
        began = now()
        tasks[3].cancel()
        pacer.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [r for r in results if r is not None] == [results[3]]
        assert isinstance(results[3], asyncio.CancelledError)
        assert now() - began < 0.001
        assert pacer.waiting == 0
        assert await pacer.acquire() is None

    run(main)


def test_a_pacer_without_a_ceiling_closes_too() -> None:
    """`close` ends a pacer without a ceiling as well."""

    async def main() -> None:
        pacer = Pacer(0, clock=now)
        assert await pacer.acquire()
        pacer.close()
        assert await pacer.acquire() is None

    run(main)


def test_an_unused_permit_goes_back() -> None:
    """A permit that was never written is given to the next in line, and takes nothing from the second."""

    async def main() -> tuple[float, int]:
        pacer, start = Pacer(5, clock=now), now()
        held = [await pacer.acquire() for _ in range(3)]
        waiting = [asyncio.create_task(_send(pacer)) for _ in range(5)]
        await asyncio.sleep(0)
        for permit in held:
            assert permit is not None
            pacer.ended(permit)
        await asyncio.wait(waiting)
        return now() - start, pacer.worst_second

    took, worst = run(main)
    assert took < 0.9
    assert worst == 5


def test_unwritten_permits_count_until_they_go_back() -> None:
    """As many permits as the limit, none used: nothing is granted until one has been written and answered."""

    async def main() -> None:
        pacer = Pacer(3, clock=now)
        held = [await pacer.acquire() for _ in range(3)]
        waiting = asyncio.create_task(_send(pacer))
        await asyncio.sleep(60)
        assert not waiting.done()
        assert held[0] is not None
        pacer.wrote(held[0])
        await asyncio.sleep(60)
        assert not waiting.done()  # it may not have arrived yet
        pacer.ended(held[0])
        answered_at = now()
        await waiting
        assert 1 <= now() - answered_at <= 1.01

    run(main)


def test_an_answer_frees_a_place() -> None:
    """A quick answer lets the next request go a second after it."""

    async def main() -> float:
        pacer, start = Pacer(1, clock=now), now()
        permit = await pacer.acquire()
        assert permit is not None
        pacer.wrote(permit)
        waiting = asyncio.create_task(_send(pacer))
        await asyncio.sleep(0.01)
        pacer.ended(permit)
        await waiting
        return now() - start

    assert 1.01 <= run(main) <= 1.015


def test_a_grant_to_someone_just_cancelled_is_not_lost() -> None:
    """A task cancelled between its grant and its wake-up gives the permit back."""

    async def main() -> None:
        pacer = Pacer(1, clock=now)
        first = await pacer.acquire()
        assert first is not None
        unlucky = asyncio.create_task(pacer.acquire())
        next_one = asyncio.create_task(_send(pacer))
        await asyncio.sleep(0)
        pacer.ended(first)  # grants to `unlucky`, which has not run yet
        unlucky.cancel()
        async with asyncio.timeout(2):
            assert await next_one
        assert unlucky.cancelled()

    run(main)


def test_a_lane_without_a_ceiling_never_waits() -> None:
    """Unlimited and not throttled: every permit comes at once, and the busiest second is still known."""

    async def main() -> None:
        pacer, start = Pacer(0, clock=now), now()
        for _ in range(1_000):
            assert await _send(pacer)
        assert now() - start < 0.001
        assert (pacer.sent, pacer.worst_second, pacer.pace) == (1_000, 1_000, math.inf)

    run(main)


def test_retries_without_a_ceiling_are_spread() -> None:
    """After an outage the retries of a run without a ceiling come 200 a second, after 20 at once."""

    async def main() -> float:
        bucket, start = RetryBucket(), now()
        await asyncio.gather(*(bucket.acquire() for _ in range(500)))
        return now() - start

    assert run(main) == pytest.approx((500 - 20) / 200, abs=0.02)
