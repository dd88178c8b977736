"""``bulkseed apply --targets FILE``: every target at once, each with a ledger of its own."""

from __future__ import annotations

from collections.abc import Sequence

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.options import WatchArguments
from bulkseed.cli.process import freeze, run_async
from bulkseed.cli.session import beside, stop_on_signals
from bulkseed.engine.stop import Stop
from bulkseed.targets.apply import ApplyOptions, apply_to_all
from bulkseed.targets.manifests import Inputs
from bulkseed.targets.run_all import AllRuns, TargetRun


def apply_to_targets(
    many: ManyArguments, inputs: Inputs, options: ApplyOptions, watch: WatchArguments
) -> int:
    """Apply to all targets of the file; return the worst exit code."""
    return conclude_all(run_async(_apply, many, inputs, options, watch.progress), watch.output)


async def _apply(many: ManyArguments, inputs: Inputs, options: ApplyOptions, progress: str) -> AllRuns:
    folder = many.open(inputs.paths)
    stop = Stop()
    watched: list[TargetRun] = []

    def surveyed(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)
        freeze()

    with folder.locked():
        async with beside((stop_on_signals, stop, True), (watch_all, progress, watched)):
            return await apply_to_all(folder.specs, inputs, folder, options, stop, surveyed)
