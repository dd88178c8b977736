"""What machines hear of a run over many targets: its log, and its counters by target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bulkseed.cli.options import WatchArguments
from bulkseed.cli.watching import events
from bulkseed.cli.watching.telemetry import prometheus, telemetry
from bulkseed.engine.stats import Stats
from bulkseed.model import Row
from bulkseed.targets.apply import endpoint_of
from bulkseed.targets.run_all import AllRuns, TargetRun


@contextmanager
def watched_by_machines(command: str, given: WatchArguments, runs: Sequence[TargetRun]) -> Iterator[None]:
    """Serve and send the counters of the runs while the body goes on; `runs` may be filled meanwhile.

    Raises:
        UsageError: a package is missing, or the port is taken.
    """

    def counters() -> dict[str, Stats]:
        return {run.spec.name: run.stats for run in list(runs)}

    with prometheus(counters, given.metrics_port), telemetry(counters, command, given.otel):
        yield


def log_begins(command: str, runs: Sequence[TargetRun]) -> None:
    """Log that the runs of all targets begin."""
    for run in runs:
        where = endpoint_of(run.spec)
        events.tell("run.started", command=command, target=run.spec.name, endpoint=where, qps=run.spec.qps)


def row_teller() -> Callable[[str, Row], None] | None:
    """Return what logs a target's row; None when the level leaves nothing to log."""
    if (teller := events.row_teller()) is None:
        return None
    return lambda target, row: teller(row, target=target)


def log_ends(done: AllRuns) -> None:
    """Log how each target's run ended."""
    for run in done.runs:
        if run.summary is not None:
            events.tell_end(run.summary, run.summary.outcomes, target=run.spec.name)
