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
from bulkseed.targets.verify import VerifyHooks, verify_all


def verify_targets(
    many: ManyArguments,
    inputs: Inputs,
    qps: float,
    options: ApplyOptions,
    watch: WatchArguments,
    *,
    resume: bool,
) -> int:
    """Verify all targets of a run; return the worst exit code."""
    done = run_async(_verify, many, inputs, qps, options, watch.progress, resume)
    if watch.output == "text":
        for run in done.runs:
            _print_problems(run)
    return conclude_all(done, watch.output)


async def _verify(
    many: ManyArguments,
    inputs: Inputs,
    qps: float,
    options: ApplyOptions,
    progress: str,
    resume: bool,
) -> AllRuns:
    folder = many.open(inputs.paths)
    stop = Stop()
    watched: list[TargetRun] = []

    def surveyed(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)

    hooks = VerifyHooks(surveyed)
    with folder.locked():
        async with beside((stop_on_signals, stop, True), (watch_all, progress, watched)):
            return await verify_all(folder, inputs, qps, options, stop, hooks, resume=resume)


def _print_problems(run: TargetRun) -> None:
    if run.summary is None:
        return
    unsettled = [word for word in Verified if not word.settled and word is not Verified.PENDING]
    with read_ledger(run.summary.ledger) as ledger:
        for row in ledger.rows(unsettled):
            place = f"{row.manifest}:{row.line}"
            say(f"{run.spec.name}: {place}: {row.name or '-'}: {row.message or row.outcome}")
