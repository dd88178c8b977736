"""One worker's share of an open-loop load: sent at its rate, measured, and deleted again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from bulkseed.engine.lane import open_lane
from bulkseed.engine.stop import Stop
from bulkseed.jobs.load_test import LoadTest, synthetic
from bulkseed.jobs.load_test_cleanup import remove
from bulkseed.model import QuotaGroup, SignatureName
from bulkseed.pacing.ceilings import limits
from bulkseed.targets.apply import resolve
from bulkseed.targets.spec import TargetSpec


@dataclass(slots=True, frozen=True)
class Share:
    """One worker's part of a rate. `delay`: seconds from when it is told until its first request is due.

    `profile` and `ca_file` are looked up at the worker. `delete_rate`: deletions a second, 0 for no ceiling.
    """

    endpoint: str
    region: str
    signature: SignatureName
    profile: str | None
    ca_file: str | None
    prefix: str
    rate: float
    count: int
    value_bytes: int
    connections: int
    keep: bool
    delay: float
    delete_rate: float


async def send(share: Share) -> dict[str, Any]:
    """Send a share, and delete what it made; return its figures and the names of what is left."""
    spec = TargetSpec(
        "bench", share.region, share.endpoint, share.profile, None, share.ca_file, share.signature
    )
    stop, target = Stop(), resolve(spec)
    group, connections = QuotaGroup.CREATE, share.connections
    async with open_lane(target, limits(group, 0), connections=connections, adapts=False) as lane:
        await asyncio.sleep(share.delay)
        test = LoadTest(lane, stop)
        await test.climb(synthetic(share.prefix, share.value_bytes), [(share.rate, share.count)], 0.0)
    made = test.created + test.doubtful
    left = made
    if not share.keep:
        async with open_lane(target, limits(group, share.delete_rate), connections=connections) as lane:
            left = await remove(made, lane)
    (rung,) = test.rungs
    told = {name: getattr(rung, name) for name in ("arrivals", "created", "throttled", "seconds")}
    histograms = {name: getattr(rung, name).to_json() for name in ("latencies", "written")}
    return {
        **told,
        **histograms,
        "problems": dict(rung.problems),
        "made": len(made),
        "left": left,
        "stopped_by": stop.reason,
    }
