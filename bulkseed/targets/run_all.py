"""Ordinary runs, one for each target, side by side in one event loop.

Each has its own ledger, pace, stop-loss and end: what stops one leaves the others alone. They share a few
threads for their ledgers. Starts are spread over a second, so that not all send at the same moments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import anyio

from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError
from bulkseed.model import Outcome, Summary
from bulkseed.targets.spec import TargetSpec

THREADS = 8
"""Of all ledgers together: opening 200 takes 0.7 s with them, and commits wait for the disk."""

_WORST_FIRST = (130, 4, 3, 2, 1, 0)


@dataclass(slots=True)
class TargetRun:
    """One target's run: what it is, how far it is, and how it ended.

    `expected`: how many definitions the manifest has for it. One of `summary` and `error` is set at the end.
    """

    spec: TargetSpec
    expected: int
    stats: Stats = field(default_factory=Stats)
    stop: Stop = field(default_factory=Stop)
    summary: Summary | None = None
    error: BulkseedError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code that this run alone would have."""
        if self.error is not None:
            return self.error.exit_code
        return self.summary.exit_code if self.summary is not None else 130

    def as_dict(self) -> dict[str, Any]:
        """Return the run's summary, or what was in its way."""
        if self.summary is not None:
            return self.summary.as_dict()
        return {"error": str(self.error or "not run"), "exit_code": self.exit_code}


@dataclass(slots=True, frozen=True)
class AllRuns:
    """How the runs of all targets ended. `lines` were read, and `unrouted` of them went nowhere."""

    run: str
    runs: Sequence[TargetRun]
    lines: int
    unrouted: int

    @property
    def definitions(self) -> int:
        """How many definitions all ledgers together have seen."""
        return sum(run.summary.definitions for run in self.runs if run.summary is not None)

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """The sum of all outcomes."""
        summaries = [run.summary for run in self.runs if run.summary is not None]
        return {outcome: sum(s.outcomes.get(outcome, 0) for s in summaries) for outcome in Outcome}

    @property
    def missing(self) -> int:
        """How many definitions the manifest has for targets whose run did not come to see them."""
        seen = {run.spec.name: run.summary.definitions if run.summary else 0 for run in self.runs}
        return sum(run.expected - seen[run.spec.name] for run in self.runs)

    @property
    def exit_code(self) -> int:
        """The worst of all targets; what is unrouted makes it at least 1."""
        codes = {run.exit_code for run in self.runs} | ({1} if self.unrouted else set())
        return next((code for code in _WORST_FIRST if code in codes), 1)

    def as_dict(self) -> dict[str, Any]:
        """Return the shape that ``--output json`` prints."""
        return {
            "run": self.run,
            "definitions": self.definitions,
            "outcomes": {outcome.value: count for outcome, count in self.outcomes.items()},
            "unrouted": self.unrouted,
            "targets": {run.spec.name: run.as_dict() for run in self.runs},
            "exit_code": self.exit_code,
        }


async def run_all(
    runs: Iterable[TargetRun], work: Callable[[TargetRun, Executor], Awaitable[Summary]], stop: Stop
) -> None:
    """Do `work` for every run at the same time; a stop of `stop` stops them all.

    `work` is given the threads for the run's ledger. What it raises as a `BulkseedError` is that run's end.
    """
    runs = list(runs)
    with ThreadPoolExecutor(THREADS, "bulkseed-ledgers") as threads:

        async def one(run: TargetRun, delay: float) -> None:
            if not await run.stop.sleep(delay):
                return
            try:
                run.summary = await work(run, threads)
            except BulkseedError as error:
                run.error = error

        async def stop_all() -> None:
            await stop.event.wait()
            for run in runs:
                run.stop.request(stop.reason or "stopped", stop.exit_code)

        async with anyio.create_task_group() as beside:
            beside.start_soon(stop_all)
            async with anyio.create_task_group() as group:
                for number, run in enumerate(runs):
                    group.start_soon(one, run, number / max(20, len(runs)))
            beside.cancel_scope.cancel()


class Accounts:
    """Which target writes into which account and region: two would share one quota, and exceed it."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}

    def other(self, name: str, region: str, account: str) -> str | None:
        """Note that a target writes there; return the target that does already, if there is another."""
        holder = self._names.setdefault((region, account), name)
        return None if holder == name else holder


def account_of(arn: str) -> str | None:
    """Return the account of ``acs:kms:REGION:ACCOUNT:secret/NAME`` (CreateSecret page)."""
    parts = arn.split(":", 4)
    return parts[3] if len(parts) == 5 and parts[3].isdigit() else None


def in_all(runs: Iterable[TargetRun]) -> Mapping[str, int]:
    """Return how many definitions each outcome has by now, over all targets."""
    total: dict[str, int] = {}
    for run in runs:
        for outcome, count in run.stats.outcomes.items():
            total[outcome] = total.get(outcome, 0) + count
    return total
