"""How long a report takes, and how large it gets: `python -m benchmarks.report_size [definitions]`.

Makes a ledger of three runs at 500 a second, where one attempt in fifty was throttled and repeated, then
times what `bulkseed report` does with it. Peak memory is that of the whole process, the making included.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkseed.ledger import AttemptRecord, Claim, Creation, Ledger, open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Credentials, Origin, Outcome, QuotaGroup, SecretDefinition, SecretValue, Target
from bulkseed.report.numbers import Check, read_numbers

RUNS = 3
BLOCK = 5000
RATE = 500.0
START = 1_764_000_000.0
TARGET = Target("https://kms.cn-hangzhou.aliyuncs.com", "cn-hangzhou", Credentials("id", SecretValue("fake")))


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the body takes, and how much of a core."""
    began, used = time.perf_counter(), time.process_time()
    yield
    print(f"{what:<8} {time.perf_counter() - began:6.2f} s, CPU {time.process_time() - used:6.2f} s")


def make(ledger: Ledger, count: int) -> None:
    """Fill a ledger."""
    rng = random.Random(1)  # noqa: S311  # the same ledger each time
    value, now, line = SecretValue("fake"), START, 0
    for run in range(RUNS):
        sent = 0
        ledger.begin_run(f"run-{run + 1}", ["prod.jsonl"], {QuotaGroup.CREATE: RATE}, now)
        for _ in range(0, count // RUNS, BLOCK):
            entries = [
                SecretDefinition(f"prod/app/{line + i:07d}", value, "v1", Origin("prod.jsonl", line + i))
                for i in range(1, BLOCK + 1)
            ]
            line += BLOCK
            with ledger.transaction():
                now, attempts = carry(ledger, ledger.admit(entries, now).to_send, now, rng)
            sent += attempts
        created = line // (run + 1)
        outcomes = {outcome.value: 0 for outcome in Outcome} | {"created": created}
        summary = {"definitions": created, "outcomes": outcomes, "attempts": sent}
        now += 60  # the last answers are in
        ledger.end_run(summary, 0, None, now)
        now += 3600


def carry(ledger: Ledger, claims: list[Claim], now: float, rng: random.Random) -> tuple[float, int]:
    """Create a block; return when the last was sent, and how many attempts it took."""
    creations, attempts = [], []
    for claim in claims:
        if rng.random() < 0.02:
            refused = "Rejected.Throttling"
            attempts.append(AttemptRecord(claim.row_id, QuotaGroup.CREATE, now, 0.5 / RATE, 429, refused))
            now += 1.005 / RATE
        creations.append(Creation(claim.row_id, now, rng.lognormvariate(-4, 0.4), "request", "arn"))
        now += 1.005 / RATE
    ledger.record([], attempts, creations)
    return now, len(attempts) + len(creations)


def main(count: int) -> None:
    """Make a ledger, then its page, and print what each step took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prod.ledger.db"
        with timed("make"), open_ledger(path, TARGET) as ledger:
            make(ledger, count)
        with timed("import"):
            from bulkseed.report.page import render
        with read_ledger(path) as reader:
            with timed("audit"):
                checks = [Check(found.name, found.holds, found.detail) for found in audit(reader)]
            with timed("numbers"):
                numbers = read_numbers(reader, path.name, checks)
        with timed("page"):
            page = render(numbers, "0")
        print(f"ledger: {path.stat().st_size / 1e6:,.0f} MB, {numbers.definitions:,} definitions", end=", ")
        print(f"{sum(pace.attempts for pace in numbers.paces):,} attempts, adds up: {numbers.adds_up}")
        print(f"page: {len(page.encode()) / 1e3:,.0f} KB")
        print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
