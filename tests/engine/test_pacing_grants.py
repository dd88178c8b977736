"""What a pacer grants at which moment, permit by permit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest
from support.virtual_clock import now, run

from bulkseed.model import QuotaGroup
from bulkseed.pacing.ceilings import hold_back, limits
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.permit import Permit
from bulkseed.wire.quotas import QUOTAS


async def at_once(pacer: Pacer, most: int = 1_000) -> int:
    """Send as many requests as may go now, each answered at once; return how many that were."""
    for sent in range(most):
        waiting = asyncio.ensure_future(pacer.acquire())
        await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            await asyncio.wait([waiting])
            return sent
        send(pacer, waiting.result())
    return most


def send(pacer: Pacer, permit: Permit | None, took: float = 0.0) -> None:
    """Write a request that is answered after `took` seconds, without waiting for it."""
    assert permit is not None
    assert pacer.wrote(permit)
    pacer.ended(permit)
    pacer.answered(took)


async def granted_after(pacer: Pacer) -> float:
    """Return how long the next permit takes."""
    asked = now()
    send(pacer, await pacer.acquire())
    return now() - asked


def due(pacer: Pacer) -> float:
    """Return when the timer of a pacer is due; inf: none is set."""
    return math.inf if pacer._timer is None else pacer._timer.when()


def on(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on virtual time."""

    async def main() -> None:
        await test()

    run(main)


@pytest.mark.parametrize(("limit", "burst"), [(50.0, 4), (100.0, 5), (1_000.0, 23)])
@pytest.mark.parametrize("idle", [0.0, 300.0])
def test_three_and_what_comes_in_20_ms_go_at_once(limit: float, burst: int, idle: float) -> None:
    """However long nothing was sent; the next comes when its token does."""

    async def test() -> None:
        pacer = Pacer(limit, clock=now)
        if idle:
            await at_once(pacer)
            await asyncio.sleep(idle)
        assert await at_once(pacer) == burst
        assert await granted_after(pacer) == pytest.approx(1 / limit, rel=0.02)

    on(test)


def test_a_permit_that_goes_back_is_one_permit() -> None:
    """It takes nothing from the bucket, and adds nothing to it."""

    async def test() -> None:
        pacer = Pacer(100, clock=now)
        permits = [await pacer.acquire() for _ in range(5)]
        assert permits[0] is not None
        pacer.ended(permits[0])
        assert await at_once(pacer) == 1

    on(test)


def test_a_place_that_goes_back_is_one_place() -> None:
    """Also when the bucket is full again."""

    async def test() -> None:
        pacer = Pacer(3, clock=now)
        permits = [await pacer.acquire() for _ in range(3)]
        await asyncio.sleep(10)
        assert await at_once(pacer) == 0
        assert permits[0] is not None
        pacer.ended(permits[0])
        assert await at_once(pacer) == 1

    on(test)


def test_who_comes_later_does_not_overtake() -> None:
    """A token is there before the timer of the first who waits is: it is theirs."""

    async def test() -> None:
        at = now()
        pacer = Pacer(10, clock=lambda: at)
        for _ in range(3):
            send(pacer, await pacer.acquire())
        first = asyncio.ensure_future(pacer.acquire())
        await asyncio.sleep(0)
        at += 0.15  # one token, and no timer was due: the loop's clock stands still
        second = asyncio.ensure_future(pacer.acquire())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not second.done()
        pacer.close()
        await asyncio.wait([first, second])

    on(test)


def test_the_timer_is_for_the_first_that_may_go_and_only_where_somebody_waits() -> None:
    """No sooner than a tick from now."""

    async def test() -> None:
        pacer = Pacer(10, clock=now)
        assert await at_once(pacer, 3) == 3
        assert due(pacer) == math.inf
        waiting = asyncio.ensure_future(pacer.acquire())
        await asyncio.sleep(0)
        assert due(pacer) == pytest.approx(now() + 0.08, abs=1e-4)
        await waiting
        fast = Pacer(20_000, clock=now)
        await at_once(fast)
        assert await granted_after(fast) == pytest.approx(0.001, rel=0.02)

    on(test)


def test_a_moment_to_hold_until_is_not_put_forward() -> None:
    """The latest of those that were asked for counts."""

    async def test() -> None:
        pacer = Pacer(10, clock=now)
        pacer.hold_until(now() + 5)
        pacer.hold_until(now() + 3)
        assert await granted_after(pacer) == pytest.approx(5, abs=0.01)

    on(test)


@pytest.mark.parametrize(("asked", "wait"), [(3.0, 3.0), (60.0, 60.0), (3_600.0, 60.0)])
def test_the_service_may_ask_for_a_pause_of_a_minute(asked: float, wait: float) -> None:
    """And for no longer one."""

    async def test() -> None:
        pacer = Pacer(10, clock=now)
        send(pacer, await pacer.acquire())
        pacer.answered(0.0, throttled=True, retry_after=asked)
        assert await granted_after(pacer) == pytest.approx(wait, abs=0.01)

    on(test)


def test_without_a_ceiling_a_refusal_begins_with_an_empty_bucket_and_a_pause_holds_everything() -> None:
    """As fast as before once both are over."""

    async def test() -> None:
        pacer = Pacer(0, clock=now)
        assert await at_once(pacer, 200) == 200
        pacer.answered(0.0, throttled=True)
        assert await at_once(pacer) == 0
        await asyncio.sleep(10)
        assert await at_once(pacer, 500) == 500
        pacer.hold_until(now() + 2)
        pacer.answered(0.0, throttled=True, retry_after=1.0)
        await asyncio.sleep(0.5)
        assert await granted_after(pacer) == pytest.approx(1.5, abs=0.01)

    on(test)


def test_without_a_ceiling_the_pause_lasts_longer_than_the_climb() -> None:
    """The rate is as before by then, and nothing goes before the end of the pause all the same."""

    async def test() -> None:
        pacer = Pacer(0, clock=now)
        await at_once(pacer, 10)
        pacer.answered(0.0, throttled=True)
        pacer.hold_until(now() + 30)
        await asyncio.sleep(20)
        assert pacer.pace == math.inf
        both = await asyncio.gather(granted_after(pacer), granted_after(pacer))
        assert list(both) == [pytest.approx(10, abs=0.01)] * 2

    on(test)


def test_a_refusal_takes_nothing_from_a_bucket_with_a_ceiling() -> None:
    """What is in it was earned."""

    async def test() -> None:
        pacer = Pacer(100, clock=now)
        send(pacer, await pacer.acquire())
        pacer.answered(0.0, throttled=True)
        assert pacer.pace == pytest.approx(90)
        assert await at_once(pacer) == 4

    on(test)


@pytest.mark.parametrize(
    ("writes", "refusals", "asked", "pace"),
    [
        ([0.0] * 20, [], 0.0, 0.9 * 400),  # all at once counts as in a twentieth of a second
        ([0.0] * 20, [], 0.04, 0.9 * 400),
        ([0.0] * 20, [], 0.08, 0.9 * 250),
        ([0.0] * 20 + [0.5] * 5, [], 0.5, 0.9 * 50),
        ([0.0] * 20 + [0.5] * 5, [], 0.99, 0.9 * 25 / 0.99),
        ([0.0] * 20 + [0.5] * 5, [], 1.0, 0.9 * 5),  # half-open
        ([0.0] * 20 + [1.25] * 5 + [1.75] * 5, [], 2.0, 0.9 * 10),
        ([0.0] * 20 + [0.25] * 4, [0.25], 0.5, 0.9 * (48 - 4)),  # less what was refused, twice by now
        ([0.0] * 40 + [1.25] * 8, [0.25], 1.25, 0.9 * (160 + 8 - 1) / 2),  # half way; that refusal is over
    ],
)
def test_a_pace_is_what_got_through_in_the_last_second(
    writes: list[float], refusals: list[float], asked: float, pace: float
) -> None:
    """Where no ceiling is known: sends a second, less refusals."""
    at = 1_000.0

    async def test() -> None:
        nonlocal at
        pacer = Pacer(0, clock=lambda: at)
        events = sorted([(when, False) for when in writes] + [(when, True) for when in refusals])
        for when, refused in events:
            at = 1_000.0 + when
            if refused:
                pacer.answered(0.0, throttled=True)
            else:
                assert pacer.wrote(Permit())
        at = 1_000.0 + asked
        pacer.answered(0.0, throttled=True)
        assert pacer.pace == pytest.approx(pace)

    on(test)


def test_what_is_not_to_be_sent_is_not_counted() -> None:
    """Asked at every write."""

    async def test() -> None:
        pacer = Pacer(10, clock=now, may_send=lambda: False)
        permit = await pacer.acquire()
        assert permit is not None
        assert not pacer.wrote(permit)
        assert (pacer.sent, pacer.worst_second, permit.sent_at) == (0, 0, None)
        pacer.ended(permit)
        assert await pacer.acquire() is not None

    on(test)


def test_an_open_loop_does_not_slow_down() -> None:
    """A load test goes on at its pace."""

    async def test() -> None:
        pacer = Pacer(10, clock=now, adapts=False)
        send(pacer, await pacer.acquire())
        pacer.answered(0.0, throttled=True, retry_after=30.0)
        assert pacer.pace == 10
        assert await at_once(pacer) == 2

    on(test)


def test_the_fullest_second_is_half_open() -> None:
    """What was written a second after another is in the next one."""
    at = 1_000.0
    pacer = Pacer(0, clock=lambda: at)
    for at in (1_000.0, 1_000.0, 1_001.0, 1_001.5, 1_001.75, 1_002.0):  # noqa: B007  # the clock reads it
        assert pacer.wrote(Permit())
    assert (pacer.worst_second, pacer.sent) == (3, 6)
    assert (pacer.first_sent_at, pacer.last_sent_at) == (1_000.0, 1_002.0)


@pytest.mark.parametrize("qps", [5.0, 0.0])
def test_a_ceiling_is_for_one_group_and_none_is_for_all(qps: float) -> None:
    """The others keep their quotas."""
    created = limits(QuotaGroup.CREATE, qps)
    assert created == ({**QUOTAS, QuotaGroup.CREATE: 5.0} if qps else dict.fromkeys(QUOTAS, 0.0))


@pytest.mark.parametrize(
    ("ago", "waits"),
    [
        (None, [0.0, 0.0, 0.0]),
        (0.25, [0.755, 1.76, 0.0]),
        (1.5, [0.0, 0.51, 0.0]),
        (-5.0, [1.005, 2.01, 0.0]),
    ],
)
def test_the_last_second_of_an_earlier_run_is_waited_for(ago: float | None, waits: list[float]) -> None:
    """As its ceiling counts seconds; one that is yet to come is taken for now."""

    async def test() -> None:
        clock = Clock(now, lambda: now() + 1e9)
        pacers = dict(zip(QuotaGroup, (Pacer(qps, clock=now) for qps in (10, 0.5, 0)), strict=True))
        hold_back(pacers, None if ago is None else clock.time() - ago, clock)
        taken = await asyncio.gather(*(granted_after(pacer) for pacer in pacers.values()))
        assert list(taken) == pytest.approx(waits, abs=0.0012)

    on(test)
