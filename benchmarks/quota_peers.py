"""How other clients meet a quota. Each gives up on a secret where its users' programs do.

python -m benchmarks.quota_peers NAME ENDPOINT COUNT LIMIT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from benchmarks.peers import IN_FLIGHT, KEY_ID, KEY_SECRET, definition, sdk_client, signed

THREADS = 16
BOTOCORE = "botocore's adaptive retries, 16 threads"


def _in_threads(create: Callable[[int], Any], count: int) -> None:
    def attempt(number: int) -> None:
        with suppress(Exception):  # a program would write to its log that this one failed
            create(number)

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(attempt, range(count)):
            pass


def sdk_threads(endpoint: str, count: int, limit: int) -> None:
    """The vendor's SDK as it comes: what is refused is an exception."""
    del limit
    client, request = sdk_client(endpoint)
    _in_threads(lambda number: client.create_secret(request(number)), count)


def sdk_retrying(endpoint: str, count: int, limit: int) -> None:
    """The vendor's SDK, told to retry what is throttled 8 times with exponential backoff and full jitter."""
    from darabonba.policy.retry import RetryOptions

    del limit
    backoff = {"policy": "ExponentialWithFullJitter", "period": 100, "cap": 10_000}
    condition = {"maxAttempts": 8, "errorCode": ["Rejected.Throttling"], "backoff": backoff}
    retries = RetryOptions({"retryable": True, "maxAttempts": 8, "retryCondition": [condition]})
    client, request = sdk_client(endpoint, retry_options=retries)
    _in_threads(lambda number: client.create_secret(request(number)), count)


def boto_adaptive(endpoint: str, count: int, limit: int) -> None:
    """The best known retry policy: botocore's adaptive mode, which measures and paces (for AWS's service)."""
    import botocore.session
    from botocore.config import Config

    del limit
    retries = {"mode": "adaptive", "max_attempts": 8}
    client = botocore.session.get_session().create_client(
        "secretsmanager",
        "us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=KEY_SECRET,
        config=Config(retries=retries, max_pool_connections=THREADS),
    )

    def create(number: int) -> None:
        d = definition(number)
        client.create_secret(Name=d["SecretName"], SecretString=d["SecretData"])

    _in_threads(create, count)


def script(endpoint: str, count: int, limit: int) -> None:
    """The typical script, with aiolimiter at the quota and three tries."""
    import aiohttp
    from aiolimiter import AsyncLimiter

    async def main() -> None:
        limiter, gate = AsyncLimiter(limit, 1), asyncio.Semaphore(IN_FLIGHT)

        async def create(session: aiohttp.ClientSession, number: int) -> None:
            async with gate:
                for pause in (0.5, 1.0, 2.0):
                    async with limiter, session.post(endpoint, data=signed(definition(number))) as response:
                        if response.status == 200:
                            return
                    await asyncio.sleep(pause)

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(create(session, number) for number in range(count)))

    asyncio.run(main())


PEERS: dict[str, Callable[[str, int, int], None]] = {
    "SDK, 16 threads": sdk_threads,
    "SDK, 16 threads, with retries": sdk_retrying,
    BOTOCORE: boto_adaptive,
    "typical aiohttp script, aiolimiter": script,
}


if __name__ == "__main__":
    PEERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
