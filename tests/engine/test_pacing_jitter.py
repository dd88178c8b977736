"""A strict window at the service, whatever the network does to our spacing."""

from __future__ import annotations

import random

import pytest
from support.quota import CalendarWindow, Quota, Record, SlidingWindow, most_in_one_second, use
from support.virtual_clock import now, run

from bulkseed.pacing.pacer import Pacer


def _with_jitter(
    window: type[SlidingWindow | CalendarWindow],
    limit: float,
    there: float,
    back: float,
    seconds: float,
    workers: int = 150,
) -> Record:
    """Use a quota over a network whose ways take 5 ms plus up to `there` and `back` seconds."""
    rng = random.Random(7)  # noqa: S311  # a simulation, repeatable

    async def main() -> Record:
        quota: Quota = window(limit)
        return await use(
            quota,
            Pacer(limit, clock=now),
            seconds,
            there=lambda: 0.005 + rng.random() * there,
            back=lambda: 0.005 + rng.random() * back,
            workers=workers,
        )

    return run(main)


@pytest.mark.parametrize("window", [SlidingWindow, CalendarWindow])
@pytest.mark.parametrize(("limit", "seconds"), [(10.0, 200.0), (50.0, 60.0), (500.0, 8.0)])
@pytest.mark.parametrize("jitter", [0.0, 0.005, 0.02, 0.05])
@pytest.mark.parametrize("ways", ["there", "both"])
def test_the_service_accepts_95_percent_and_refuses_one(
    window: type[SlidingWindow | CalendarWindow], limit: float, seconds: float, jitter: float, ways: str
) -> None:
    """Up to 50 ms of jitter each way: at least 95 % of the quota is accepted, at most 1 % refused."""
    record = _with_jitter(window, limit, jitter, jitter if ways == "both" else 0.0, seconds)
    assert record.rate(1.5, seconds) >= 0.95 * limit
    assert record.refusals(0, seconds) <= 0.01


@pytest.mark.parametrize("limit", [10, 20, 50, 100, 200])
@pytest.mark.parametrize("slow", [1, 3])
def test_a_slow_start_does_not_exceed_the_limit_at_the_service(limit: int, slow: int) -> None:
    """When the first replies take 300 ms and later ones 5 to 40, no second at the service is over the limit.

    It holds for every second that ends until two seconds after the first reply, whichever request it answers.
    """

    async def main(seed: int) -> Record:
        rng = random.Random(seed)  # noqa: S311  # a simulation, repeatable
        left = slow

        def there() -> float:
            nonlocal left
            left -= 1
            return (0.3 if left >= 0 else 0.0) + rng.uniform(0.0025, 0.02)

        pacer = Pacer(limit, clock=now)
        return await use(
            SlidingWindow(1e9), pacer, 2.6, there=there, back=lambda: rng.uniform(0.0025, 0.02), workers=64
        )

    for seed in range(10):
        arrived = run(main, seed).accepted
        assert most_in_one_second([at for at in arrived if at < 2.0]) <= limit
        assert len(arrived) >= 2.1 * limit


def test_jitter_costs_its_mean_not_its_maximum() -> None:
    """With 50 ms of jitter on the way there 97 % of the quota is accepted; Q / (1 + J) would be 95.2 %."""
    record = _with_jitter(SlidingWindow, 50.0, 0.05, 0.0, 120.0)
    assert record.rate(1.5, 120) >= 0.97 * 50


def test_wild_latencies_cost_at_most_a_tenth() -> None:
    """Latencies spread over seconds are a slow service: the pace gives way to them by 9 %, not by seconds."""
    record = _with_jitter(SlidingWindow, 20.0, 0.0, 3.0, 60.0)
    assert record.rate(5, 60) >= 0.88 * 20


def test_a_new_route_is_learned() -> None:
    """When the fastest round trip grows for good, the old one is forgotten within a minute."""

    async def main() -> Record:
        start = now()

        def there() -> float:
            return 0.005 if now() - start < 20 else 0.075

        return await use(SlidingWindow(50), Pacer(50, clock=now), 110, there=there, workers=16)

    record = run(main)
    assert record.rate(2, 20) >= 0.99 * 50
    assert record.rate(30, 45) < 0.95 * 50
    assert record.rate(85, 110) >= 0.99 * 50
    assert not record.refused
