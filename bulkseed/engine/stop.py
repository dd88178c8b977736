"""How a run is told to end early: in-flight requests settle, nothing new is sent."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")

STOPPED_EARLY = 3
"""The exit code of a run that stopped because it made no sense to go on."""


class Stop:
    """Ask a run to stop. The first reason counts.

    `exit_code` is that of the command: 130 interrupted, 3 going on makes no sense, else that of an error.

    Create it inside the event loop that runs `bulkseed.seed`.
    """

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.requested = False  # as the event says, for those who ask often
        self.reason: str | None = None
        self.exit_code = 0

    def request(self, reason: str, exit_code: int = 130) -> None:
        """Stop the run, saying why."""
        if self.reason is None:
            self.reason = reason
            self.exit_code = exit_code
        self.requested = True
        self.event.set()

    async def sleep(self, seconds: float) -> bool:
        """Sleep, but not past a stop; return False if the run is stopping."""
        if not self.event.is_set():
            try:
                await asyncio.wait_for(self.event.wait(), seconds)
            except TimeoutError:
                return True
        return False

    async def wait_for(self, work: asyncio.Future[T]) -> T | None:
        """Return what `work` gives; None if a stop comes first, which cancels it."""
        stopping = asyncio.ensure_future(self.event.wait())
        try:
            either: set[asyncio.Future[Any]] = {work, stopping}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            stopping.cancel()
            work.cancel()
