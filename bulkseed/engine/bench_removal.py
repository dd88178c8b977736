"""Deletes what a benchmark created, for good, on the create lane and at its pace."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable

import anyio

from bulkseed.engine.client import Client, Errand
from bulkseed.engine.clock import Clock, ServiceTime
from bulkseed.engine.credentials import Keyring
from bulkseed.engine.exchange import Exchange
from bulkseed.engine.health import Health
from bulkseed.engine.lanes import pacers
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.walker import Walker
from bulkseed.ledger import AttemptRecord, Claim
from bulkseed.model import Fault, Lost, Origin, SecretDefinition, SecretValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.journey import Answer, Done, GiveUp, Step, Traveller, Wait
from bulkseed.wire.actions import delete_secret
from bulkseed.wire.message import Call, Lane, Response, Transport

WORKERS = 64


async def remove(
    names: Iterable[str], transport: Transport, keyring: Keyring, clock: Clock, qps: float
) -> list[str]:
    """Delete the secrets of these names; return those that may still be there.

    `qps`: the most deletions in any one-second window, 0 for no ceiling.
    """
    stats, stop, retry = Stats(), Stop(), RetryPolicy()
    lanes = pacers({Lane.CREATE: qps}, clock, paced=qps > 0)
    client = Client(transport, keyring, lanes, clock, stats, _NoRecord())
    health = Health(clock.monotonic, patience=60.0, stop_after=50)
    walker = Walker(client, health, stop, stats, {Step.DELETE: Exchange(Lane.CREATE, _encode, _decode)})
    left: list[str] = []
    queue = iter(list(names))

    async def work() -> None:
        for name in queue:
            traveller = Traveller(retry, None, clock.time, health.working_time, random.random)
            nothing = SecretDefinition(name, SecretValue(""), "", Origin("", 0))
            answer = await walker.walk(Errand(Claim(nothing, 0)), _delete(traveller), traveller)
            if not (isinstance(answer, Done) or _is_gone(answer)):
                left.append(name)

    async with anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(work)
    return left


def _delete(traveller: Traveller) -> Generator[Step | Wait, Answer | None, Answer | None]:
    try:
        return (yield from traveller.ask(Step.DELETE))
    except GiveUp:
        return None


def _is_gone(answer: Answer | None) -> bool:
    return isinstance(answer, Fault) and answer.code == "Forbidden.ResourceNotFound"


def _encode(definition: SecretDefinition) -> Call:
    return delete_secret.Request(definition.name, force_delete_without_recovery=True).encode()


def _decode(response: Response, _definition: SecretDefinition, _time: ServiceTime) -> Answer:
    reply = delete_secret.Reply.read(response)
    return reply if isinstance(reply, Fault | Lost) else Done(reply.request_id)


class _NoRecord(Recorder):
    """A benchmark has no ledger."""

    def __init__(self) -> None:
        pass

    def attempted(self, attempt: AttemptRecord) -> None:
        """Forget it."""
