"""The ceilings of a run, and what an earlier run has used of them."""

from __future__ import annotations

from collections.abc import Mapping

from bulkseed.model import QuotaGroup
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.sliding_window import SLACK
from bulkseed.wire.quotas import QUOTAS


def limits(group: QuotaGroup, qps: float) -> dict[QuotaGroup, float]:
    """Return the ceiling of every quota group: `qps` for one, the quota for the others; none at all if 0."""
    return {other: qps if other is group or not qps else quota for other, quota in QUOTAS.items()}


def hold_back(pacers: Mapping[QuotaGroup, Pacer], sent_until: float | None, clock: Clock) -> None:
    """Wait until the last second of an earlier run is over: the quota does not begin anew with a process.

    `sent_until` is when that run can have sent last, in epoch seconds; None if there was none.
    """
    if sent_until is None:
        return
    ago = max(0.0, clock.time() - sent_until)
    for pacer in pacers.values():
        if pacer.limit_qps > 0:
            second = max(1.0, 1 / pacer.limit_qps)  # as `SlidingWindow` counts
            pacer.hold_until(clock.monotonic() + second * (1 + SLACK) - ago)
