"""Deletes what a benchmark created, for good, on the create lane and at its pace."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable

import anyio

from bulkseed.client.credentials import SignerCache
from bulkseed.client.operations import Operation
from bulkseed.client.service_time import ServiceTime
from bulkseed.engine.client import Client
from bulkseed.engine.driver import Driver
from bulkseed.engine.outage import Health
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.work_item import WorkItem
from bulkseed.ledger import AttemptRecord, Claim
from bulkseed.model import Fault, NoReply, Origin, SecretDefinition, SecretValue
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.quotas import pacers
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Answer, Done, GiveUp, Step, Wait
from bulkseed.wire.actions import delete_secret
from bulkseed.wire.message import Call, QuotaGroup, Response, Transport

WORKERS = 64


async def remove(
    names: Iterable[str], transport: Transport, signers: SignerCache, clock: Clock, qps: float
) -> list[str]:
    """Delete the secrets of these names; return those that may still be there.

    `qps`: the most deletions in any one-second window, 0 for no ceiling.
    """
    stats, stop, retry = Stats(), Stop(), RetryPolicy()
    lanes = pacers({QuotaGroup.CREATE: qps}, clock, paced=qps > 0)
    client = Client(transport, signers, lanes, clock, stats, _NoRecord())
    health = Health(clock.monotonic, patience=60.0, stop_after=50)
    walker = Driver(
        client, health, stop, stats, {Step.DELETE: Operation(QuotaGroup.CREATE, _encode, _decode)}
    )
    left: list[str] = []
    queue = iter(list(names))

    async def work() -> None:
        for name in queue:
            retry_state = RetryState(retry, None, clock.time, health.working_time, random.random)
            nothing = SecretDefinition(name, SecretValue(""), "", Origin("", 0))
            answer = await walker.walk(WorkItem(Claim(nothing, 0)), _delete(retry_state), retry_state)
            if not (isinstance(answer, Done) or _is_gone(answer)):
                left.append(name)

    async with anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(work)
    return left


def _delete(retry_state: RetryState) -> Generator[Step | Wait, Answer | None, Answer | None]:
    try:
        return (yield from retry_state.ask(Step.DELETE))
    except GiveUp:
        return None


def _is_gone(answer: Answer | None) -> bool:
    return isinstance(answer, Fault) and answer.code == "Forbidden.ResourceNotFound"


def _encode(definition: SecretDefinition) -> Call:
    return delete_secret.Request(definition.name, force_delete_without_recovery=True).encode()


def _decode(response: Response, _definition: SecretDefinition, _time: ServiceTime) -> Answer:
    reply = delete_secret.Reply.read(response)
    return reply if isinstance(reply, Fault | NoReply) else Done(reply.request_id)


class _NoRecord(Recorder):
    """A benchmark has no ledger."""

    def __init__(self) -> None:
        pass

    def attempted(self, attempt: AttemptRecord) -> None:
        """Forget it."""
