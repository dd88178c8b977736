"""Many targets in one process: quota used and held at the services, processor time and memory.

``python -m benchmarks.targets [--targets 20 60 100] [--seconds 12] [--services 4] [--starve 3]``

The services count in processes of their own: each notes when a create arrives, and nothing else is believed
about the pace. *Used* is the share of the quota that arrived in the time that the work needs at the quota;
*worst second* is the most that arrived at any one target in any half-open second.

With ``--starve`` the services are frozen most of the time for so many seconds, as on a machine that is far
too busy, and then run freely; nothing is kept of that, and it ends with 1 if any second saw more than the
quota.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import publish

QPS = 10.0
KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "fake-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "fake-secret"}
BODY = (
    b'{"RequestId":"0f0f0f0f-1111-2222-3333-444444444444","Arn":"acs:kms:%s:%d:secret/%s","SecretName":"%s"}'
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class _Counter(asyncio.Protocol):
    """Answers every create and notes when it came."""

    def __init__(self, account: int, arrivals: list[float]) -> None:
        self._account = account
        self._arrivals = arrivals
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            if len(rest) < length:
                return
            self._arrivals.append(time.monotonic())
            body, self._buffer = rest[:length], rest[length:]
            text = (head + body).partition(b"SecretName=")[2]
            text = text.split(b"&")[0].split(b" ")[0].replace(b"%2F", b"/")
            reply = BODY % (b"cn-hangzhou", self._account, text, text)
            answer = HEAD % len(reply) + reply
            self._transport.write(answer)  # type: ignore[attr-defined]  # a stream's transport


async def _serve(count: int, first: int) -> None:
    """Serve `count` targets until standard input ends, then print their arrivals."""
    loop = asyncio.get_running_loop()
    arrivals: list[list[float]] = [[] for _ in range(count)]
    ports = []
    for number, times in enumerate(arrivals):
        account = 1_000_000_000_000_000 + first + number
        server = await loop.create_server(partial(_Counter, account, times), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps(arrivals), flush=True)


def worst_second(times: Sequence[float]) -> int:
    """Return the most of the sorted `times` in any half-open second."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


FROZEN, RUNS = (0.05, 0.3), 0.01
"""Seconds that a starved service waits for the processor, at least and at most, and that it then has it."""


@contextmanager
def starved(processes: Sequence[subprocess.Popen[str]], seconds: float) -> Iterator[None]:
    """Starve `processes` for so many seconds of the block."""
    rng, until, over = random.Random(1), time.monotonic() + seconds, threading.Event()  # noqa: S311  # no key

    def freeze(process: subprocess.Popen[str], pauses: Sequence[float]) -> None:
        for pause in pauses:
            if over.is_set() or time.monotonic() >= until:
                return
            process.send_signal(signal.SIGSTOP)
            over.wait(pause)
            process.send_signal(signal.SIGCONT)
            over.wait(RUNS)

    most = int(seconds / FROZEN[0]) + 1
    pauses = [[rng.uniform(*FROZEN) for _ in range(most)] for _ in processes]
    threads = [threading.Thread(target=freeze, args=given) for given in zip(processes, pauses, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def counting(
    targets: int, services: int, starve: float = 0.0
) -> Iterator[tuple[list[int], list[list[float]]]]:
    """Serve targets in so many processes: their ports, and after the block the arrivals at each."""
    share = [targets // services + (number < targets % services) for number in range(services)]
    starts = [sum(share[:number]) for number in range(services)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.targets", "--serve", str(count), "--first", str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for count, first in zip(share, starts, strict=True)
    ]
    arrivals: list[list[float]] = []
    ports = [port for p in processes for port in json.loads(p.stdout.readline())]  # type: ignore[union-attr]  # a pipe
    try:
        with starved(processes, starve):
            yield ports, arrivals
    finally:
        for process in processes:
            out, _ = process.communicate("")
            arrivals += json.loads(out or "[]")


def write_work(folder: Path, ports: Sequence[int], each: int) -> None:
    """Write ``targets.toml``, and ``m.jsonl`` with `each` definitions for every target, in turn."""
    lines = [
        f'[[target]]\nname = "t{n}"\nregion = "cn-hangzhou"\nendpoint = "http://127.0.0.1:{port}"\n'
        f'match = ["t{n}/*"]\n'
        for n, port in enumerate(ports)
    ]
    (folder / "targets.toml").write_text("".join(lines))
    with (folder / "m.jsonl").open("w") as manifest:
        for number in range(each):
            for n in range(len(ports)):
                manifest.write(json.dumps({"SecretName": f"t{n}/{number}", "SecretData": "fake"}) + "\n")


def apply(folder: Path, *options: object) -> tuple[dict[str, Any], float, float, int]:
    """Run the command; return what it printed, its seconds, its processor seconds and its peak in MiB."""
    began = time.monotonic()
    command = [sys.executable, "-m", "bulkseed", "apply", "m.jsonl", "--targets", "targets.toml"]
    run = subprocess.Popen(
        [*command, "--progress", "none", "--output", "json", *map(str, options)],
        cwd=folder,
        env={**os.environ, **KEYS, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
    )
    assert run.stdout is not None  # noqa: S101  # a pipe
    shape = json.loads(run.stdout.read())
    _, _, usage = os.wait4(run.pid, 0)
    cpu = usage.ru_utime + usage.ru_stime
    return shape, time.monotonic() - began, cpu, round(usage.ru_maxrss / 1024)


def used(arrivals: Sequence[Sequence[float]], seconds: float, each: int) -> list[float]:
    """Return the least and the mean share of the quota that arrived in the time that the work needs."""
    shares = [sum(at - t[0] < seconds for at in t) / each if t else 0.0 for t in arrivals]
    return [round(min(shares), 4), round(sum(shares) / len(shares), 4)]


def measure(targets: int, seconds: float, services: int, starve: float = 0.0) -> dict[str, Any]:
    """Run one command over so many targets; return the figures."""
    each = int(QPS * seconds)
    with tempfile.TemporaryDirectory() as name, counting(targets, services, starve) as (ports, arrivals):
        write_work(Path(name), ports, each)
        shape, elapsed, cpu, peak = apply(Path(name))
    return {
        "targets": targets,
        "secrets": each * targets,
        "created": shape["outcomes"]["created"],
        "used": used(arrivals, seconds, each),
        "worst_second": max(worst_second(t) for t in arrivals),
        "elapsed_s": round(elapsed, 1),
        "cores": round(cpu / elapsed, 2),
        "cpu_ms_per_secret": round(cpu / (each * targets) * 1000, 3),
        "peak_mib": peak,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the figures as a table."""
    lines = [
        "| targets | secrets | quota used (least, mean) | worst second | time | cores | peak memory |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        least, mean = row["used"]
        lines.append(
            f"| {row['targets']} | {row['created']:,} of {row['secrets']:,} | {least:.1%}, {mean:.1%} "
            f"| {row['worst_second']} | {row['elapsed_s']} s | {row['cores']} | {row['peak_mib']} MiB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, nargs="+", default=[20, 60, 100, 200])
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--services", type=int, default=2)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--starve", type=float, default=0.0, help="seconds in which the services are starved")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve(given.serve, given.first))
        return
    rows = [measure(count, given.seconds, given.services, given.starve) for count in given.targets]
    if given.starve:
        print(table(rows))
        sys.exit(any(row["worst_second"] > QPS for row in rows))
    publish("targets", "Many targets in one process", table(rows), rows)


if __name__ == "__main__":
    main()
