"""What all runs have in common: their beginning and end on record, and an orderly end after any error."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import anyio

from bulkseed.engine.lane import Lane
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError, LedgerError
from bulkseed.model import QuotaGroup
from bulkseed.pacing.ceilings import hold_back

T = TypeVar("T")

Begin = Callable[[str, dict[QuotaGroup, float], float], float | None]
"""Begins a run in the ledger's thread, given its id, its limits and the time.

Returns until when the run before may have sent, in epoch seconds; None if there was none.
"""
End = Callable[[str, float, float], T]
"""Ends a run in the ledger's thread, given its id, its length in seconds and the time."""


class RunLifecycle(Generic[T]):
    """A run that is going on. An error stops it.

    Attributes:
        id: its name in the ledger.
        error: the first that was met, raised when the run has ended.
        result: what its end returned.
    """

    def __init__(self, stop: Stop) -> None:
        self.id = os.urandom(8).hex()
        self.error: Exception | None = None
        self.result: T
        self._stop = stop

    async def guard(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do `work`; what it raises stops the run in order."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # also what a caller's callback or iterable raises
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Stop the run because of an error."""
        self.error = self.error or error
        if isinstance(error, BulkseedError):
            self._stop.request(str(error), error.exit_code)
        else:  # its text may hold anything, a value too
            self._stop.request(f"unexpected {type(error).__name__}", 1)


@asynccontextmanager
async def run_lifecycle(
    lane: Lane, recorder: Recorder, stop: Stop, begin: Begin, end: End[T]
) -> AsyncIterator[RunLifecycle[T]]:
    """Begin a run, and end it when the body has ended, in any case; a stop closes its lane.

    `end` is called once all answers are on record.

    Raises:
        LedgerError: it could not be written.
        Exception: what `guard` caught.
    """
    run = RunLifecycle[T](stop)
    clock = lane.clock
    started = clock.monotonic()
    now = clock.stamp(started)
    limits = {group: pacer.limit_qps for group, pacer in lane.pacers.items()}
    sent_until = await recorder.in_ledger_thread(lambda: begin(run.id, limits, now))
    hold_back(lane.pacers, sent_until, clock)
    try:
        async with anyio.create_task_group() as background:
            background.start_soon(_close_on_stop, lane, stop)
            background.start_soon(run.guard, recorder.flush_regularly)
            yield run
            background.cancel_scope.cancel()
    finally:
        ended_at = clock.monotonic()
        elapsed, now = ended_at - started, clock.stamp(ended_at)

        def finish() -> T:
            recorder.commit_here(lambda: None)  # whatever `end` makes of it
            return recorder.commit_here(lambda: end(run.id, elapsed, now))

        try:
            run.result = await recorder.to_the_end(finish)
        except LedgerError as error:
            run.fail(error)
    if run.error is not None:
        raise run.error


async def _close_on_stop(lane: Lane, stop: Stop) -> None:
    await stop.event.wait()
    lane.close()
