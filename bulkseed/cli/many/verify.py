"""``bulkseed verify`` over many targets: ``--run FOLDER`` or ``--targets FILE``."""

from __future__ import annotations

from collections.abc import Sequence

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.display import conclude_all, watch_all
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
from bulkseed.targets.verify import ReadBack, VerifyHooks, verify_all


def verify_targets(
    many: ManyArguments, inputs: Inputs, reading: ReadBack, options: ApplyOptions, watch: WatchArguments
) -> int:
    """Verify all targets of a run; return the worst exit code."""
    done = run_async(_verify, many, inputs, reading, options, watch.progress)
    if watch.output == "text":
        for run in done.runs:
            print_problems(run)
    return conclude_all(done, watch.output)


async def _verify(
    many: ManyArguments, inputs: Inputs, reading: ReadBack, options: ApplyOptions, progress: str
) -> AllRuns:
    folder = many.open(inputs.paths)
    stop = Stop()
    watched: list[TargetRun] = []

    def surveyed(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)

    hooks = VerifyHooks(surveyed)
    with folder.locked():
        async with beside((stop_on_signals, stop, True), (watch_all, progress, watched)):
            return await verify_all(folder, inputs, reading, options, stop, hooks)


def print_problems(run: TargetRun) -> None:
    """Print what a target's verify found not to be identical."""
    if run.summary is None:
        return
    unsettled = [word for word in Verified if not word.settled and word is not Verified.PENDING]
    with read_ledger(run.summary.ledger) as ledger:
        for row in ledger.rows(unsettled):
            place = f"{row.manifest}:{row.line}"
            say(f"{run.spec.name}: {place}: {row.name or '-'}: {row.message or row.outcome}")
