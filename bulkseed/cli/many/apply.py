"""``bulkseed apply --targets FILE``: every target at once, each with a ledger of its own."""

from __future__ import annotations

from collections.abc import Sequence

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.many.ends import tell_what_is_gone
from bulkseed.cli.many.machines import log_begins, log_ends, row_teller, watched_by_machines
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
    done = run_async(_apply, many, inputs, options, watch)
    code = conclude_all(done, watch.output)
    whole = options.only is None and options.limit is None
    tell_what_is_gone(done, inputs.paths, inputs.listed, whole=whole)
    return code


async def _apply(
    many: ManyArguments, inputs: Inputs, options: ApplyOptions, watch: WatchArguments
) -> AllRuns:
    folder = many.open(inputs.paths)
    stop = Stop()
    watched: list[TargetRun] = []

    def surveyed(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)
        log_begins("apply", runs)
        freeze()

    with folder.locked(), watched_by_machines("apply", watch, watched):
        async with beside((stop_on_signals, stop, True), (watch_all, watch.progress, watched)):
            teller = row_teller()
            done = await apply_to_all(folder.specs, inputs, folder, options, stop, surveyed, teller)
        log_ends(done)
        return done
