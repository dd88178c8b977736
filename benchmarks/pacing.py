"""Pacing on real time: `python -m benchmarks.pacing [seconds]` prints how much of a limit the pacer uses.

No network: workers take a permit, mark it written and release it a turn of the loop later, so the figures are
the pacer's own. `limiter` rows show aiolimiter with the same small burst, for comparison. Shares are taken
over the steady part, after the first 1.2 s; the worst second over everything.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable

import uvloop
from aiolimiter import AsyncLimiter

from bulkseed.pacing.pacer import Pacer

RATES = (10, 50, 500, 2_000, 10_000, 20_000)
WARM_UP = 1.2

Send = Callable[[], Awaitable[None]]


def pacer(limit: float) -> Send:
    """Return what one worker does again and again with our pacer."""
    ours = Pacer(limit)

    async def send() -> None:
        permit = await ours.acquire()
        if permit is not None:
            at = time.monotonic()
            sent.append(at)
            ours.wrote(permit)
            await asyncio.sleep(0)
            ours.ended(permit)
            ours.answered(time.monotonic() - at)

    return send


def limiter(limit: float) -> Send:
    """Return the same with aiolimiter as the token bucket, and no guard."""
    burst = 1 + 0.01 * limit
    bucket = AsyncLimiter(burst, burst / limit)

    async def send() -> None:
        await bucket.acquire()
        sent.append(time.monotonic())
        await asyncio.sleep(0)

    return send


sent: deque[float] = deque()


def worst_second() -> int:
    """Return the most sends in any half-open second."""
    times = list(sent)
    worst = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


async def measure(kind: Callable[[float], Send], limit: float, seconds: float, workers: int) -> str:
    """Run `workers` against one limiter and return a table row."""
    sent.clear()
    send = kind(limit)
    began = time.monotonic()
    cpu = time.process_time()

    async def worker() -> None:
        while time.monotonic() - began < seconds:
            await send()

    await asyncio.gather(*(worker() for _ in range(workers)))
    cpu = time.process_time() - cpu
    steady = [at for at in sent if at - began >= WARM_UP]
    share = (len(steady) - 1) / (steady[-1] - steady[0]) / limit
    loop = type(asyncio.get_running_loop()).__module__.split(".")[0]
    cost = cpu / len(sent) * 1e6
    return f"| {kind.__name__} | {limit} | {loop} | {share:.2%} | {worst_second()} | {cost:.1f} |"


def main(seconds: float) -> None:
    """Print the table."""
    print("| limiter | limit/s | loop | used | worst second | CPU us per send |\n|---|---|---|---|---|---|")
    for limit in RATES:
        for kind in (pacer, limiter):
            for loop_factory in (asyncio.new_event_loop, uvloop.new_event_loop):
                with asyncio.Runner(loop_factory=loop_factory) as runner:
                    print(runner.run(measure(kind, limit, seconds, workers=64)), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0)
