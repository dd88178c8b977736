"""Flat memory: a short manifest and a long one, each created and then resumed.

    python -m benchmarks.memory [--short 20000] [--long 5000000]

The first run creates everything against the stub server; the second finds everything settled and sends
nothing. Peaks are those of the whole command, as the kernel counts them. The long manifest takes some minutes
and about 1.5 GB of disk.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import apply, publish, stub_server


class Peak(NamedTuple):
    """One run of the command: definitions, those a second, and peak memory in MiB."""

    run: str
    definitions: int
    per_second: float
    mib: float


def measure(short: int, long: int) -> list[Peak]:
    """Run all four."""
    peaks = []
    with stub_server() as endpoint:
        for count in (short, long):
            with tempfile.TemporaryDirectory() as name:
                path = short_values(Path(name) / "m.jsonl", count)
                for run in ("first run", "resume"):
                    applied = apply(path, endpoint)
                    rate = count / applied.summary["elapsed_s"]
                    peaks.append(Peak(run, applied.summary["definitions"], rate, applied.peak))
    return peaks


def short_values(path: Path, count: int) -> Path:
    """Write a manifest of small definitions, about 80 bytes each."""
    with path.open("w") as lines:
        for i in range(count):
            name = f"app-{i % 997}/db/{i}"
            lines.write(f'{{"SecretName": "{name}", "SecretData": "fake-not-a-secret-{i:014d}"}}\n')
    return path


def table(peaks: list[Peak]) -> str:
    """Return the results as Markdown."""
    lines = ["| run | definitions | definitions a second | peak memory |", "|---|---|---|---|"]
    for peak in peaks:
        line = f"| {peak.run} | {peak.definitions:,} | {peak.per_second:,.0f} | {peak.mib:.0f} MiB |"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", type=int, default=20_000)
    parser.add_argument("--long", type=int, default=5_000_000)
    options = parser.parse_args()
    peaks = measure(options.short, options.long)
    publish("memory", "Peak memory", table(peaks), [peak._asdict() for peak in peaks])


if __name__ == "__main__":
    main()
