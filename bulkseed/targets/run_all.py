"""Ordinary runs, one for each target, side by side in one event loop.

Each has its own ledger, pace, stop-loss and end: what stops one leaves the others alone. They share a few
threads for their ledgers, and start together; see `bulkseed.targets.start_line`.
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
from bulkseed.jobs.rollback import RolledBack
from bulkseed.jobs.verify import Verification
from bulkseed.model import Outcome, Summary
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome
from bulkseed.targets.sending_right import at_once
from bulkseed.targets.spec import TargetSpec
from bulkseed.targets.start_line import StartLine

THREADS = 8
"""Of all ledgers together: opening 200 takes 0.7 s with them, and commits wait for the disk."""

_WORST_FIRST = (130, 4, 3, 2, 1, 0)


@dataclass(slots=True, frozen=True)
class TargetEnd:
    """How one target's run ended: its summary, how many had which result, and its JSON."""

    summary: Summary
    results: Mapping[str, int]
    document: Mapping[str, Any]

    @classmethod
    def of_apply(cls, summary: Summary) -> TargetEnd:
        """Return the end of an apply, whose results are outcomes."""
        results = {outcome.value: summary.outcomes.get(outcome, 0) for outcome in Outcome}
        return cls(summary, results, summary.as_dict())

    @classmethod
    def of(cls, found: Verification | RolledBack) -> TargetEnd:
        """Return the end of a verify or a rollback, whose results are words of their own."""
        results = {result.value: count for result, count in found.results.items()}
        return cls(found.run, results, found.as_dict())


@dataclass(slots=True)
class TargetRun:
    """One target's run: what it is, how far it is, and how it ended.

    `expected`: how many definitions, or rows, it is about. `undone`: how many rows a rollback has come to.
    `notes`: what else is to be told of it. `begin` waits until the run may send; it is awaited once, when it
    could.
    One of `end` and `error` is set at last.
    """

    spec: TargetSpec
    expected: int
    stats: Stats = field(default_factory=Stats)
    stop: Stop = field(default_factory=Stop)
    undone: int = 0
    begin: Callable[[], Awaitable[None]] = at_once
    notes: list[str] = field(default_factory=list)
    end: TargetEnd | None = None
    error: BulkseedError | None = None

    def note_undone(self, end: RollbackEnd) -> None:
        """Count a row that a rollback has come to; what is pending it may come to again."""
        self.undone += end.outcome is not RollbackOutcome.PENDING

    @property
    def finished(self) -> int:
        """How many of what it is about have an end by now."""
        return self.stats.finished + self.undone

    @property
    def summary(self) -> Summary | None:
        """The summary of a run that has ended."""
        return None if self.end is None else self.end.summary

    @property
    def exit_code(self) -> int:
        """The exit code that this run alone would have."""
        if self.error is not None:
            return self.error.exit_code
        if self.summary is not None:
            return self.summary.exit_code
        return self.stop.exit_code if self.stop.requested else 130

    def as_dict(self) -> dict[str, Any]:
        """Return the run's summary, or what was in its way."""
        if self.end is not None:
            return dict(self.end.document)
        return {"error": self.why_not, "exit_code": self.exit_code}

    @property
    def why_not(self) -> str:
        """Why there is no summary."""
        return str(self.error or self.stop.reason or "stopped before it began")


@dataclass(slots=True, frozen=True)
class AllRuns:
    """How the runs of all targets ended. `lines` were read, and `unrouted` of them went nowhere.

    `word` is what results are called in JSON: "outcomes" or "results". `stopped`: the exit code of what
    stopped them all; 0 if nothing did.
    """

    run: str
    runs: Sequence[TargetRun]
    lines: int
    unrouted: int
    word: str = "outcomes"
    stopped: int = 0

    @property
    def definitions(self) -> int:
        """How many definitions all ledgers together have seen."""
        return sum(run.summary.definitions for run in self.runs if run.summary is not None)

    @property
    def results(self) -> dict[str, int]:
        """How many of all targets had which result."""
        total: dict[str, int] = {}
        for run in self.runs:
            for name, count in run.end.results.items() if run.end is not None else ():
                total[name] = total.get(name, 0) + count
        return total

    @property
    def missing(self) -> int:
        """How many definitions the manifest has for targets whose run did not come to see them."""
        seen = {run.spec.name: run.summary.definitions if run.summary else 0 for run in self.runs}
        return sum(run.expected - seen[run.spec.name] for run in self.runs)

    @property
    def exit_code(self) -> int:
        """The worst of all targets; what is unrouted, or was not come to, makes it at least 1."""
        codes = {run.exit_code for run in self.runs} | ({1} if self.unrouted or self.missing else set())
        if any(codes):
            codes.add(self.stopped)
        return next((code for code in _WORST_FIRST if code in codes), 1)

    def as_dict(self) -> dict[str, Any]:
        """Return the shape that ``--output json`` prints."""
        return {
            "run": self.run,
            "definitions": self.definitions,
            self.word: self.results,
            "unrouted": self.unrouted,
            "targets": {run.spec.name: run.as_dict() for run in self.runs},
            "exit_code": self.exit_code,
        }


async def run_all(
    runs: Iterable[TargetRun], work: Callable[[TargetRun, Executor], Awaitable[TargetEnd]], stop: Stop
) -> None:
    """Do `work` for every run at the same time; a stop of `stop` stops them all.

    `work` is given the threads for the run's ledger. What it raises as a `BulkseedError` is that run's end; a
    run that has an error already is left alone.
    """
    runs = [run for run in runs if run.error is None]
    with ThreadPoolExecutor(THREADS, "bulkseed-ledgers") as threads:
        line = StartLine(len(runs))

        async def one(run: TargetRun, number: int) -> None:
            came = False

            async def begin() -> None:
                nonlocal came
                came = True
                await line.start(number, run.stop)

            run.begin = begin
            try:
                run.end = await work(run, threads)
            except BulkseedError as error:
                run.error = error
            finally:
                if not came:
                    line.come()

        async def stop_all() -> None:
            await stop.event.wait()
            line.open()
            for run in runs:
                run.stop.request(stop.reason or "stopped", stop.exit_code)

        async with anyio.create_task_group() as beside:
            beside.start_soon(stop_all)
            async with anyio.create_task_group() as group:
                for number, run in enumerate(runs):
                    group.start_soon(one, run, number)
            beside.cancel_scope.cancel()
            line.open()


class Accounts:
    """Which target writes into which account and region: two would share one quota, and exceed it."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}

    def other(self, name: str, region: str, account: str) -> str | None:
        """Note that a target writes there; return the target that does already, if there is another."""
        holder = self._names.setdefault((region, account), name)
        return None if holder == name else holder


def in_all(runs: Iterable[TargetRun]) -> Mapping[str, int]:
    """Return how many definitions each outcome has by now, over all targets."""
    total: dict[str, int] = {}
    for run in runs:
        for outcome, count in run.stats.outcomes.items():
            total[outcome] = total.get(outcome, 0) + count
    return total
