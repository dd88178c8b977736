"""Answers on their way to the ledger: taken without a suspension point, written in batches off the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

import anyio

from bulkseed.client.operations import Operation
from bulkseed.client.work_item import WorkItem
from bulkseed.ledger import AttemptRecord, Creation, LedgerPort, Settlement
from bulkseed.model import Created, Fault

FLUSH_EVERY = 0.75
"""Seconds. An answer waits for so long and a write at most; it must be on disk within a second.

Counted from the last commit, whatever that was for: at a slow pace a claim of the next block comes first.
"""

_SOON = 0.002
"""Seconds: timers are no finer."""

T = TypeVar("T")


def attempt_record(
    work: WorkItem[Any], operation: Operation[Any, Any], status: int | None, answer: object
) -> AttemptRecord:
    """Return the record of an attempt that has just ended."""
    code = answer.code if isinstance(answer, Fault) else None
    return AttemptRecord(work.row_id, operation.group, work.sent_at, work.latency, status, code)


def _unknown() -> None:
    return None


class Recorder:
    """Collects ends and attempts, and has the ledger to itself during a run.

    The executor runs one thing after another: the ledger is never used twice at a time. `ahead` tells by how
    many seconds the service's clock is ahead of ours, if that is known; the first that is goes on record.
    """

    def __init__(
        self, ledger: LedgerPort, executor: Executor, ahead: Callable[[], float | None] = _unknown
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._ahead = ahead
        self._clock_noted = False
        # The event loop appends; the ledger's thread takes from the front, once it has written.
        self._creations: list[Creation] = []
        self._settlements: list[Settlement] = []
        self._attempts: list[AttemptRecord] = []
        self._now = time.monotonic
        self._taken_at = 0.0  # when a commit last took what was there
        # What a worker calls at an end. One of them is called for every secret, so it is no more than this.
        self.created = self._creations.append
        self.settled = self._settlements.append

    def attempted(
        self, work: WorkItem[Any], operation: Operation[Any, Any], status: int | None, answer: object
    ) -> None:
        """Take an attempt; an observer of a `Client`. One that created is a part of its `Creation`."""
        if not isinstance(answer, Created):
            self._attempts.append(attempt_record(work, operation, status, answer))

    async def in_ledger_thread(self, work: Callable[[], T]) -> T:
        """Run `work` in the ledger's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def commit(self, work: Callable[[], T]) -> T:
        """Write what has been collected and do `work`, in one commit in the ledger's thread.

        Raises:
            LedgerError: it could not be written; what was collected is kept for another try.
        """
        return await self.in_ledger_thread(lambda: self.commit_here(work))

    async def to_the_end(self, work: Callable[[], T]) -> T:
        """Run `work` in the ledger's thread; a cancellation meanwhile takes effect when it is done."""
        running = asyncio.get_running_loop().run_in_executor(self._executor, work)
        cancellation: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while not running.done():
                try:
                    await asyncio.wait([running])
                except asyncio.CancelledError as error:
                    cancellation = error
        result = running.result()
        if cancellation is not None:
            raise cancellation
        return result

    def commit_here(self, work: Callable[[], T]) -> T:
        """Do as `commit` does. Call it in the ledger's thread."""
        now = self._now()
        creations, settlements, attempts = self._creations[:], self._settlements[:], self._attempts[:]
        ahead = None if self._clock_noted else self._ahead()
        with self._ledger.transaction():
            if ahead is not None:
                self._ledger.note_clock(ahead)
            if creations or settlements or attempts:
                self._ledger.record(settlements, attempts, creations)
            result = work()
        self._clock_noted = self._clock_noted or ahead is not None
        del self._creations[: len(creations)]
        del self._settlements[: len(settlements)]
        del self._attempts[: len(attempts)]
        self._taken_at = now
        return result

    async def flush(self) -> None:
        """Write what has been collected."""
        await self.commit(lambda: None)

    async def flush_regularly(self) -> None:
        """Write what nothing else has written within `FLUSH_EVERY` seconds, until cancelled."""
        self._now = now = asyncio.get_running_loop().time
        self._taken_at = now()
        while True:
            wait = self._taken_at + FLUSH_EVERY - now()
            if wait > _SOON:
                await asyncio.sleep(wait)
            elif self._creations or self._settlements or self._attempts:
                await self.flush()
            else:
                self._taken_at = now()
