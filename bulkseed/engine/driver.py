"""Drives a procedure: makes its requests, waits when it says so, and holds back while the service is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from bulkseed.client.client import Client
from bulkseed.client.operations import OPERATIONS, Operation
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.outage import OutageMonitor
from bulkseed.engine.stop import Stop
from bulkseed.pacing.retry_bucket import RetryBucket
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import LedgerStep, Procedure, Step, Wait

T = TypeVar("T")

MakeRequest = Callable[[Step[Any], WorkItem[Any]], Awaitable[object]]
"""Makes a step's request for an item, once; None: the run is stopping, and nothing was sent."""

OnDisk = Callable[[WorkItem[Any], LedgerStep], Awaitable[object]]
"""Puts what a procedure asks for on disk."""


def requests(client: Client, operations: Mapping[Step[Any], Operation[Any, Any]] = OPERATIONS) -> MakeRequest:
    """Return what makes requests to the service, each step by its operation."""
    return lambda step, work: client.call(operations[step], work)


async def _no_ledger(_work: WorkItem[Any], step: LedgerStep) -> None:
    raise TypeError(f"there is no ledger for {step}")


class Driver:
    """Drives the procedures of a run; `request` makes the requests that they yield.

    `retries` spreads repeated attempts where no ceiling does.
    """

    def __init__(
        self,
        request: MakeRequest,
        outage: OutageMonitor,
        stop: Stop,
        on_disk: OnDisk = _no_ledger,
        retries: RetryBucket | None = None,
    ) -> None:
        self._request = request
        self._outage = outage
        self._stop = stop
        self._on_disk = on_disk
        self._retries = retries

    async def drive(
        self, work: WorkItem[Any], procedure: Procedure[T], retry: RetryState, first: object = None
    ) -> T | None:
        """Return how the procedure ended; None when the run is stopping before that.

        `first` answers the first step if that was attempted already.

        Raises:
            CredentialsError: the credentials have expired and no new ones can be had.
            LedgerError: it could not be written.
        """
        answer: object = None
        try:
            while True:
                step = procedure.send(answer)
                answer = None
                if isinstance(step, Wait):
                    if not (await self._stop.sleep(step.seconds) and await self._take_turn()):
                        return None
                elif isinstance(step, LedgerStep):
                    await self._on_disk(work, step)
                else:
                    answer = await self.attempt(work, step, retry, first)
                    first = None
                    if answer is None:
                        return None
        except StopIteration as ended:
            end: T = ended.value
            return end

    async def attempt(
        self, work: WorkItem[Any], step: Step[Any], retry: RetryState, first: object = None
    ) -> object:
        """Make a request; during an outage again and again, without costing the item an attempt.

        But not one that must not be repeated without another look. `first` is the answer of an attempt that
        was made already. None: the run is stopping.
        """
        while True:
            answer, first = first or await self._attempt_now(work, step), None
            if answer is None:
                return None
            self._outage.answered(answer)
            if not self._outage.outage or not step.repeatable:
                return answer
            retry.saw(step, answer)

    async def _attempt_now(self, work: WorkItem[Any], step: Step[Any]) -> object:
        if self._outage.outage and not (await self._outage.hold() and await self._take_turn()):
            return None
        return await self._request(step, work)

    async def _take_turn(self) -> bool:
        """Wait until an attempt may be repeated. False: the run is stopping."""
        if self._retries is not None:
            await self._stop.wait_for(asyncio.ensure_future(self._retries.acquire()))
        return not self._stop.requested
