"""A network that stalls between a real run and a service that counts: is the limit ever exceeded?

    python -m benchmarks.stalls [--limits 10 100 1000] [--stalls 0.5 2 4 6]

A relay holds back everything, both ways, and then lets go of it at once. What counts is the arrivals at the
service. It ends with 1 if any second saw more than the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import sys
import tempfile
from array import array
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import cores, serving
from bulkseed.engine.stop import Stop
from bulkseed.jobs.apply import seed
from bulkseed.ledger import open_ledger
from bulkseed.model import Credentials, Origin, SecretDefinition, SecretValue, Target

LEAD, TAIL = 1.5, 2.0
"""Seconds before the stall, and after it."""


class Stalled(NamedTuple):
    """What arrived: how many, the most in any second, and how many in the second after the stall."""

    arrived: int
    most: int
    after: int


class Relay:
    """A network that can stall."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0
        self._relaying: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def stands(self) -> AsyncIterator[None]:
        """Relay connections until the end of the block."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self._flows.set()
            server.close()
            await asyncio.gather(*self._relaying)  # both ends have gone, or go now

    async def stall(self, seconds: float) -> None:
        """Hold everything back for so long."""
        self._flows.clear()
        await asyncio.sleep(seconds)
        self._flows.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        if task is not None:
            self._relaying.add(task)
        with contextlib.suppress(ConnectionError):
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._flows.wait()
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


def definitions() -> Iterator[SecretDefinition]:
    """Yield definitions without end."""
    number = 0
    while True:
        number += 1
        yield SecretDefinition(f"stall-{number}", SecretValue("fake"), "v1", Origin("stalls", number))


async def run(port: int, limit: float, stall: float, folder: Path, lead: float, tail: float) -> None:
    """Send at the limit through a relay that stalls once."""
    relay, stop = Relay(port), Stop()
    async with relay.stands():
        target = Target(
            f"http://127.0.0.1:{relay.port}", "cn-hangzhou", Credentials("id", SecretValue("fake"))
        )
        with open_ledger(folder / "stalls.ledger.db", target) as ledger:
            running = asyncio.ensure_future(
                seed(definitions(), target, ledger, qps=limit, stop=stop, account_for_rest=False)
            )
            await asyncio.sleep(lead)
            await relay.stall(stall)
            await asyncio.sleep(tail)
            stop.request("enough")
            await running


def measure(limit: float, stall: float, lead: float = LEAD, tail: float = TAIL) -> Stalled:
    """Return what a service has counted."""
    with tempfile.TemporaryDirectory() as name:
        arrivals = Path(name) / "arrivals"
        command = [sys.executable, "-m", "benchmarks.stub_server", "--arrivals", str(arrivals)]
        with serving(command, cores()[0]) as told:
            asyncio.run(run(told["port"], limit, stall, Path(name), lead, tail))
        times = array("d")
        times.frombytes(arrivals.read_bytes())
    gaps = [(later - earlier, later) for earlier, later in itertools.pairwise(times)]
    resumed = max(gaps)[1] if gaps else 0.0
    after = sum(resumed <= at < resumed + 1 for at in times)
    return Stalled(len(times), most_in_one_second(times), after)


def most_in_one_second(times: Any) -> int:
    """Return the most of the sorted times in any half-open second."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limits", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--stalls", type=float, nargs="+", default=[0.5, 2.0, 4.0, 6.0])
    options = parser.parse_args()
    exceeded = False
    print("| limit | stall | arrived | most in a second | in the second after |\n|---|---|---|---|---|")
    for limit in options.limits:
        for stall in options.stalls:
            found = measure(limit, stall)
            exceeded |= found.most > limit
            print(
                f"| {limit:,} | {stall:g} s | {found.arrived:,} | {found.most:,} | {found.after:,} |",
                flush=True,
            )
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
