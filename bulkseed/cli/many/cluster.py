"""``--cluster ADDRESS``: the runs of many targets are on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.many.ends import tell_what_is_gone
from bulkseed.cli.many.machines import log_begins, log_ends, watched_by_machines
from bulkseed.cli.many.rollback import tell_end
from bulkseed.cli.many.verify import conclude_verify
from bulkseed.cli.options import WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import say
from bulkseed.cli.session import beside, stop_on_signals
from bulkseed.cluster.coordinator import ClusterHooks, ClusterOptions, run_on_cluster
from bulkseed.cluster.task import RunWork
from bulkseed.engine.stop import Stop
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.sources import NamedSources


def run_on_workers(
    open_folder: Callable[[], RunFolder], cluster: ClusterOptions, work: RunWork, watch: WatchArguments
) -> int:
    """Do the work on a cluster, for the targets of a folder; return the worst exit code."""
    folder = open_folder()
    done = run_async(_run, folder, cluster, work, watch)
    paths = () if work.inputs is None else work.inputs.paths
    if work.reading is not None:
        return conclude_verify(done, folder, paths, watch.output)
    code = conclude_all(done, watch.output)
    if work.rollback is None:
        whole = work.options.only is None and work.options.limit is None
        tell_what_is_gone(done, paths, None, whole=whole and not isinstance(work.inputs, NamedSources))
    return code


async def _run(folder: RunFolder, cluster: ClusterOptions, work: RunWork, watch: WatchArguments) -> AllRuns:
    stop = Stop()
    watched: list[TargetRun] = []
    command = "rollback" if work.rollback else "apply" if work.reading is None else "verify"

    def begun(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)
        log_begins(command, runs)

    hooks = ClusterHooks(begun, tell_end(watch.output))
    counts = work.rollback is None
    with folder.locked(), watched_by_machines(command, watch, watched):
        async with beside((stop_on_signals, stop, counts), (watch_all, watch.progress, watched)):
            done = await run_on_cluster(work, folder, cluster, stop, hooks)
        log_ends(done)
    if stop.reason is not None:
        say(stop.reason, err=True)
    return done
