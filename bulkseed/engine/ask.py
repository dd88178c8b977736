"""Single questions to a service, beside or instead of a run: paced, and repeated while that helps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from bulkseed.client.operations import Operation
from bulkseed.client.service_time import ServiceTime
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.driver import Driver, requests
from bulkseed.engine.lane import Lane, open_lane
from bulkseed.engine.outage import OutageMonitor
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.errors import ServiceError
from bulkseed.model import Fault, Target
from bulkseed.policy.advice import abort_message
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import GiveUp, Procedure, Step
from bulkseed.wire.quotas import QUOTAS

Item = TypeVar("Item")
A = TypeVar("A")

IN_FLIGHT = 48
"""Questions at a time: 450 reads a second need as many when a round trip takes 100 ms."""

_ASK: Step[Any] = Step("ask")


class Questioner:
    """Asks questions through a lane, from any number of tasks. A `stop` ends what is being asked.

    `answered`: how many questions had an answer.
    """

    def __init__(self, lane: Lane, policy: RetryPolicy | None = None, stop: Stop | None = None) -> None:
        self._lane = lane
        self._policy = policy or RetryPolicy()
        self._client = lane.client()
        self._stop = stop or Stop()
        self.answered = 0
        self._outage = OutageMonitor(lane.clock.awake, self._stop, Stats(), patience=5 * self._policy.budget)

    @property
    def time(self) -> ServiceTime:
        """What replies have told about the service's clock."""
        return self._lane.time

    async def ask(self, operation: Operation[Item, A], item: Item) -> A | Fault:
        """Return the answer to `operation` for `item`, or the service's refusal.

        Raises:
            ServiceError: it does not answer, or refuses every call.
            CredentialsError: the credentials have expired and no new ones can be had.
        """
        retry = RetryState(self._policy, None, self._lane.sending, self._outage.working_time, self._lane.rng)
        driver = Driver(requests(self._client, {_ASK: operation}), self._outage, self._stop)
        answer: A | Fault | None = await driver.drive(WorkItem(item), _ask(retry), retry)
        if answer is None:
            raise ServiceError(self._stop.reason or "stopped")
        self.answered += 1
        return answer


def _ask(retry: RetryState) -> Procedure[Any]:
    try:
        return (yield from retry.ask(_ASK))
    except GiveUp as given_up:
        if given_up.abort or isinstance(given_up.answer, Fault):
            raise ServiceError(abort_message(given_up.answer)) from None
        raise ServiceError(f"the service does not answer: {given_up.answer.reason}") from None


@asynccontextmanager
async def open_questioner(target: Target, policy: RetryPolicy | None = None) -> AsyncIterator[Questioner]:
    """Give a questioner with the quotas of the service.

    Raises:
        CredentialsError: there are no credentials.
        UsageError: the target's endpoint makes no sense.
    """
    async with open_lane(target, QUOTAS, connections=IN_FLIGHT) as lane:
        yield Questioner(lane, policy)
