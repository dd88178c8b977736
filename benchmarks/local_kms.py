"""What a create costs the local KMS: full signature checks, sealed and durable, on one core, without a quota.

    python -m benchmarks.local_kms [--secrets 40000] [--rounds 5]

The service has one core and `bulkseed apply` another. *Measured* is what the client saw; *on one core*
is what the service's CPU time would allow if the client were never the slower of the two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import apply, cores, program, publish, serving, write_manifest
from benchmarks.peers import KEY_ID, KEY_SECRET

KEYS = {"BULKSEED_SERVE_ACCESS_KEY_ID": KEY_ID, "BULKSEED_SERVE_ACCESS_KEY_SECRET": KEY_SECRET}


class Served(NamedTuple):
    """One round: creates a second as measured, and the CPU µs of each for the service and the client."""

    per_second: float
    cpu_us: float
    client_cpu_us: float


def measure(secrets: int, rounds: int) -> list[Served]:
    """Run the rounds, each on a new service."""
    with tempfile.TemporaryDirectory() as name:
        return [_round(Path(name) / str(number), secrets) for number in range(rounds)]


def _round(folder: Path, secrets: int) -> Served:
    folder.mkdir()
    path = write_manifest(folder / "m.jsonl", secrets)
    command = [program(), "serve", "--port", "0", "--data-dir", str(folder / "kms")]
    command += ["--create-qps", "0", "--read-qps", "0", "--manage-qps", "0"]
    with serving(command, cores()[0], KEYS) as said:
        before = _cpu(said["pid"])
        applied = apply(path, said["endpoint"])
        cpu = _cpu(said["pid"]) - before
    summary = applied.summary
    if summary["outcomes"]["created"] != secrets:
        raise SystemExit(f"not all were created: {summary['outcomes']}")
    each = 1e6 / secrets
    return Served(secrets / summary["elapsed_s"], cpu * each, applied.cpu * each)


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(rounds: list[Served]) -> str:
    """Return the results as Markdown."""
    columns = list(zip(*rounds, strict=True))
    cells = [f"{statistics.median(one):,.0f} ({min(one):,.0f}-{max(one):,.0f})" for one in columns]
    allowed = 1e6 / statistics.median(columns[1])
    return (
        "| creates a second, measured | CPU µs a create | client's CPU µs | on one core |\n"
        "|---|---|---|---|\n"
        f"| {' | '.join(cells)} | {allowed:,.0f} a second |"
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds = measure(options.secrets, options.rounds)
    publish("local_kms", "The local KMS", table(rounds), [one._asdict() for one in rounds])


if __name__ == "__main__":
    main()
