"""How fast a finished ledger is recognised: definitions a second, until the run ends with nothing sent.

    python -m benchmarks.resume [--definitions 1000000] [--rounds 3]

A first run, not measured, creates everything against the stub server.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.common import Applied, apply, publish, stub_server
from benchmarks.memory import short_values


def measure(definitions: int, rounds: int) -> list[Applied]:
    """Run the resumes."""
    with tempfile.TemporaryDirectory() as name, stub_server() as endpoint:
        path = short_values(Path(name) / "m.jsonl", definitions)
        apply(path, endpoint)
        resumes = [apply(path, endpoint) for _ in range(rounds)]
    if any(one.summary["attempts"] for one in resumes):
        raise SystemExit("a resume sent something")
    return resumes


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--definitions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    count = options.definitions
    resumes = measure(count, options.rounds)
    rates = [count / one.summary["elapsed_s"] for one in resumes]
    whole = statistics.median(count / one.wall for one in resumes)
    peak = max(one.peak for one in resumes)
    rate = f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"
    table = (
        "| definitions | a second, median (range) | the whole command | peak memory |\n|---|---|---|---|\n"
        f"| {count:,} | {rate} | {whole:,.0f} | {peak:.0f} MiB |"
    )
    publish("resume", "Resuming what is finished", table, {"definitions": count, "per_second": rates})


if __name__ == "__main__":
    main()
