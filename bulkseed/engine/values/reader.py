"""Reads the values of definitions that come from a source, each when its turn to be sent has come.

The source has a pace and outages of its own, so it has its own driver: that it answers says nothing of the
service, and the time that it takes costs nothing of the budget for the service.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bulkseed.client.work_item import WorkItem
from bulkseed.engine.driver import Driver
from bulkseed.engine.lane import Lane
from bulkseed.engine.options import RunHooks, SourceRead
from bulkseed.engine.outage import OutageMonitor
from bulkseed.model import Fault, NoReply, Outcome, ReadValue, SecretDefinition, UnreadValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.moments import Sending
from bulkseed.policy.read_source import read_source
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Aborted, Ending, Step
from bulkseed.policy.verdicts import Verdict, classify


class ValueReader:
    """Puts values into definitions that lack theirs."""

    def __init__(self, lane: Lane, hooks: RunHooks, outage: OutageMonitor, policy: RetryPolicy) -> None:
        self._lane = lane
        self._stop = hooks.stop
        self._stats = hooks.stats
        self._observers = hooks.source_observers
        self._outage = outage
        self._policy = policy
        self._driver = Driver(self._request, outage, hooks.stop)

    async def read(
        self, definition: SecretDefinition, doubt_since: Sending | None
    ) -> Ending | Aborted | None:
        """Read the value of `definition` into it, or return how it ended without one."""
        retry = RetryState(
            self._policy, doubt_since, self._lane.sending, self._outage.working_time, self._lane.rng
        )
        end = await self._driver.drive(WorkItem(definition), read_source(retry), retry)
        if isinstance(end, ReadValue):
            definition.data, definition.data_type = end.data, end.data_type
            return None
        return end or Ending(Outcome.PENDING, doubt=retry.in_doubt)

    async def _request(
        self, _step: Step[Any], work: WorkItem[SecretDefinition]
    ) -> ReadValue | Fault | NoReply | None:
        """Ask the source once; a stop does not wait for it, as nothing hangs on its answer."""
        unread = work.item.data
        assert isinstance(unread, UnreadValue)  # noqa: S101  # the worker looked
        self._stats.source_reads += 1
        clock = self._lane.clock
        began_at, began = clock.time(), clock.monotonic()
        answer = await self._stop.wait_for(asyncio.ensure_future(unread.read()))
        if answer is not None:
            code = answer.code if isinstance(answer, Fault) else None
            told = SourceRead(began_at, clock.monotonic() - began, not isinstance(answer, NoReply), code)
            for tell in self._observers:
                tell(told)
        if isinstance(answer, Fault):
            self._stats.source_throttled += classify(answer) is Verdict.THROTTLED
        return answer
