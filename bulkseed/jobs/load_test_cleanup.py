"""Deletes what a load test created, for good, at the pace of the create quota."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bulkseed.client.operations import deletion
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.driver import Driver, requests
from bulkseed.engine.lane import Lane
from bulkseed.engine.outage import OutageMonitor
from bulkseed.engine.pool import process_all
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import DELETE, Done, GiveUp, Procedure
from bulkseed.policy.verdicts import Verdict, classify

WORKERS = 64


class Name(NamedTuple):
    """The name of a secret."""

    name: str


async def remove(names: Iterable[str], lane: Lane) -> list[str]:
    """Delete the secrets of these names; return those that may still be there.

    Raises:
        CredentialsError: the credentials have expired and no new ones can be had.
    """
    stop, policy, clock = Stop(), RetryPolicy(), lane.clock
    outage = OutageMonitor(clock.awake, stop, Stats(), patience=60.0)
    driver = Driver(requests(lane.client(), {DELETE: deletion(None)}), outage, stop)
    left: list[str] = []

    async def delete(name: str) -> None:
        retry = RetryState(policy, None, lane.sending, outage.working_time, lane.rng)
        if not await driver.drive(WorkItem(Name(name)), _delete(retry), retry):
            left.append(name)

    await process_all(list(names), delete, WORKERS)
    return left


def _delete(retry: RetryState) -> Procedure[bool]:
    """Delete a secret; return whether it is gone."""
    try:
        answer = yield from retry.ask(DELETE)
    except GiveUp:
        return False
    return isinstance(answer, Done) or classify(answer) is Verdict.NOT_FOUND
