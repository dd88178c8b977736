"""Many local KMS in one process, each another account; each notes when creates and deletes arrive."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bulkseed.model import SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import Arrival
from bulkseed.service.shell.local import local_service
from support.command import KEY_ID, KEY_SECRET

TESTS = Path(__file__).parents[1]
COUNTED = {"CreateSecret", "DeleteSecret"}
"""Their quota is one."""


@dataclass
class Accounts:
    """Where they answer, one for each account."""

    endpoints: list[str]
    ask: IO[bytes]
    told: IO[bytes]
    ca_file: Path | None = None

    def targets(self, names: str, qps: float, **more: object) -> str:
        """Return a targets file: one for each account, which takes the names that begin with its own."""
        if self.ca_file is not None:
            more = {"ca_file": str(self.ca_file), **more}
        extra = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
        return "".join(
            f'[[target]]\nname = "t{n}"\nregion = "cn-hangzhou"\nendpoint = "{endpoint}"\nqps = {qps}\n'
            f'match = ["{names}/{n}/*"]\n{extra}'
            for n, endpoint in enumerate(self.endpoints)
        )

    def arrived(self) -> list[list[float]]:
        """Return when creates and deletes have arrived at each since this was asked last.

        In seconds of a clock that nobody sets. What a service refuses has arrived, too.
        """
        self.ask.write(b"\n")
        self.ask.flush()
        return list(json.loads(self.told.readline()))


def worst_second(times: Sequence[float]) -> int:
    """Return the most of the sorted `times` in any half-open second."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def accounts(count: int, create_qps: float, tls: tuple[Path, Path, Path] | None = None) -> Iterator[Accounts]:
    """Serve `count` accounts until the end of the block; `tls`: authority, certificate and key."""
    files = tls[1:] if tls else ()
    process = subprocess.Popen(
        [sys.executable, __file__, str(count), str(create_qps), *map(str, files)],
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        endpoints = json.loads(process.stdout.readline())
        yield Accounts(endpoints, process.stdin, process.stdout, tls[0] if tls else None)
    finally:
        process.communicate()


class _Log:
    """When requests of one quota arrived at one service."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, arrival: Arrival) -> None:
        """Note it, and leave the request alone."""
        if arrival.action in COUNTED:
            self.times.append(time.monotonic())


async def _serve(count: int, create_qps: float, *tls: str) -> None:
    certificate, key = map(Path, tls) if tls else (None, None)
    async with AsyncExitStack() as stack:
        endpoints, logs = [], [_Log() for _ in range(count)]
        for number, log in enumerate(logs):
            options = ServiceOptions(
                account_id=str(1_000_000_000_000_000 + number),
                access_key_id=KEY_ID,
                access_key_secret=SecretValue(KEY_SECRET),
                create_qps=create_qps,
                read_qps=0,
                tls_cert=certificate,
                tls_key=key,
            )
            endpoints.append((await stack.enter_async_context(local_service(options, hook=log))).endpoint)
        print(json.dumps(endpoints), flush=True)  # noqa: T201  # the other end reads it
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps([log.times for log in logs]), flush=True)  # noqa: T201
            for log in logs:
                log.times = []


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]))
