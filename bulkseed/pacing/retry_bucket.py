"""The token bucket of retries, for a run without a ceiling.

With a quota, retries pay for their permits like any other attempt, so when the service comes back
after an outage they cannot stampede. Without a ceiling nothing else would spread them: this bucket does.

It is aiolimiter's, whose home this is. In the pacers it would be in the way: on uvloop, whose clock moves in
steps of a millisecond, its waiting took 275-480 µs of CPU per send at 10 to 2,000 a second, where the pacer
takes 20-80 (`benchmarks/pacing.py`); that is 70 % of a core at 2,000 a second. Nor can its rate be changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

PER_SECOND = 200.0
BURST = 20.0


class RetryBucket:
    """The bucket of one run; it is made when it is first needed, as its import takes 10 ms."""

    def __init__(self) -> None:
        self._limiter: AsyncLimiter | None = None

    async def acquire(self) -> None:
        """Wait until an attempt may be repeated."""
        if self._limiter is None:
            from aiolimiter import AsyncLimiter

            self._limiter = AsyncLimiter(BURST, BURST / PER_SECOND)
        await self._limiter.acquire()
