"""The token bucket of retries, for a run without a ceiling.

On a lane with a quota retries pay for their permits like any other attempt, so when the service comes back
after an outage they cannot stampede. Without a ceiling nothing else would spread them: this bucket does.

It is aiolimiter's, whose home this is. In the lanes it is in the way: on uvloop, whose clock moves in steps of
a millisecond, its waiting took 275-480 µs of CPU per send at 10 to 2,000 a second (`benchmarks/pacing.py`; the
pacer 20-80), which at 2,000 a second is 70 % of a core, and it has no public way to change its rate.
"""

from __future__ import annotations

from aiolimiter import AsyncLimiter

PER_SECOND = 200.0
BURST = 20.0


def retry_bucket() -> AsyncLimiter:
    """Return a new bucket; `await bucket.acquire()` before each retry."""
    return AsyncLimiter(BURST, BURST / PER_SECOND)
