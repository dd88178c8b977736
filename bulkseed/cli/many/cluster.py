"""``bulkseed apply --targets FILE --cluster ADDRESS``: the runs are on the workers of a Dask cluster."""

from __future__ import annotations

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.display import conclude_all, watch_all
from bulkseed.cli.options import WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import say
from bulkseed.cli.session import beside, stop_on_signals
from bulkseed.cluster.apply import ClusterOptions, apply_on_cluster
from bulkseed.engine.stop import Stop
from bulkseed.targets.apply import ApplyOptions
from bulkseed.targets.manifests import Manifests
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.sources import NamedSources


def apply_on_workers(
    many: ManyArguments,
    cluster: ClusterOptions,
    inputs: Manifests | NamedSources,
    options: ApplyOptions,
    watch: WatchArguments,
) -> int:
    """Apply to all targets of the file on a cluster; return the worst exit code."""
    return conclude_all(run_async(_apply, many, cluster, inputs, options, watch.progress), watch.output)


async def _apply(
    many: ManyArguments,
    cluster: ClusterOptions,
    inputs: Manifests | NamedSources,
    options: ApplyOptions,
    progress: str,
) -> AllRuns:

    folder = many.open(inputs.paths)
    stop = Stop()
    watched: list[TargetRun] = []
    with folder.locked():
        async with beside((stop_on_signals, stop, True), (watch_all, progress, watched)):
            done = await apply_on_cluster(inputs, folder, options, cluster, stop, watched.extend)
    if stop.reason is not None:
        say(stop.reason, err=True)
    return done
