"""Who uses a quota, and who fights it: accepted, refused and lost over time, for each client.

    python -m benchmarks.quota [--limit 20] [--seconds 15] [--jitter 0.05]

Each client in turn has ``limit * seconds`` secrets to create, behind a strict one-second window and a network
with jitter; the figures are the server's own record. *Used* is the share of the quota that was accepted until
the client's last accepted request, or in the time that all secrets need if that is longer. *Lost* was refused
until its client gave up, or not created within twice the time that the quota allows, when it is ended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import KEYS, RESULTS, cores, program, publish, serving, write_manifest
from benchmarks.quota_peers import BOTOCORE, PEERS

OURS = "bulkseed"
PATIENCE = 2


class Course(NamedTuple):
    """What one client came to. `accepted` and `refused` are seconds after its first request."""

    client: str
    secrets: int
    limit: int
    accepted: list[float]
    refused: list[float]

    def row(self) -> str:
        """Return a line of the table."""
        took = max(self.accepted, default=0.0)
        needed = (self.secrets - 1) / self.limit
        used = min(1.0, len(self.accepted) / (max(took, needed) * self.limit + 1))
        sent = len(self.refused) + len(self.accepted)
        refused = f"{len(self.refused):,} of {sent:,} ({len(self.refused) / max(1, sent):.1%})"
        lost = f"{self.secrets - len(self.accepted):,} of {self.secrets:,}"
        return f"| {self.client} | {used:.1%} | {len(self.accepted):,} | {refused} | {lost} | {took:.1f} s |"


def measure(limit: int, seconds: float, jitter: float) -> list[Course]:
    """Let every client meet the quota, one after the other."""
    count = round(limit * seconds)
    clients = [client for client in (OURS, *PEERS) if client != BOTOCORE or find_spec("botocore")]
    return [_meet(client, limit, count, jitter, PATIENCE * seconds) for client in clients]


def table(courses: Sequence[Course]) -> str:
    """Return the results as Markdown."""
    head = "| client | quota used | accepted | requests refused | secrets lost | took |"
    head += "\n|---|---|---|---|---|---|"
    note = "" if any(one.client == BOTOCORE for one in courses) else f"\n\nNot installed: {BOTOCORE}."
    return "\n".join([head, *(course.row() for course in courses)]) + note


def _meet(client: str, limit: int, count: int, jitter: float, patience: float) -> Course:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = folder / "record.json"
        command = [sys.executable, "-m", "benchmarks.quota_server", str(limit), str(jitter), str(record)]
        with serving(command, cores()[0]) as said:
            _run(client, f"http://127.0.0.1:{said['port']}", limit, count, folder, patience)
        decided = json.loads(record.read_text())
    if not decided:
        raise SystemExit(f"{client} sent nothing")
    start = decided[0][0]
    accepted = [at - start for at, good in decided if good]
    return Course(client, count, limit, accepted, [at - start for at, good in decided if not good])


def _run(client: str, endpoint: str, limit: int, count: int, folder: Path, patience: float) -> None:
    if client == OURS:
        path = write_manifest(folder / "quota.jsonl", count)
        command = [program(), "apply", str(path), "--endpoint", endpoint, "--qps", str(limit)]
        command += ["--progress", "none", "--ledger", str(folder / "quota.ledger.db")]
    else:
        command = [sys.executable, "-m", "benchmarks.quota_peers", client, endpoint, str(count), str(limit)]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            command, env={**os.environ, **KEYS}, stdout=subprocess.DEVNULL, timeout=patience, check=True
        )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--jitter", type=float, default=0.05, help="seconds, the most that one way adds")
    options = parser.parse_args()
    courses = measure(options.limit, options.seconds, options.jitter)
    title = f"A quota of {options.limit} a second, and {options.jitter * 1e3:.0f} ms of jitter one way"
    publish("quota", title, table(courses), [one._asdict() for one in courses], "alibabacloud_kms20160120")
    from benchmarks.plots import courses as draw

    draw(courses, RESULTS / "quota")


if __name__ == "__main__":
    main()
