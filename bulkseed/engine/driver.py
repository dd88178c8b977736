"""Walks a journey: attempts its steps, waits when it says so, and holds back while the service is away."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from typing import TypeVar

from aiolimiter import AsyncLimiter

from bulkseed.client.operations import STEPS, Operation
from bulkseed.engine.client import Client
from bulkseed.engine.outage import Health
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.work_item import WorkItem
from bulkseed.model import Fault
from bulkseed.policy.advice import advice
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Aborted, Answer, Disown, Step, Wait

STOPPED_EARLY = 3
"""The exit code of a run that met a wall."""

T = TypeVar("T")


class Driver:
    """What the journeys of a run share.

    `steps` says how each step travels. `retries` spreads repeated attempts where no ceiling does.
    """

    def __init__(
        self,
        client: Client,
        health: Health,
        stop: Stop,
        stats: Stats,
        steps: Mapping[Step, Operation] = STEPS,
        retries: AsyncLimiter | None = None,
    ) -> None:
        self._client = client
        self._health = health
        self._stop = stop
        self._stats = stats
        self._steps = steps
        self._retries = retries

    async def walk(
        self,
        errand: WorkItem,
        steps: Generator[Step | Wait | Disown, Answer | None, T],
        retry_state: RetryState,
        made: Answer | None = None,
    ) -> T | None:
        """Return how the journey ended; None when the run is stopping before that.

        `made` answers the first step if that was attempted already.

        Raises:
            CredentialsError: the credentials have expired and no new ones can be had.
            LedgerError: it could not be written.
        """
        answer: Answer | None = None
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, Wait):
                    answer = None
                    if not (await self._stop.sleep(step.seconds) and await self._take_turn()):
                        return None
                elif isinstance(step, Disown):
                    answer = None
                    await self._client.disown(errand)
                else:
                    answer = await self.attempt(errand, step, retry_state, made)
                    made = None
                    if answer is None:
                        return None
        except StopIteration as ended:
            end: T = ended.value
            return end

    async def attempt(
        self, errand: WorkItem, step: Step, retry_state: RetryState, made: Answer | None = None
    ) -> Answer | None:
        """Attempt a step; during an outage again and again, without costing the definition an attempt.

        But not a deletion: before another one the journey looks what there is to delete. `made` is the answer
        of an attempt that was made already.
        """
        while True:
            answer, made = made or await self._attempt_now(errand, step), None
            if answer is None:
                return None
            reason = self._health.answered(answer)
            if reason is not None:
                self._stop.request(reason, STOPPED_EARLY)
            self._stats.waiting_for_service = self._health.outage
            if not self._health.outage or step is Step.DELETE:
                return answer
            retry_state.saw(step, answer)

    async def _attempt_now(self, errand: WorkItem, step: Step) -> Answer | None:
        if self._health.outage and not (await self._health.hold(self._stop) and await self._take_turn()):
            return None
        return await self._client.attempt(errand, self._steps[step])

    async def _take_turn(self) -> bool:
        """Wait for leave to repeat an attempt. False: the run is stopping."""
        if self._retries is not None:
            await self._stop.wait_for(asyncio.ensure_future(self._retries.acquire()))
        return not self._stop.requested


def wall(end: Aborted) -> str:
    """Say what every later call would meet, and what to do about it."""
    if isinstance(end.fault, Fault):
        told = advice(end.fault.code)
        return f"{end.fault.code}: {told.meaning}; {told.action}"
    return end.fault.reason
