"""How long to wait before the next attempt: exponential with full jitter; one frozen value, passed whole."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_PAUSE = 60.0
"""Seconds for which a service is believed that asks for a pause: one that asks for more is mistaken.

The pause of the whole lane has the same end (`bulkseed.pacing.pacer`)."""


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """Limits per definition: attempts in all, and seconds from its first attempt to its last."""

    max_attempts: int = 8
    budget: float = 120.0
    first_delay: float = 0.5
    growth: float = 2.0
    ceiling: float = 20.0


def delay(policy: RetryPolicy, attempt: int, u: float) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 1), `u` uniform in [0, 1)."""
    return u * min(policy.ceiling, policy.first_delay * policy.growth ** min(attempt - 1, 64))
