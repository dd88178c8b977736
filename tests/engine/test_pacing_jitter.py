"""A strict window at the service, whatever the network does to our spacing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.quota import CalendarWindow, Quota, Record, SlidingWindow, most_in_one_second, use
from support.virtual_clock import START, now, run

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


def test_replies_that_take_seconds_cost_what_they_may_hide() -> None:
    """Latencies spread over seconds may be spent on the way there: each request keeps its place meanwhile."""
    record = _with_jitter(SlidingWindow, 20.0, 0.0, 3.0, 60.0)
    assert 20 / (1 + 1.6) <= record.rate(5, 60) <= 20 / (1 + 1.2)


class _Stalls:
    """A network that lets nothing through during some times, and then everything at once."""

    def __init__(self, stalls: list[tuple[float, float]]) -> None:
        self._start = now()
        self._stalls = stalls

    def way(self, seconds: float) -> float:
        """Return how long a way takes that begins now and takes `seconds` where nothing stalls."""
        arrives = now() - self._start + seconds
        for began, length in self._stalls:
            if began <= arrives < began + length:
                arrives = began + length
        return arrives - (now() - self._start)


@settings(max_examples=80, deadline=None)
@given(
    limit=st.sampled_from([1, 5, 10, 30, 100]),
    there=st.lists(st.tuples(st.floats(3, 25), st.floats(0.1, 6)), max_size=4),
    back=st.lists(st.tuples(st.floats(3, 25), st.floats(0.1, 6)), max_size=4),
    way=st.sampled_from([0.0, 0.001, 0.01, 0.1]),
)
def test_stalls_never_exceed_the_limit_at_the_service(
    limit: int, there: list[tuple[float, float]], back: list[tuple[float, float]], way: float
) -> None:
    """Whatever stalls on either way, for as long as it likes: no second at the service is over the limit.

    The first three seconds are spared: how fast a round trip can be must be seen once (D1).
    """

    async def main() -> Record:
        to, fro = _Stalls(there), _Stalls(back)
        return await use(
            SlidingWindow(1e9),
            Pacer(limit, clock=now),
            30,
            there=lambda: to.way(way),
            back=lambda: fro.way(way),
            workers=2 * limit,
        )

    record = run(main)
    assert most_in_one_second(sorted(record.accepted)) <= limit
    stalled = sum(length for _, length in there + back)
    assert len(record.accepted) >= 0.9 * limit * max(0.0, 27 - stalled - 2 * len(there + back))


def test_after_a_stall_a_way_that_is_faster_than_ever_exceeds_no_limit() -> None:
    """The machine was busy before, and nothing was fast: the service sees no more than the limit after it."""

    def way() -> float:
        passed = now() - START
        return 0.15 if passed < 3 else 7 - passed if passed < 7 else 0.0005

    async def main() -> Record:
        return await use(SlidingWindow(1000), Pacer(100, clock=now), 10, there=way, back=way, workers=200)

    record = run(main)
    assert most_in_one_second(sorted(record.accepted)) <= 100
    assert len(record.accepted) > 500


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
