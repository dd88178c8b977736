"""The lanes of a run, with the quotas per account and region (performance page, 2025-02)."""

from __future__ import annotations

from collections.abc import Mapping

from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.sliding_window import SLACK
from bulkseed.wire.message import QuotaGroup

QUOTAS = {QuotaGroup.CREATE: 10.0, QuotaGroup.READ: 450.0, QuotaGroup.MANAGE: 40.0}


def pacers(
    limits: Mapping[QuotaGroup, float], clock: Clock, *, paced: bool = True
) -> dict[QuotaGroup, Pacer]:
    """Return a pacer for every lane: `limits`, where given, else the quota; no ceiling if not `paced`."""
    quotas = QUOTAS if paced else dict.fromkeys(QuotaGroup, 0.0)
    return {lane: Pacer(limits.get(lane, quota), clock=clock.monotonic) for lane, quota in quotas.items()}


def hold_back(lanes: Mapping[QuotaGroup, Pacer], sent_until: float | None, clock: Clock) -> None:
    """Wait until the last second of an earlier run is over: the quota does not begin anew with a process.

    `sent_until` is when that run can have sent last, in epoch seconds; None if there was none.
    """
    if sent_until is None:
        return
    ago = max(0.0, clock.time() - sent_until)
    for pacer in lanes.values():
        if pacer.limit_qps > 0:
            second = max(1.0, 1 / pacer.limit_qps)  # as `SlidingWindow` counts
            pacer.hold_until(clock.monotonic() + second * (1 + SLACK) - ago)
