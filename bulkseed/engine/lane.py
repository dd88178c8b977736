"""A lane: a target that is opened for calls at a pace."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from bulkseed.client.client import Client, Observer
from bulkseed.client.credentials import SignerCache
from bulkseed.client.service_time import ServiceTime
from bulkseed.model import QuotaGroup, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer, always
from bulkseed.policy.moments import Sending
from bulkseed.transport.choose import open_transport
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT
from bulkseed.wire.message import Transport


@dataclass(slots=True, frozen=True)
class Ports:
    """What a test may put in the place of the real thing: the network, the clocks, the dice of jitter."""

    transport: Transport | None = None
    clock: Clock | None = None
    rng: Callable[[], float] = random.random


@dataclass(slots=True, frozen=True)
class Lane:
    """A target, and all that is needed to call it at its pace. `time` is what replies tell of its clock."""

    target: Target
    transport: Transport
    signers: SignerCache
    pacers: Mapping[QuotaGroup, Pacer]
    clock: Clock
    rng: Callable[[], float]
    time: ServiceTime

    def client(self, *observers: Observer) -> Client:
        """Return a client that tells `observers` of its attempts."""
        return Client(self.transport, self.signers, self.pacers, self.clock, observers, self.time)

    def sending(self) -> Sending:
        """Return now, as the moment of something that is sent."""
        return self.time.sending(self.clock)

    def known_ahead(self) -> float | None:
        """Return by how much the service's clock is ahead of ours, at least, since the run began.

        None while nobody knows, and where our own clocks have not agreed all the time.
        """
        return self.time.known_ahead(self.clock) if self.clock.agrees() else None

    def close(self) -> None:
        """Let no further attempt begin; those under way end as they would."""
        for pacer in self.pacers.values():
            pacer.close()


@asynccontextmanager
async def open_lane(
    target: Target,
    limits: Mapping[QuotaGroup, float],
    *,
    connections: int,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of opening
    adapts: bool = True,
    may_send: Callable[[], bool] = always,
    ports: Ports | None = None,
) -> AsyncIterator[Lane]:
    """Open a lane; `limits` are the most attempts of each quota group in any second, 0 for no ceiling.

    With `adapts` it slows down while the service throttles. `may_send` is asked at every write: after a False
    nothing of that attempt is sent.

    Raises:
        CredentialsError: there are no credentials.
        UsageError: the target's endpoint makes no sense.
    """
    ports = ports or Ports()
    clock = ports.clock or Clock()
    signers = SignerCache(target, clock)
    await signers.signer()  # without credentials nothing begins
    opening = (
        open_transport(target.endpoint, connections=connections, timeout=timeout, ca_file=target.ca_file)
        if ports.transport is None
        else nullcontext(ports.transport)
    )
    async with opening as transport:
        pacers = {
            group: Pacer(limit, clock=clock.monotonic, adapts=adapts, may_send=may_send)
            for group, limit in limits.items()
        }
        yield Lane(target, transport, signers, pacers, clock, ports.rng, ServiceTime())
