"""What people use instead: the vendor's SDK in its three modes, and two scripts.

    python -m benchmarks.peers NAME ENDPOINT MANIFEST COUNT [CA_FILE]

All send the same secrets with the same parameters, those of a manifest that `benchmarks.common` writes:

- **SDK**, one call after the other, in 32 threads, or async with 64 in flight. It signs ACS3-HMAC-SHA256, as
  ours does, and sends the value in the body. Requests are made from definitions in memory: it is spared the
  manifest. Nothing is kept.
- **bare aiohttp script**, what is written first: lines of the manifest through ``json.loads`` and a queue to
  64 workers on one session, aiolimiter, RPC 1.0 signed as the documentation's example does it. It checks
  nothing, and its results are gone with it.
- **typical aiohttp script**, what that becomes before it is run on production: the same, but pydantic checks
  every line, and the results go into SQLite at the end, in one ``executemany``.

None claims anything on disk before it sends, retries, or could go on after a crash. Prints ``{"secrets": …,
"wall": …, "cpu": …}``: how many, and seconds, imports not counted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sqlite3
import ssl
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

KEY_ID, KEY_SECRET = "fake-access-key-id", "fake-access-key-secret"
THREADS = 32
IN_FLIGHT = 64

Result = tuple[str, int, str]
"""What a script keeps: name, status, request id."""


class Job(NamedTuple):
    """What a peer is to do."""

    endpoint: str
    manifest: Path
    secrets: int
    ca_file: str | None = None


def definition(number: int) -> dict[str, str]:
    """Return one secret with an obviously fake value of about 300 bytes."""
    return {
        "SecretName": f"prod/app-{number % 97:03d}/db/{number:07d}",
        "SecretData": "fake-not-a-secret-" + f"x{number:07d}" * 35,
        "VersionId": "v1",
        "Description": "benchmark secret",
        "Tags": '[{"TagKey":"env","TagValue":"bench"}]',
        "SecretDataType": "text",
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
            secret_data_type=d["SecretDataType"],
        )

    return client, request


def sdk_sync(job: Job) -> Callable[[], None]:
    """One call after the other."""
    client, request = sdk_client(job.endpoint, ca=job.ca_file)

    def run() -> None:
        for number in range(job.secrets):
            client.create_secret(request(number))

    return run


def sdk_threads(job: Job) -> Callable[[], None]:
    """The synchronous client in 32 threads."""
    client, request = sdk_client(job.endpoint, ca=job.ca_file)

    def run() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda number: client.create_secret(request(number)), range(job.secrets)):
                pass

    return run


def sdk_async(job: Job) -> Callable[[], None]:
    """The asynchronous client, 64 in flight."""
    client, request = sdk_client(job.endpoint, ca=job.ca_file)

    async def main() -> None:
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def create(number: int) -> None:
            async with gate:
                await client.create_secret_async(request(number))

        await asyncio.gather(*(create(number) for number in range(job.secrets)))

    return lambda: asyncio.run(main())


def bare_script(job: Job) -> Callable[[], None]:
    """Nothing is checked, nothing is kept."""
    return script(job, json.loads, lambda _results: None)


def typical_script(job: Job) -> Callable[[], None]:
    """Every line is checked, every result is kept."""
    from pydantic import BaseModel, Field

    class Secret(BaseModel):
        SecretName: str = Field(min_length=1, max_length=192)
        SecretData: str = Field(min_length=1, max_length=30_720)
        VersionId: str = Field("v1", min_length=1, max_length=64)
        Description: str | None = None
        Tags: str | None = None
        SecretDataType: str | None = Field(None, pattern="^(text|binary)$")

    def keep(results: list[Result]) -> None:
        with closing(sqlite3.connect(job.manifest.with_suffix(".results.db"))) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS results (name TEXT, status INT, request_id TEXT)")
            database.executemany("INSERT INTO results VALUES (?, ?, ?)", results)

    return script(job, lambda line: Secret.model_validate_json(line).model_dump(exclude_none=True), keep)


def script(
    job: Job, read: Callable[[str], dict[str, str]], keep: Callable[[list[Result]], None]
) -> Callable[[], None]:
    """A queue, 64 workers on one session with its defaults, aiolimiter, plain signing."""
    import aiohttp
    from aiolimiter import AsyncLimiter

    trust = ssl.create_default_context(cafile=job.ca_file) if job.ca_file else True

    async def main(lines: Iterable[str]) -> None:
        queue: asyncio.Queue[dict[str, str] | None] = asyncio.Queue(1000)
        limiter = AsyncLimiter(1e9, 1)  # out of the way
        results: list[Result] = []

        async def work(session: aiohttp.ClientSession) -> None:
            while (secret := await queue.get()) is not None:
                form = signed(secret)
                async with limiter, session.post(job.endpoint, data=form, ssl=trust) as response:
                    reply = await response.json()
                    results.append((secret["SecretName"], response.status, reply["RequestId"]))

        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work(session))
            for line in lines:
                await queue.put(read(line))
            for _ in range(IN_FLIGHT):
                await queue.put(None)
        keep(results)

    def run() -> None:
        with job.manifest.open() as lines:
            asyncio.run(main(islice(lines, job.secrets)))

    return run


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


PEERS: dict[str, Callable[[Job], Callable[[], None]]] = {
    "SDK, one call after the other": sdk_sync,
    "SDK, 32 threads": sdk_threads,
    "SDK, async": sdk_async,
    "bare aiohttp script": bare_script,
    "typical aiohttp script": typical_script,
}


def main() -> None:
    """Run one peer."""
    name, endpoint, manifest, count, *rest = sys.argv[1:]
    run = PEERS[name](Job(endpoint, Path(manifest), int(count), rest[0] if rest else None))
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({"secrets": int(count), **took}))


if __name__ == "__main__":
    main()
