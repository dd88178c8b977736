"""``bulkseed bench --cluster ADDRESS``: one load from all workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bulkseed.cluster.dask_cluster import TlsFiles
from bulkseed.cluster.load_share import Share
from bulkseed.cluster.load_test import open_cluster_load
from bulkseed.jobs.load_test import RateStep

NAMED = 100
"""The most names of what is left over in the JSON output."""


async def bench_on_workers(
    address: str,
    tls: TlsFiles,
    share: Share,
    ladder: Sequence[tuple[float, int]],
    delete_qps: float | None,
    p99: float,
    show: Callable[[RateStep], None] | None,
) -> dict[str, Any]:
    """Send the rates until one is too much; return what ``bench --output json`` prints, without its run.

    `p99`: seconds within which 99 % must be created. Each worker deletes what it made before the next rate;
    `delete_qps` as of `ClusterLoad`.
    """
    rungs: list[RateStep] = []
    knee = stopped = None
    async with open_cluster_load(address, tls, share, delete_qps) as load:
        for rate, count in ladder:
            rung, stopped = await load.send(rate, count)
            rungs.append(rung)
            if show is not None:
                show(rung)
            if stopped is not None or not rung.kept_up(p99):
                break
            knee = rate
    return {
        "endpoint": share.endpoint,
        "region": share.region,
        "prefix": f"{share.prefix}/",
        "ladder": [{**rung.as_dict(), "kept_up": rung.kept_up(p99)} for rung in rungs],
        "knee": knee,
        "deleted": load.made - len(load.left),
        "left": len(load.left),
        "left_names": load.left[:NAMED],
        "stopped_by": stopped,
        "exit_code": 3 if stopped is not None else 1 if load.left and not share.keep else 0,
    }
