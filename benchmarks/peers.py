"""What people use instead: the vendor's SDK in its three modes, and the script that everybody writes first.

    python -m benchmarks.peers NAME ENDPOINT COUNT [CA_FILE]

Creates COUNT secrets and prints ``{"secrets": …, "wall": …, "cpu": …}`` in seconds, imports not counted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

KEY_ID, KEY_SECRET = "fake-access-key-id", "fake-access-key-secret"
THREADS = 32
IN_FLIGHT = 64


def definition(number: int) -> dict[str, str]:
    """Return one secret with an obviously fake value of about 300 bytes."""
    return {
        "SecretName": f"prod/app-{number % 97:03d}/db/{number:07d}",
        "SecretData": "fake-not-a-secret-" + f"x{number:07d}" * 35,
        "VersionId": "v1",
        "Description": "benchmark secret",
        "Tags": '[{"TagKey":"env","TagValue":"bench"}]',
    }


def sdk_client(endpoint: str, **config: Any) -> tuple[Any, Callable[[int], Any]]:
    """Return the vendor's client, and what makes its request for one secret."""
    from alibabacloud_kms20160120 import models
    from alibabacloud_kms20160120.client import Client
    from alibabacloud_tea_openapi.models import Config

    scheme, host = endpoint.split("://")
    client = Client(
        Config(
            access_key_id=KEY_ID,
            access_key_secret=KEY_SECRET,
            endpoint=host,
            protocol=scheme,
            region_id="cn-hangzhou",
            **config,
        )
    )

    def request(number: int) -> Any:
        d = definition(number)
        return models.CreateSecretRequest(
            secret_name=d["SecretName"],
            secret_data=d["SecretData"],
            version_id=d["VersionId"],
            description=d["Description"],
            tags=d["Tags"],
        )

    return client, request


def sdk_sync(endpoint: str, count: int, ca_file: str | None) -> Callable[[], None]:
    """One call after the other."""
    client, request = sdk_client(endpoint, ca=ca_file)

    def run() -> None:
        for number in range(count):
            client.create_secret(request(number))

    return run


def sdk_threads(endpoint: str, count: int, ca_file: str | None) -> Callable[[], None]:
    """The synchronous client in 32 threads."""
    client, request = sdk_client(endpoint, ca=ca_file)

    def run() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda number: client.create_secret(request(number)), range(count)):
                pass

    return run


def sdk_async(endpoint: str, count: int, ca_file: str | None) -> Callable[[], None]:
    """The asynchronous client, 64 in flight."""
    client, request = sdk_client(endpoint, ca=ca_file)

    async def main() -> None:
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def create(number: int) -> None:
            async with gate:
                await client.create_secret_async(request(number))

        await asyncio.gather(*(create(number) for number in range(count)))

    return lambda: asyncio.run(main())


def script(endpoint: str, count: int, ca_file: str | None) -> Callable[[], None]:
    """A typical script: a queue, 64 workers on one session, aiolimiter, plain signing, a list of results."""
    import aiohttp
    from aiolimiter import AsyncLimiter

    @dataclass
    class Secret:
        SecretName: str
        SecretData: str
        VersionId: str
        Description: str
        Tags: str

    manifest = [json.dumps(definition(number)) for number in range(count)]

    async def main() -> None:
        queue: asyncio.Queue[Secret | None] = asyncio.Queue(1000)
        limiter = AsyncLimiter(1e9, 1)  # out of the way
        results = []

        async def work(session: aiohttp.ClientSession) -> None:
            while (secret := await queue.get()) is not None:
                form = signed(asdict(secret))
                async with limiter, session.post(endpoint, data=form) as response:
                    reply = await response.json()
                    results.append((secret.SecretName, response.status, reply["RequestId"]))

        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work(session))
            for line in manifest:
                await queue.put(Secret(**json.loads(line)))
            for _ in range(IN_FLIGHT):
                await queue.put(None)

    del ca_file
    return lambda: asyncio.run(main())


def signed(parameters: dict[str, str]) -> dict[str, str]:
    """Sign as the documentation's example does (RPC 1.0), and return the form."""
    every = {
        **parameters,
        "Action": "CreateSecret",
        "Version": "2016-01-20",
        "Format": "JSON",
        "AccessKeyId": KEY_ID,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    query = "&".join(f"{_quote(k)}={_quote(v)}" for k, v in sorted(every.items()))
    text = f"POST&%2F&{_quote(query)}"
    digest = hmac.new(f"{KEY_SECRET}&".encode(), text.encode(), hashlib.sha1).digest()
    return {**every, "Signature": base64.b64encode(digest).decode()}


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="~")


PEERS: dict[str, Callable[[str, int, str | None], Callable[[], None]]] = {
    "SDK, one call after the other": sdk_sync,
    "SDK, 32 threads": sdk_threads,
    "SDK, async": sdk_async,
    "typical aiohttp script": script,
}


def main() -> None:
    """Run one peer."""
    name, endpoint, count, *rest = sys.argv[1:]
    run = PEERS[name](endpoint, int(count), rest[0] if rest else None)
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({"secrets": int(count), **took}))


if __name__ == "__main__":
    main()
