"""The same targets in one process and on the workers of a Dask cluster, one after the other.

``python -m benchmarks.cluster [--targets 20 200] [--workers 3] [--seconds 20] [--rounds 3]``

Scheduler and workers are processes on this machine, over mutual TLS. Elapsed is from the first arrival at any
service to the last: starting Dask is no part of it. The processor's time is that of all processes: the
coordinator with its start, and of workers and scheduler what the run has cost them. More targets than there
are processors for, services included, show what is then in the way, and that no quota is exceeded.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import publish
from benchmarks.targets import QPS, apply, counting, used, worst_second, write_work

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.dask_processes import DaskProcesses, dask_cluster  # it is in the tests' folder

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(cluster: DaskProcesses) -> dict[str, float]:
    """Return the processor seconds that scheduler and workers have used."""
    pids = {"scheduler": [cluster.scheduler.pid], "workers": [p.pid for p in cluster.workers.values()]}
    return {name: sum(map(_cpu, found)) for name, found in pids.items()}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def measure(targets: int, seconds: float, cluster: DaskProcesses | None) -> dict[str, Any]:
    """Run the work once; return the figures."""
    each = int(QPS * seconds)
    before = cpu_of(cluster) if cluster else {}
    with tempfile.TemporaryDirectory() as name, counting(targets, 2) as (ports, arrivals):
        write_work(Path(name), ports, each)
        shape, _, cpu, peak = apply(Path(name), *(cluster.options if cluster else []))
    after = cpu_of(cluster) if cluster else {}
    parts = {name: after[name] - before[name] for name in after}
    times = [at for found in arrivals for at in found]
    return {
        "created": shape["outcomes"]["created"],
        "used": used(arrivals, seconds, each),
        "worst_second": max(worst_second(found) for found in arrivals),
        "elapsed_s": max(times) - min(times),
        "cpu_s": {"command": cpu, **parts},
        "peak_mib": peak,
    }


def table(rounds: Sequence[Sequence[dict[str, Any]]], workers: int) -> str:
    """Return the figures of the first round, and what all rounds say."""
    lines = [
        "| | created | quota used (least, mean) | worst second | sending | processor | of it |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for place, name in enumerate(("one process", f"{workers} workers")):
        row = rounds[0][place]
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in row["cpu_s"].items())
        total = sum(row["cpu_s"].values())
        lines.append(
            f"| {name} | {row['created']:,} | {row['used'][0]:.1%}, {row['used'][1]:.1%} "
            f"| {row['worst_second']} | {row['elapsed_s']:.2f} s | {total:.1f} s | {parts} |"
        )
    longer = statistics.median(there["elapsed_s"] / here["elapsed_s"] for here, there in rounds)
    dearer = statistics.median(
        sum(there["cpu_s"].values()) / sum(here["cpu_s"].values()) for here, there in rounds
    )
    told = f"Median of {len(rounds)} rounds: {longer:.3f} times as long, {dearer:.1f} times the processor."
    return "\n".join([*lines, "", told])


def main() -> None:
    """Measure, print the tables, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    names = [f"w{number}" for number in range(given.workers)]
    figures = []
    with tempfile.TemporaryDirectory() as name, dask_cluster(Path(name), *names) as cluster:
        measure(2, 1.0, cluster)  # workers import what they need
        for count in given.targets:
            rounds = [
                [measure(count, given.seconds, None), measure(count, given.seconds, cluster)]
                for _ in range(given.rounds)
            ]
            figures.append({"targets": count, "workers": given.workers, "rounds": rounds})
    tables = [f"## {row['targets']} targets\n\n{table(row['rounds'], given.workers)}" for row in figures]
    publish("cluster", "Many targets on a cluster", "\n\n".join(tables), figures)


if __name__ == "__main__":
    main()
