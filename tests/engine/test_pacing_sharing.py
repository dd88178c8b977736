"""When the service throttles: how far the pace gives way, and how soon it is back."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from statistics import fmean

import pytest
from support.quota import CalendarWindow, Quota, Record, SlidingWindow, crowd, use
from support.virtual_clock import now, run

from bulkseed.pacing.pacer import Pacer

JOIN, LEAVE, END = 10.0, 50.0, 75.0


@pytest.mark.parametrize("window", [SlidingWindow, CalendarWindow])
@pytest.mark.parametrize(
    ("limit", "others", "refusals"),
    [
        (10.0, 3.0, 0.06),
        (10.0, 5.0, 0.10),
        (10.0, 8.0, 0.20),
        (50.0, 25.0, 0.03),
        (50.0, 45.0, 0.11),
        (500.0, 250.0, 0.015),
        (500.0, 450.0, 0.03),
    ],
)
def test_a_shared_quota_is_shared_and_taken_back(
    window: type[SlidingWindow | CalendarWindow], limit: float, others: float, refusals: float
) -> None:
    """We find about what others leave, with few refusals; 10 s after they left the quota is ours again.

    The first two are means over several crowds: what one refusal at 10 a second does is chance.
    """

    async def main(seed: int) -> Record:
        quota: Quota = window(limit)
        async with asyncio.TaskGroup() as group:
            group.create_task(crowd(quota, others, JOIN, LEAVE, seed))
            ours = group.create_task(
                use(quota, Pacer(limit, clock=now), END, workers=max(8, int(limit * 0.1)))
            )
        return ours.result()

    records = [run(main, seed) for seed in range(10 if limit <= 50 else 1)]
    assert fmean(record.rate(JOIN + 5, LEAVE) for record in records) >= 0.7 * (limit - others)
    assert fmean(record.refusals(JOIN + 5, LEAVE) for record in records) <= refusals
    assert min(record.rate(LEAVE + 10, END) for record in records) >= 0.95 * limit


@pytest.mark.parametrize("limit", [10.0, 100.0])
@pytest.mark.parametrize("late", [0.0, 10.0, 15.0])
def test_two_pacers_share_fairly(limit: float, late: float) -> None:
    """Two of us on one quota, also when one comes late to it: together most of it, and neither is starved."""

    async def main() -> tuple[Record, Record]:
        quota = SlidingWindow(limit)

        async def one(delay: float) -> Record:
            await asyncio.sleep(delay)
            return await use(quota, Pacer(limit, clock=now), 120 - delay)

        return await asyncio.gather(one(0), one(late))

    first, second = run(main)
    rates = first.rate(40, 120), second.rate(40 - late, 120 - late)
    assert sum(rates) >= 0.88 * limit
    assert min(rates) >= 0.25 * limit


def test_a_ceiling_above_the_quota_finds_the_quota() -> None:
    """With --qps set ten times too high, 90 % of the true quota is used with few refusals."""

    async def main() -> Record:
        return await use(SlidingWindow(50), Pacer(500, clock=now), 60, workers=64)

    record = run(main)
    assert record.rate(10, 60) >= 0.9 * 50
    assert record.refusals(10, 60) <= 0.03


@pytest.mark.parametrize("quota", [20.0, 400.0])
def test_without_a_ceiling_throttling_finds_one(quota: float) -> None:
    """A pacer without a ceiling that meets a quota settles just below it, and knows its pace."""

    async def main() -> tuple[Record, float]:
        pacer = Pacer(0, clock=now)
        record = await use(SlidingWindow(quota), pacer, 40, workers=32)
        return record, pacer.pace

    record, pace = run(main)
    assert record.rate(8, 40) >= 0.85 * quota
    assert record.refusals(8, 40) <= 0.08
    assert 0.5 * quota < pace < 2 * quota


def test_without_a_ceiling_sending_is_as_fast_as_before_again() -> None:
    """After the throttling a pacer without a ceiling is as fast as before; it is not held up twice."""

    class Spells:
        def accepts(self, at: float) -> bool:
            return not (1_010 <= at < 1_015 or 1_040 <= at < 1_045)

    async def main() -> tuple[Record, float]:
        pacer = Pacer(0, clock=now)
        return await use(Spells(), pacer, 60, workers=8), pacer.pace

    record, pace = run(main)
    assert record.rate(17, 18) < 0.6 * record.rate(0, 9)
    for calm in ((28, 39), (56, 59)):
        assert record.rate(*calm) >= 0.95 * record.rate(0, 9)
    assert all(later - earlier < 2 for earlier, later in pairwise(record.written))
    assert pace == float("inf")


def test_a_throttling_spell_is_waited_out_with_few_tries() -> None:
    """While everything is refused only a few requests a second try; afterwards the pace is back in 10 s."""

    class Spell:
        def __init__(self) -> None:
            self.window = SlidingWindow(50)

        def accepts(self, at: float) -> bool:
            return not 1_010 <= at < 1_070 and self.window.accepts(at)

    async def main() -> Record:
        return await use(Spell(), Pacer(50, clock=now), 110, workers=16)

    record = run(main)
    assert sum(12 <= at < 70 for at in record.refused) <= 58 * 3
    assert record.rate(80, 110) >= 0.95 * 50


def test_retry_after_pauses_the_lane() -> None:
    """Nothing is sent for as long as the service asked; then the pace is nearly the same."""

    class Once:
        refused_at = 0.0

        def accepts(self, at: float) -> bool:
            if at > 1_005 and not self.refused_at:
                self.refused_at = at
                return False
            return True

    async def main() -> tuple[Record, float]:
        quota = Once()
        record = await use(quota, Pacer(50, clock=now), 20, workers=16, retry_after=3.0)
        return record, quota.refused_at - 1_000

    record, refused_at = run(main)
    assert not [at for at in record.written if refused_at + 0.01 < at < refused_at + 3]
    assert record.rate(refused_at + 3.5, refused_at + 6.5) >= 0.85 * 50
    assert record.rate(refused_at + 9, 20) >= 0.98 * 50


def test_retry_after_is_capped() -> None:
    """A service that asks for an hour gets a minute."""

    async def main() -> float:
        pacer = Pacer(10, clock=now)
        permit = await pacer.acquire()
        assert permit is not None
        pacer.wrote(permit)
        pacer.ended(permit)
        pacer.answered(0.01, throttled=True, retry_after=3_600)
        asked = now()
        await pacer.acquire()
        return now() - asked

    assert 59 <= run(main) <= 61


def test_refusals_of_one_overload_cut_once() -> None:
    """A second refusal of a request that was written before the cut changes nothing."""

    async def main() -> tuple[float, float]:
        pacer = Pacer(100, clock=now)
        permits = [await pacer.acquire() for _ in range(5)]
        for permit in permits:
            assert permit is not None
            pacer.wrote(permit)
        await asyncio.sleep(0.05)
        pacer.answered(0.05, throttled=True)
        first = pacer.pace
        for _ in permits[1:]:
            pacer.answered(0.05, throttled=True)
        return first, pacer.pace

    first, last = run(main)
    assert first == last == pytest.approx(90)


def test_an_outage_leaves_no_credit() -> None:
    """After minutes of lost requests the sends go on at the pace, not in a burst."""

    async def main() -> list[float]:
        pacer, written, start = Pacer(40, clock=now), [], now()

        async def work() -> None:
            while (permit := await pacer.acquire()) is not None:
                pacer.wrote(permit)
                written.append(now() - start)
                down = 10 <= now() - start < 190
                await asyncio.sleep(30 if down else 0.02)  # a timeout, or an answer
                pacer.ended(permit)
                if not down:
                    pacer.answered(0.02)

        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(work())
            await asyncio.sleep(240)
            pacer.close()
        return written

    written = run(main)
    assert sum(at >= 225 for at in written) >= 0.99 * 40 * 14
    for tenth in range(2_400):
        assert sum(tenth / 10 <= at < (tenth + 1) / 10 for at in written) <= 9
