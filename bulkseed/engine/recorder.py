"""Answers on their way to the ledger: taken without a suspension point, written in batches off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from bulkseed.ledger import AttemptRecord, Creation, Ledger, Settlement

FLUSH_EVERY = 0.25
"""Seconds. An answer waits for twice as long and a write at most; it must be on disk within a second."""

T = TypeVar("T")


class Recorder:
    """Collects settlements and attempts; every other use of the ledger during a run goes through `do`.

    The executor has one thread, so the ledger is never used twice at a time.
    """

    def __init__(self, ledger: Ledger, executor: Executor) -> None:
        self._ledger = ledger
        self._executor = executor
        # The event loop appends; the ledger's thread takes from the front, once it has written.
        self._creations: list[Creation] = []
        self._settlements: list[Settlement] = []
        self._attempts: list[AttemptRecord] = []
        self.created = self._creations.append
        self._writes = 0

    def settled(self, settlement: Settlement) -> None:
        """Take a definition's end; like `created`, no await, so a cancelled run cannot lose it."""
        self._settlements.append(settlement)

    def attempted(self, attempt: AttemptRecord) -> None:
        """Take an attempt."""
        self._attempts.append(attempt)

    async def do(self, work: Callable[[], T]) -> T:
        """Run `work` in the ledger's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def disown(self, row_id: int) -> None:
        """Put on disk that a secret is not ours."""
        await self.do(lambda: self.commit_with(lambda: self._ledger.disown(row_id)))

    def commit_with(self, work: Callable[[], T]) -> T:
        """Write what has been collected and do `work`, in one commit. Call it in the ledger's thread.

        Raises:
            LedgerError: it could not be written; what was collected is kept for another try.
        """
        self._writes += 1
        creations, settlements, attempts = self._creations[:], self._settlements[:], self._attempts[:]
        with self._ledger.transaction():
            if creations or settlements or attempts:
                self._ledger.record(settlements, attempts, creations)
            result = work()
        del self._creations[: len(creations)]
        del self._settlements[: len(settlements)]
        del self._attempts[: len(attempts)]
        return result

    def finish(self, work: Callable[[], T]) -> T:
        """Write what has been collected and do `work`; blocks, as a run that is being cancelled cannot await.

        Raises:
            LedgerError: it could not be written.
        """
        return self._executor.submit(lambda: self.commit_with(work)).result()

    async def flush(self) -> None:
        """Write what has been collected."""
        await self.do(lambda: self.commit_with(lambda: None))

    async def flush_regularly(self) -> None:
        """Write whenever nothing else has written for a quarter of a second, until cancelled."""
        while True:
            writes = self._writes
            await asyncio.sleep(FLUSH_EVERY)
            if self._writes == writes and (self._creations or self._settlements or self._attempts):
                await self.flush()
