"""From when, and for how long, this process may send to a target: on a cluster, as long as a lease lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from bulkseed.engine.lane import Lane, Ports, open_lane
from bulkseed.model import QuotaGroup, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import always


async def at_once() -> None:
    """Wait for nothing."""


@dataclass(slots=True, frozen=True)
class SendingRight:
    """From when, and for how long, a target may be sent to.

    `begin` is awaited when all is ready to send. `may_send` tells whether the right lasts, by
    `clock`. `account_for_rest`: what was not sent by its end is counted.
    """

    begin: Callable[[], Awaitable[None]] = at_once
    may_send: Callable[[], bool] = always
    clock: Clock | None = None
    account_for_rest: bool = True

    def open_lane(
        self, target: Target, limits: Mapping[QuotaGroup, float], connections: int, timeout: float
    ) -> AbstractAsyncContextManager[Lane]:
        """Open a lane that sends nothing without this right; see `open_lane`."""
        return open_lane(
            target,
            limits,
            connections=connections,
            timeout=timeout,
            may_send=self.may_send,
            ports=Ports(clock=self.clock),
        )


ALWAYS = SendingRight()
"""On one machine."""
