"""What carrying one request costs the client: µs of CPU for `send` alone, for both transports and loops.

    python -m benchmarks.transport [--requests 40000] [--repetitions 5] [--connections 64] [--tls]

The stub server has core 0, the client core 1. The variants take turns in every repetition; the table shows
the median and the range. A coroutine per connection that only sends is part of the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bulkseed.transport.aiohttp_session import SessionTransport
from bulkseed.transport.endpoint import parse_endpoint
from bulkseed.transport.raw import RawTransport
from bulkseed.wire.message import Request, Response

KINDS: dict[str, type[RawTransport | SessionTransport]] = {
    "fast": RawTransport,
    "session": SessionTransport,
}
LOOPS = ("asyncio", "uvloop")


class Figures(NamedTuple):
    """Of one run: µs of CPU a request, and requests a second."""

    cpu: float
    rate: float


def _request(host: str) -> Request:
    """Build a request of the size and shape of a signed CreateSecret with a 32-character value."""
    headers = {
        "host": host,
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "bulkseed",
        "x-acs-version": "2016-01-20",
        "x-acs-action": "CreateSecret",
        "x-acs-date": "2026-01-01T00:00:00Z",
        "x-acs-signature-nonce": "0123456789abcdef0123456789abcdef",
        "x-acs-content-sha256": "0" * 64,
        "authorization": "ACS3-HMAC-SHA256 Credential=benchmark,SignedHeaders=content-type;host;x-acs-action;"
        "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=" + "0" * 64,
    }
    query = (
        "Description=a%20secret&SecretDataType=text&SecretName=app%2Fprod%2Fdb%2F1&Tags=%5B%5D&VersionId=v1"
    )
    return Request("POST", query, headers, b"SecretData=" + b"x" * 32)


async def _drive(kind: str, url: str, ca_file: str | None, connections: int, requests: int) -> Figures:
    endpoint = parse_endpoint(url, ca_file)
    request = _request(endpoint.address)
    left = 0

    def on_write() -> bool:
        return True

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            answer = await transport.send(request, on_write)
            if not isinstance(answer, Response):
                raise SystemExit(answer.reason)

    async with KINDS[kind](endpoint, connections=connections) as transport:
        for left in (connections * 20, requests):  # noqa: B007  # the first round connects and warms up
            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*[worker() for _ in range(connections)])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Figures(cpu / requests * 1e6, requests / wall)


def _client(kind: str, loop: str, url: str, ca_file: str | None, connections: int, requests: int) -> None:
    os.sched_setaffinity(0, {1})
    run = asyncio.run
    if loop == "uvloop":
        import uvloop

        run = uvloop.run
    gc.collect()
    gc.freeze()
    print(json.dumps(run(_drive(kind, url, ca_file, connections, requests))))


def _certificate(folder: Path) -> tuple[str, str]:
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=stub -days 2"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    return certificate, key


def _compare(options: argparse.Namespace, folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.stub_server", "--cpu", "0"]
    scheme, ca_file = "http", None
    if options.tls:
        ca_file, key = _certificate(folder)
        scheme = "https"
        command += ["--tls", ca_file, key]
    figures: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
        if stub.stdin is None or stub.stdout is None:
            raise SystemExit("the stub has no pipes")
        url = f"{scheme}://127.0.0.1:{json.loads(stub.stdout.readline())['port']}"
        for _ in range(options.repetitions):
            for variant in itertools.product(KINDS, LOOPS):
                arguments = [*variant, url, ca_file, options.connections, options.requests]
                run = [sys.executable, "-m", "benchmarks.transport", "--client", json.dumps(arguments)]
                printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
                figures[variant].append(Figures(*json.loads(printed)))
        stub.stdin.close()
    versions = f"aiohttp {aiohttp.__version__}, Python {platform.python_version()}, {platform.system()}"
    print(f"{scheme}, {options.connections} connections, {options.requests} requests, {versions}\n")
    print("| transport | loop | µs CPU a request, median (range) | requests a second, median |")
    print("|---|---|---|---|")
    for (kind, loop), got in figures.items():
        cpu = [figure.cpu for figure in got]
        rate = statistics.median(figure.rate for figure in got)
        spread = f"{statistics.median(cpu):.1f} ({min(cpu):.1f}-{max(cpu):.1f})"
        print(f"| {kind} | {loop} | {spread} | {rate:,.0f} |")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=40_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--client", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        _client(*options.client)
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(options, Path(folder))


if __name__ == "__main__":
    main()
