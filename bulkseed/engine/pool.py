"""The workers of a run."""

from __future__ import annotations

from anyio.abc import TaskGroup

from bulkseed.engine.intake import Intake
from bulkseed.engine.lifecycle import Run
from bulkseed.engine.stop import Stop
from bulkseed.engine.worker import Worker
from bulkseed.pacing.pacer import Pacer


class WorkerPool:
    """The workers of a run."""

    def __init__(
        self,
        group: TaskGroup,
        run: Run,
        intake: Intake,
        carrier: Worker,
        lane: Pacer,
        stop: Stop,
        most: int,
    ) -> None:
        self._group = group
        self._run = run
        self._intake = intake
        self._carrier = carrier
        self._lane = lane
        self._stop = stop
        self._left = most

    def grow(self) -> None:
        """Start a worker, which starts another as long as one more can help.

        By Little's law rate times latency workers are busy. While nobody waits for a token, tokens go unused.
        """
        self._left -= 1
        self._group.start_soon(self._run.guard, self._work)

    async def _work(self) -> None:
        intake = self._intake
        while not self._stop.requested:
            claim = intake.take() or await intake.next()
            if claim is None:
                return
            if self._left > 0 and self._lane.waiting == 0:
                self.grow()
            await self._carrier.carry(claim)
            del claim  # and its value, before the wait for the next
