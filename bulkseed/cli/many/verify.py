"""``bulkseed verify`` over many targets: ``--run FOLDER`` or ``--targets FILE``."""

from __future__ import annotations

from collections.abc import Sequence

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.many.ends import tell_not_read, with_problems
from bulkseed.cli.many.machines import log_begins, log_ends, row_teller, watched_by_machines
from bulkseed.cli.options import WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import say
from bulkseed.cli.session import beside, stop_on_signals
from bulkseed.engine.stop import Stop
from bulkseed.ledger import read_ledger
from bulkseed.model import Verified
from bulkseed.targets.apply import ApplyOptions
from bulkseed.targets.manifests import Inputs
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.verify import ReadBack, VerifyHooks, verify_all


def verify_targets(
    many: ManyArguments, inputs: Inputs, reading: ReadBack, options: ApplyOptions, watch: WatchArguments
) -> int:
    """Verify all targets of a run; return the worst exit code."""
    folder = many.open(inputs.paths)
    done = run_async(_verify, folder, inputs, reading, options, watch)
    return conclude_verify(done, folder, inputs.paths, watch.output)


def conclude_verify(done: AllRuns, folder: RunFolder, paths: Sequence[str], output: str) -> int:
    """Print what a verify of many targets has found; return the exit code."""
    if output == "text":
        for run in done.runs:
            print_problems(run)
    code = conclude_all(done, output, with_problems)
    tell_not_read(done, folder, paths)
    return code


async def _verify(
    folder: RunFolder, inputs: Inputs, reading: ReadBack, options: ApplyOptions, watch: WatchArguments
) -> AllRuns:
    stop = Stop()
    watched: list[TargetRun] = []

    def surveyed(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)
        log_begins("verify", runs)

    hooks = VerifyHooks(surveyed, row_teller())
    with folder.locked(), watched_by_machines("verify", watch, watched):
        async with beside((stop_on_signals, stop, True), (watch_all, watch.progress, watched)):
            done = await verify_all(folder, inputs, reading, options, stop, hooks)
        log_ends(done)
        return done


def print_problems(run: TargetRun) -> None:
    """Print what a target's verify found not to be identical."""
    if run.summary is None:
        return
    unsettled = [word for word in Verified if not word.settled and word is not Verified.PENDING]
    with read_ledger(run.summary.ledger) as ledger:
        for row in ledger.rows(unsettled):
            place = f"{row.manifest}:{row.line}"
            say(f"{run.spec.name}: {place}: {row.name or '-'}: {row.message or row.outcome}")
