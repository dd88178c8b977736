"""What a create and a read cost the local KMS: signatures checked, sealed and durable, on one core, no quota.

    python -m benchmarks.local_kms [--requests 20000] [--rounds 5] [--signature rpc1] [--against PROGRAM]

The service has one core; the load, signed beforehand, comes from another (`blast.py`). *On one core* is what
the service's CPU time would allow. `--against` names the `bulkseed` of another version: both are served in
turns, and only the ratio of a round counts, because a busy machine changes its speed from minute to minute.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks.blast import blast, signed
from benchmarks.common import cores, program, publish, serving
from benchmarks.peers import KEY_ID, KEY_SECRET, definition
from bulkseed.wire.encoding import canonical_query
from bulkseed.wire.message import Call

KEYS = {"BULKSEED_SERVE_ACCESS_KEY_ID": KEY_ID, "BULKSEED_SERVE_ACCESS_KEY_SECRET": KEY_SECRET}
SERVER_CORE, LOAD_CORE = cores()
READ_STEP = 7919  # a prime: the reads go through the secrets in another order than the creates


class Served(NamedTuple):
    """One round of one program: requests a second as measured, and the service's CPU µs of each."""

    creates: float
    create_us: float
    reads: float
    read_us: float


def measure(programs: list[str], requests: int, rounds: int, signature: str) -> list[list[Served]]:
    """Run the rounds; in each, every program is served fresh, in turns."""
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory() as name:
        return [
            [_round(it, Path(name) / f"{number}-{at}", requests, signature) for at, it in enumerate(programs)]
            for number in range(rounds)
        ]


def _round(served: str, folder: Path, requests: int, signature: str) -> Served:
    command = [served, "serve", "--port", "0", "--data-dir", str(folder)]
    command += ["--create-qps", "0", "--read-qps", "0", "--manage-qps", "0"]
    manifest = [definition(number) for number in range(requests)]
    names = [it["SecretName"] for it in manifest]
    creates = [
        Call("CreateSecret", canonical_query(it.items()), canonical_query([("SecretData", data)]))
        for it, data in [(it, it.pop("SecretData")) for it in manifest]
    ]
    order = [names[number * READ_STEP % requests] for number in range(requests)]
    reads = [Call("GetSecretValue", canonical_query([("SecretName", name)])) for name in order]
    figures: list[float] = []
    with serving(command, SERVER_CORE, KEYS) as said:
        for calls in (creates, reads):
            messages = signed(calls, said["endpoint"], (KEY_ID, KEY_SECRET), signature)
            before = cpu_of(said["pid"])
            seconds, statuses = blast(said["endpoint"], messages)
            if statuses != Counter({b"200": requests}):
                raise SystemExit(f"not all were served: {statuses}")
            figures += [requests / seconds, (cpu_of(said["pid"]) - before) * 1e6 / requests]
    return Served(*figures)


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(programs: list[str], rounds: list[list[Served]]) -> str:
    """Return the results as Markdown, and the ratios of CPU time where there are two programs."""
    lines = [
        "| program | creates/s | CPU µs | on one core | reads/s | CPU µs | on one core |",
        "|---|---|---|---|---|---|---|",
    ]
    for at, name in enumerate(("bulkseed", "the other version")[: len(programs)]):
        creates, create_us, reads, read_us = (
            statistics.median(column) for column in zip(*[one[at] for one in rounds], strict=True)
        )
        cells = [creates, create_us, 1e6 / create_us, reads, read_us, 1e6 / read_us]
        lines.append(f"| {name} | {' | '.join(f'{cell:,.0f}' for cell in cells)} |")
    if len(programs) == 2:
        for title, at in (("creates", 1), ("reads", 3)):
            ratios = [other[at] / own[at] for own, other in rounds]
            spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
            lines.append(f"\n{title}: {statistics.median(ratios):.2f} times as many ({spread})")
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--signature", choices=("acs3", "rpc1"), default="acs3")
    parser.add_argument("--against", metavar="PROGRAM", help="the bulkseed of another version")
    options = parser.parse_args()
    programs = [program(), *([options.against] if options.against else [])]
    rounds = measure(programs, options.requests, options.rounds, options.signature)
    data = [[one._asdict() for one in both] for both in rounds]
    publish("local_kms", "The local KMS", table(programs, rounds), data)


if __name__ == "__main__":
    main()
