"""``bulkseed rollback`` of a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.options import WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import print_json, say
from bulkseed.cli.session import beside, stop_on_signals, this_call
from bulkseed.engine.stop import Stop
from bulkseed.jobs.rollback import RollbackRules
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome
from bulkseed.targets.apply import ApplyOptions
from bulkseed.targets.rollback import roll_back_all, to_roll_back
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.run_folder import RunFolder, open_run_folder


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
        print_json(
            {
                "run": str(folder.path),
                "to_restore" if rules.restore_values else "to_delete": total,
                "targets": counts,
            }
        )
        return worst
    what = "put back to the version before" if rules.restore_values else "delete"
    for run in runs:
        say(f"{run.spec.name}: {run.expected:,} to {what} unless changed since")
    say(f"together: {total:,}")
    say(f"nothing was sent; to do it: {this_call()} --yes")
    return worst


async def _roll_back(
    folder: RunFolder, rules: RollbackRules, options: ApplyOptions, watch: WatchArguments
) -> AllRuns:
    stop = Stop()
    watched: list[TargetRun] = []

    def begun(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)

    with folder.locked():
        async with beside((stop_on_signals, stop), (watch_all, watch.progress, watched)):
            return await roll_back_all(folder, rules, options, stop, begun, tell_end(watch.output))


def tell_end(output: str) -> Callable[[str, str, RollbackEnd], None]:
    """Return what prints a secret that is left as it is: its target, its name and its end."""

    def told(target: str, name: str, end: RollbackEnd) -> None:
        if output == "text" and end.outcome in {RollbackOutcome.CHANGED, RollbackOutcome.FAILED}:
            say(f"{target}: {name}: {end.outcome}: {end.message}")

    return told
