"""What claims before sends and durable answers cost: the same runs with the ledger and without one.

    python -m benchmarks.ledger_cost [--secrets 20000] [--rounds 5]

Client and stub server have a core each; there is no ceiling, so the client is the limit. The rounds
alternate, and the figures are medians: another program on the machine then hits both alike.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import uvloop

from benchmarks.common import publish, write_manifest
from bulkseed.cli.process import GC_THRESHOLD
from bulkseed.jobs.apply import seed
from bulkseed.ledger import Admission, AttemptRecord, Claim, Creation, Ledger, Run, Settlement, open_ledger
from bulkseed.manifest import open_manifest
from bulkseed.model import Credentials, ManifestEntry, SecretDefinition, SecretValue, Target


class NullLedger(Ledger):
    """Knows nothing and writes nothing; every entry is to be sent."""

    read = ended = 0

    def admit(
        self,
        entries: Sequence[ManifestEntry],
        now: float,
        service: float | None = None,
        *,
        claim: bool = True,
        last: bool = False,
    ) -> Admission:
        """Hand everything out."""
        del now, service, claim, last
        self.read += len(entries)
        return Admission(
            [Claim(entry, i) for i, entry in enumerate(entries) if isinstance(entry, SecretDefinition)]
        )

    def record(
        self,
        settlements: Sequence[Settlement],
        attempts: Sequence[AttemptRecord] = (),
        creations: Sequence[Creation] = (),
    ) -> None:
        """Forget."""
        del settlements, attempts
        self.ended += len(creations)

    def last_run(self) -> Run | None:
        """Return the run with what it counted, though nothing of it is on disk."""
        run = super().last_run()
        tally = {"read": self.read, "claimed": self.read, "settled": self.ended}
        return run and replace(run, tally=run.tally._replace(**tally))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    gc.set_threshold(GC_THRESHOLD)  # as the command does
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stub_server", "--cpu", str(cores[-1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None  # noqa: S101  # a pipe was asked for
    port = json.loads(server.stdout.readline())["port"]
    target = Target(f"http://127.0.0.1:{port}", "cn-hangzhou", Credentials("id", SecretValue("secret")))
    times: dict[str, list[tuple[float, float]]] = {"ledger": [], "none": []}
    try:
        with tempfile.TemporaryDirectory() as folder:
            manifest = write_manifest(Path(folder) / "bench.jsonl", options.secrets)
            for number in range(options.rounds + 1):
                for kind, measured in times.items():
                    took = _run(target, manifest, options.secrets, null=kind == "none")
                    if number:  # the first warms up
                        measured.append(took)
    finally:
        server.terminate()
        server.wait()
    publish("ledger_cost", "What the ledger costs", table(times, options.secrets), times)


def table(times: dict[str, list[tuple[float, float]]], secrets: int) -> str:
    """Return the results as Markdown."""
    lines = ["| ledger | secrets a second | wall µs a secret | CPU µs a secret |", "|---|---|---|---|"]
    for kind, measured in times.items():
        wall, cpu = (statistics.median(column) / secrets * 1e6 for column in zip(*measured, strict=True))
        lines.append(f"| {kind} | {1e6 / wall:,.0f} | {wall:.1f} | {cpu:.1f} |")
    slower = [kept[0] / none[0] - 1 for kept, none in zip(times["ledger"], times["none"], strict=True)]
    spread = f"{statistics.median(slower):.1%} ({min(slower):.1%} to {max(slower):.1%})"
    return "\n".join(lines) + f"\n\nWith the ledger a run is {spread} slower, pair by pair."


def _run(target: Target, manifest: Path, count: int, *, null: bool) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger(Path(folder) / "bench.ledger.db", target)
        if null:
            ledger = NullLedger(ledger.path, ledger.connection, ledger._lock, ledger._watch)  # type: ignore[arg-type]  # noqa: SLF001  # it is open
        with closing(ledger), open_manifest(manifest) as definitions:
            wall, cpu = time.perf_counter(), time.process_time()
            summary = uvloop.run(seed(definitions, target, ledger, qps=0))
            took = time.perf_counter() - wall, time.process_time() - cpu
        if summary.attempts != count:
            raise SystemExit(f"{summary.attempts} attempts for {count} secrets: {summary.stopped_by}")
        return took


if __name__ == "__main__":
    main()
