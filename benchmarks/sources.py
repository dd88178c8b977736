"""Moves from a store: ours against scripts, a resume, and a large listing.

    pip install -e '.[bench,test]' && python -m benchmarks.sources [--secrets 6000] [--rounds 3]
        [--quota-secrets 300] [--settled 100000] [--listed 1000000]

Every round moves the same secrets from a real OpenBao to a server that costs nothing, by each client in turn;
ratios are taken inside a round. Ours is the whole command with its start, listing, ledger and report of rows;
of the scripts, imports are not counted. At the quota all create ten a second, and the store refuses more than
60 requests a second. The resume and the listing are of a made-up store, so that ours alone is measured; it
counts every value that is read.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import requests

import bulkseed
from benchmarks.common import KEYS, program, publish, stub_server
from benchmarks.made_up_store import MadeUpStore
from benchmarks.peers import KEY_ID, KEY_SECRET
from benchmarks.source_peers import THREADS, move
from bulkseed.model import Credentials, SecretValue, Target
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url
from bulkseed.sources.table import SOURCES

TOKEN = "fake-root-token"
OURS, SCRIPT, SEQUENTIAL = "bulkseed", f"hvac and SDK, {THREADS} threads", "hvac and SDK, one after the other"
QPS = 10.0
REFUSED_BEYOND = 60


@contextmanager
def openbao(secrets: int) -> Iterator[str]:
    """Run the real server with this many secrets in 20 folders of "secret", and give its address."""
    with _free_port() as port:
        listen = f"-dev-listen-address=127.0.0.1:{port}"
    command = [str(Path(sys.executable).with_name("bao")), "server", "-dev", "-dev-no-store-token", listen]
    process = subprocess.Popen(
        [*command, f"-dev-root-token-id={TOKEN}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        with requests.Session() as session:
            session.headers["X-Vault-Token"] = TOKEN
            _wait_for(session, address)

            def put(number: int) -> None:
                data = {"data": {"password": "fake-not-a-secret", "number": number}}
                path = f"team-{number % 20}/service-{number}"
                session.post(f"{address}/v1/secret/data/{path}", json=data, timeout=30).raise_for_status()

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(put, range(secrets)))
        yield address
    finally:
        process.kill()
        process.wait()


@contextmanager
def _free_port() -> Iterator[int]:
    """Give a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        yield free.getsockname()[1]


def _wait_for(session: requests.Session, address: str) -> None:
    ends = time.monotonic() + 30
    while True:
        try:
            if session.get(f"{address}/v1/secret/config", timeout=30).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        if time.monotonic() > ends:
            raise SystemExit("OpenBao does not start")
        time.sleep(0.05)


def _ours(address: str, endpoint: str, *flags: str) -> int:
    """Move by the command; return how many were created."""
    with tempfile.TemporaryDirectory() as folder:
        where = f"vault+{address}/secret"
        command = [program(), "apply", where, "--endpoint", endpoint, "--progress", "none", *flags]
        env = {**os.environ, **KEYS, "VAULT_TOKEN": TOKEN}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bulkseed did not finish: {done.stdout}{done.stderr}")
    last = next(line for line in done.stdout.splitlines() if line.startswith("definitions:"))
    return int(last.split()[1].replace(",", ""))


def _moved(address: str, endpoint: str, qps: float, rate: float) -> dict[str, dict[str, float]]:
    """Move by each client, and return how many secrets were created, and how many in a second."""
    flags = ("--qps", str(qps), "--source-rate", str(rate))
    ways: dict[str, Callable[[], int]] = {
        OURS: lambda: _ours(address, endpoint, *flags),
        SCRIPT: lambda: move(address, TOKEN, "secret", endpoint, threads=THREADS, rate=qps),
        SEQUENTIAL: lambda: move(address, TOKEN, "secret", endpoint, threads=1, rate=qps),
    }
    found = {}
    for name, way in ways.items():
        began = time.perf_counter()
        created = way()
        found[name] = {"created": created, "rate": created / (time.perf_counter() - began)}
    return found


def _table(rounds: list[dict[str, dict[str, float]]]) -> str:
    lines = ["| client | created | secrets/s | ours is as fast |", "|---|---|---|---|"]
    for name in rounds[0]:
        rates = [each[name]["rate"] for each in rounds]
        ratios = [each[OURS]["rate"] / each[name]["rate"] for each in rounds]
        created = min(int(each[name]["created"]) for each in rounds)
        times = f"{statistics.median(ratios):.2f} times ({min(ratios):.2f}-{max(ratios):.2f})"
        lines.append(f"| {name} | {created:,} | {statistics.median(rates):,.1f} | {times} |")
    return "\n".join(lines)


def _limited(address: str) -> None:
    body = {"rate": REFUSED_BEYOND, "interval": "1s", "path": "secret"}
    where = f"{address}/v1/sys/quotas/rate-limit/store"
    requests.post(where, json=body, headers={"X-Vault-Token": TOKEN}, timeout=30).raise_for_status()


def _resumed(settled: int, endpoint: str) -> dict[str, float]:
    """Settle `settled` secrets, run again, and return the second run's speed and reads."""
    target = Target(endpoint, "cn-hangzhou", Credentials(KEY_ID, SecretValue(KEY_SECRET)))

    async def run(ledger: Path) -> None:
        with (
            SourceManifest([from_url(f"many:{settled}")]) as source,
            bulkseed.open_ledger(ledger, target) as opened,
        ):
            await bulkseed.seed(source, target, opened, qps=0)

    with tempfile.TemporaryDirectory() as folder:
        anyio.run(run, Path(folder) / "l.db")
        first, began = MadeUpStore.reads, time.perf_counter()
        anyio.run(run, Path(folder) / "l.db")
        wall = time.perf_counter() - began
    return {"settled": settled, "first": first, "reads": MadeUpStore.reads - first, "rate": settled / wall}


def _listed(count: int) -> dict[str, float]:
    """List and count `count` references."""
    before, began = _peak(), time.perf_counter()
    with SourceManifest([from_url(f"many:{count}?name=prod/{{path}}&tags.owner={{tag:owner}}")]) as source:
        listed = time.perf_counter()
        read = sum(1 for _ in source)
        done = time.perf_counter()
    rates = {"listing": count / (listed - began), "reading": read / (done - listed)}
    return {"count": count, **rates, "peak": _peak(), "more": _peak() - before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run all rows and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, count in {"secrets": 6000, "rounds": 3, "quota-secrets": 300, "settled": 100_000}.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--listed", type=int, default=1_000_000)
    given = parser.parse_args()
    SOURCES["many"] = ("benchmarks.made_up_store:MadeUpStore", "")
    listed = _listed(given.listed)  # first: the peak is that of the process
    with stub_server() as endpoint:
        with openbao(given.secrets) as address:
            free = [_moved(address, endpoint, 0, 0) for _ in range(given.rounds)]
        with openbao(given.quota_secrets) as address:
            _limited(address)
            limited = [_moved(address, endpoint, QPS, 50)]
        resumed = _resumed(given.settled, endpoint)
    tables = (
        f"## Without a ceiling, {given.secrets:,} secrets, {given.rounds} rounds\n\n{_table(free)}\n\n"
        f"## At ten creations a second, the store refusing more than {REFUSED_BEYOND} requests a second\n\n"
        f"{_table(limited)}\n\n## A resume\n\n{resumed['settled']:,} settled: {resumed['rate']:,.0f}/s,"
        f" {resumed['reads']} values read (the run before read {resumed['first']:,}).\n\n## A listing\n\n"
        f"{listed['count']:,} listed: {listed['listing']:,.0f}/s, read again: {listed['reading']:,.0f}/s;"
        f" peak memory {listed['peak']:.0f} MiB, {listed['more']:.0f} MiB more than before."
    )
    figures: dict[str, Any] = {"free": free, "limited": limited, "resumed": resumed, "listed": listed}
    publish("sources", "Moves from a store", tables, figures, "hvac", "alibabacloud_kms20160120")


if __name__ == "__main__":
    main()
