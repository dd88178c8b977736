"""What all runs have in common: their beginning and end on record, and an orderly end after any error."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio

from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError, LedgerError
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.quotas import hold_back
from bulkseed.wire.message import QuotaGroup

T = TypeVar("T")


class Run:
    """One run's life; a stop closes its `lanes`, an error stops it.

    Attributes:
        id: its name in the ledger.
        error: the first that was met, raised when the run has ended.
    """

    def __init__(
        self, recorder: Recorder, lanes: Mapping[QuotaGroup, Pacer], stop: Stop, clock: Clock
    ) -> None:
        self.id = os.urandom(8).hex()
        self.error: Exception | None = None
        self._recorder = recorder
        self._lanes = lanes
        self._stop = stop
        self._clock = clock

    async def live(
        self,
        begin: Callable[[dict[QuotaGroup, float], float], float | None],
        work: Callable[[], Awaitable[None]],
        end: Callable[[float, float], T],
    ) -> T:
        """Do `work` between `begin` and `end`, both in the ledger's thread; return what `end` returns.

        `begin` is given the lanes' limits and the time, and returns until when the run before may have sent.
        `end` is called in any case, once all answers are on record, with the run's length in seconds and the
        time.

        Raises:
            LedgerError: it could not be written.
            Exception: what `guard` caught.
        """
        started = self._clock.monotonic()
        now = self._clock.stamp(started)
        limits = {lane: pacer.limit_qps for lane, pacer in self._lanes.items()}
        hold_back(self._lanes, await self._recorder.do(lambda: begin(limits, now)), self._clock)
        try:
            async with anyio.create_task_group() as background:
                background.start_soon(self._close_lanes_on_stop)
                background.start_soon(self.guard, self._recorder.flush_regularly)
                await work()
                background.cancel_scope.cancel()
        finally:
            ended_at = self._clock.monotonic()
            try:
                self._recorder.finish(lambda: None)  # whatever `end` makes of it
                ended = self._recorder.finish(lambda: end(ended_at - started, self._clock.stamp(ended_at)))
            except LedgerError as error:
                self._fail(error)
        if self.error is not None:
            raise self.error
        return ended

    async def guard(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do `work`; what it raises stops the run in order."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # also what a caller's callback or iterable raises
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.error = self.error or error
        if isinstance(error, BulkseedError):
            self._stop.request(str(error), error.exit_code)
        else:  # its text may hold anything, a value too
            self._stop.request(f"unexpected {type(error).__name__}", 1)

    async def _close_lanes_on_stop(self) -> None:
        await self._stop.event.wait()
        for lane in self._lanes.values():
            lane.close()
