"""``--cluster ADDRESS``: the runs of many targets are on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable

from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.many.rollback import tell_end
from bulkseed.cli.many.verify import print_problems
from bulkseed.cli.options import WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import say
from bulkseed.cli.session import beside, stop_on_signals
from bulkseed.cluster.coordinator import ClusterHooks, ClusterOptions, run_on_cluster
from bulkseed.cluster.task import RunWork
from bulkseed.engine.stop import Stop
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.run_folder import RunFolder


def run_on_workers(
    open_folder: Callable[[], RunFolder], cluster: ClusterOptions, work: RunWork, watch: WatchArguments
) -> int:
    """Do the work on a cluster, for the targets of a folder; return the worst exit code."""
    done = run_async(_run, open_folder, cluster, work, watch)
    if work.reading is not None and watch.output == "text":
        for run in done.runs:
            print_problems(run)
    return conclude_all(done, watch.output)


async def _run(
    open_folder: Callable[[], RunFolder], cluster: ClusterOptions, work: RunWork, watch: WatchArguments
) -> AllRuns:
    folder = open_folder()
    stop = Stop()
    watched: list[TargetRun] = []
    hooks = ClusterHooks(watched.extend, tell_end(watch.output))
    counts = work.rollback is None
    with folder.locked():
        async with beside((stop_on_signals, stop, counts), (watch_all, watch.progress, watched)):
            done = await run_on_cluster(work, folder, cluster, stop, hooks)
    if stop.reason is not None:
        say(stop.reason, err=True)
    return done
