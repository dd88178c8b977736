"""Many local KMS in one process, each another account with a quota of its own, which a test may look into."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bulkseed.model import SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service
from support.command import KEY_ID, KEY_SECRET

TESTS = Path(__file__).parents[1]


@dataclass
class Accounts:
    """Where they answer, one for each account."""

    endpoints: list[str]

    def targets(self, names: str, qps: float, **more: object) -> str:
        """Return a targets file: one for each account, which takes the names that begin with its own."""
        extra = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
        return "".join(
            f'[[target]]\nname = "t{n}"\nregion = "cn-hangzhou"\nendpoint = "{endpoint}"\nqps = {qps}\n'
            f'match = ["{names}/{n}/*"]\n{extra}'
            for n, endpoint in enumerate(self.endpoints)
        )


@contextmanager
def accounts(count: int, create_qps: float) -> Iterator[Accounts]:
    """Serve `count` accounts until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(count), str(create_qps)],
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield Accounts(json.loads(process.stdout.readline()))
    finally:
        process.communicate()


async def _serve(count: int, create_qps: float) -> None:
    async with AsyncExitStack() as stack:
        endpoints = []
        for number in range(count):
            options = ServiceOptions(
                account_id=str(1_000_000_000_000_000 + number),
                access_key_id=KEY_ID,
                access_key_secret=SecretValue(KEY_SECRET),
                create_qps=create_qps,
                read_qps=0,
            )
            endpoints.append((await stack.enter_async_context(local_service(options))).endpoint)
        print(json.dumps(endpoints), flush=True)  # noqa: T201  # the other end reads it
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
