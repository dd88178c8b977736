"""An open-loop load from several workers at once: each sends its share, its arrivals between the others'.

Histograms are added. Percentiles of several workers cannot be.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import orjson

from bulkseed.cluster.dask_cluster import CoordinatorAnswers, DaskCluster, TlsFiles, connect
from bulkseed.cluster.load_share import Share
from bulkseed.errors import ServiceError
from bulkseed.jobs.load_test import RateStep

LEAD = 1.0
"""Seconds until all workers of a rate begin."""


def added(rate: float, due: int, parts: Sequence[dict[str, Any]]) -> RateStep:
    """Return what all workers together have measured at a rate."""
    whole = RateStep(rate, due)
    for part in parts:
        whole.arrivals += part["arrivals"]
        whole.created += part["created"]
        whole.throttled += part["throttled"]
        whole.problems += Counter(part["problems"])
        whole.seconds = max(whole.seconds, part["seconds"])
        whole.latencies.add_json(part["latencies"])
        whole.written.add_json(part["written"])
    return whole


class ClusterLoad:
    """Sends rates from all workers of a cluster.

    Attributes:
        made: how many secrets were created, or may have been.
        left: names of those that were not deleted again.
    """

    def __init__(self, cluster: DaskCluster, share: Share, delete_qps: float | None) -> None:
        """`share` has what all shares have in common; its rates, count and delay say nothing.

        `delete_qps`: deletions a second of all workers together, 0 for no ceiling; None: as many as creates.
        """
        self.made = 0
        self.left: list[str] = []
        self._cluster = cluster
        self._share = asdict(share)
        self._delete_qps = delete_qps

    async def send(self, rate: float, count: int) -> tuple[RateStep, str | None]:
        """Send one rate; return what was measured, and why a worker stopped early.

        Raises:
            ServiceError: a worker does not answer, or there is none.
        """
        workers = sorted(await self._cluster.seen())
        if not workers:
            raise ServiceError("the cluster has no worker")
        counts = [count // len(workers) + (place < count % len(workers)) for place in range(len(workers))]
        asked = [
            {
                **self._share,
                "prefix": f"{self._share['prefix']}/{rate:g}/{place}",
                "rate": rate / len(workers),
                "count": counts[place],
                "delay": LEAD + place / rate,
                "delete_rate": (rate if self._delete_qps is None else self._delete_qps) / len(workers),
            }
            for place in range(len(workers))
        ]
        parts = await asyncio.gather(
            *(
                self._cluster.load(worker, orjson.dumps(share))
                for worker, share in zip(workers, asked, strict=True)
                if share["count"]
            )
        )
        for part in parts:
            self.made += part["made"]
            self.left += part["left"]
        stopped = next((part["stopped_by"] for part in parts if part["stopped_by"]), None)
        return added(rate, count, parts), stopped


@asynccontextmanager
async def open_cluster_load(
    address: str, tls: TlsFiles, share: Share, delete_qps: float | None
) -> AsyncIterator[ClusterLoad]:
    """Connect to a cluster for a load; see `ClusterLoad`.

    Raises:
        ServiceError: the scheduler does not answer.
        UsageError: the extra is not installed, or address and TLS files make no sense.
    """
    async with connect(address, tls, CoordinatorAnswers()) as cluster:
        yield ClusterLoad(cluster, share, delete_qps)
