"""``bulkseed rollback`` of a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.many.machines import log_begins, log_ends, watched_by_machines
from bulkseed.cli.options import WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import print_json, say
from bulkseed.cli.session import beside, stop_on_signals, this_call
from bulkseed.cli.watching import events
from bulkseed.engine.stop import Stop
from bulkseed.humanize import duration
from bulkseed.jobs.rollback import RollbackRules
from bulkseed.ledger import read_ledger
from bulkseed.ledger.names_apart import NAMED
from bulkseed.ledger.rollbacks import deleted_before, forecast
from bulkseed.model import QuotaGroup
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome
from bulkseed.targets.apply import ApplyOptions
from bulkseed.targets.rollback import roll_back_all, to_roll_back
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.run_folder import RunFolder, open_run_folder
from bulkseed.wire.quotas import QUOTAS

MANAGED = QUOTAS[QuotaGroup.MANAGE]
"""Each secret's versions are listed before it is deleted: a quota of its own."""


def roll_back_targets(
    path: str, rules: RollbackRules, options: ApplyOptions, watch: WatchArguments, *, yes: bool
) -> int:
    """Roll back every target of a run; without `yes` say what would be done. Return the worst exit code."""
    folder = open_run_folder(path)
    if not yes:
        return preview(folder, rules, watch.output)
    return conclude_all(run_async(_roll_back, folder, rules, options, watch), watch.output)


def preview(folder: RunFolder, rules: RollbackRules, output: str) -> int:
    """Print what a rollback would do; send nothing. Return the worst of what is wrong with ledgers."""
    found = to_roll_back(folder, restore_values=rules.restore_values)
    for run in found:
        if run.error is not None:
            say(f"{run.spec.name}: {run.error}", err=True)
    worst = max((run.exit_code for run in found if run.error is not None), default=0)
    runs = [run for run in found if run.error is None]
    total = sum(run.expected for run in runs)
    if output == "json":
        counts = {run.spec.name: run.expected for run in runs}
        details = {run.spec.name: _foreseen(folder, run, rules).as_dict() for run in runs}
        print_json(
            {
                "run": str(folder.path),
                "to_restore" if rules.restore_values else "to_delete": total,
                "targets": counts,
                "details": details,
            }
        )
        return worst
    what = "put back to the version before" if rules.restore_values else "delete"
    for run in runs:
        say(f"{run.spec.name}: {run.expected:,} to {what} unless changed since")
        for line in _foreseen(folder, run, rules).in_words():
            say(f"  {line}")
    longest = max((run.expected / min(run.spec.qps or MANAGED, MANAGED) for run in runs), default=0.0)
    say(f"together: {total:,}, {duration(longest)} at the targets' paces")
    say(f"nothing was sent; to do it: {this_call()} --yes")
    return worst


class _TargetForecast(NamedTuple):
    """What is told of a target before its rollback, beside how much would be undone; see `Forecast`."""

    first: list[str]
    unfinished: int
    left_alone: int
    undone: int
    in_doubt: int

    def as_dict(self) -> dict[str, int]:
        """Return the counts, as the preview of one ledger has them."""
        return {
            "unfinished": self.unfinished,
            "left_alone": self.left_alone,
            "rolled_back": self.undone,
            "in_doubt": self.in_doubt,
        }

    def in_words(self) -> list[str]:
        """Return a line for each that is not nothing."""
        told = [f"the first: {', '.join(self.first)}"] if self.first else []
        if self.unfinished:
            told.append(f"{self.unfinished:,} of them may have been undone by a rollback that did not end")
        if self.undone:
            told.append(f"rolled back before: {self.undone:,}")
        if self.left_alone:
            told.append(f"left alone: {self.left_alone:,} not known to be made by this ledger")
        if self.in_doubt:
            told.append(f"in doubt: {self.in_doubt:,}; apply again first to find out whether it made them")
        return told


def _foreseen(folder: RunFolder, run: TargetRun, rules: RollbackRules) -> _TargetForecast:
    with read_ledger(folder.ledger(run.spec.name)) as ledger:
        seen = forecast(ledger, NAMED, restore_values=rules.restore_values)
        undone = 0 if rules.restore_values else deleted_before(ledger)
        doubt = max(0, ledger.status().in_doubt - seen.unfinished)
    return _TargetForecast(
        [row.name for row in seen.first], seen.unfinished, seen.others - undone, undone, doubt
    )


async def _roll_back(
    folder: RunFolder, rules: RollbackRules, options: ApplyOptions, watch: WatchArguments
) -> AllRuns:
    stop = Stop()
    watched: list[TargetRun] = []

    def begun(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)
        log_begins("rollback", runs)

    with folder.locked(), watched_by_machines("rollback", watch, watched):
        async with beside((stop_on_signals, stop), (watch_all, watch.progress, watched)):
            done = await roll_back_all(folder, rules, options, stop, begun, tell_end(watch.output))
        log_ends(done)
        return done


def tell_end(output: str) -> Callable[[str, str, RollbackEnd], None]:
    """Return what prints a secret that is left as it is: its target, its name and its end."""

    def told(target: str, name: str, end: RollbackEnd) -> None:
        events.tell_removal(name, end, target=target)
        if output == "text" and end.outcome in {RollbackOutcome.CHANGED, RollbackOutcome.FAILED}:
            say(f"{target}: {name}: {end.outcome}: {end.message}")

    return told
