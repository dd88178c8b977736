"""The source's own limit: every request of every thread takes its turn before it is sent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio.from_thread

from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.permit import Permit


class Turn:
    """One request's turn. Say how it was answered before it ends."""

    __slots__ = ("retry_after", "throttled")

    def __init__(self) -> None:
        self.throttled = False
        self.retry_after: float | None = None

    def answered(self, *, throttled: bool, retry_after: float | None = None) -> None:
        """Say whether the source refused the pace; `retry_after` is in seconds."""
        self.throttled = throttled
        self.retry_after = retry_after


class SourcePacer:
    """Holds `rate` requests a second in any one-second window; 0: no ceiling until the source throttles.

    `turn` is called from the worker threads of the loop that the pacer belongs to, `turn_in_loop` in it.
    """

    def __init__(self, rate: float) -> None:
        self._pacer = Pacer(rate)

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self._pacer.sent

    @property
    def worst_second(self) -> int:
        """The most requests in any second."""
        return self._pacer.worst_second

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait for a turn; the request is sent and answered inside."""
        permit = anyio.from_thread.run(self._begin)
        turn, began = Turn(), time.monotonic()
        try:
            yield turn
        finally:
            anyio.from_thread.run_sync(self._end, permit, turn, time.monotonic() - began)

    @asynccontextmanager
    async def turn_in_loop(self) -> AsyncIterator[Turn]:
        """Do as `turn` does, without a thread."""
        permit = await self._begin()
        turn, began = Turn(), time.monotonic()
        try:
            yield turn
        finally:
            self._end(permit, turn, time.monotonic() - began)

    async def _begin(self) -> Permit:
        permit = await self._pacer.acquire()
        assert permit is not None  # noqa: S101  # this pacer is never closed
        self._pacer.wrote(permit)
        return permit

    def _end(self, permit: Permit, turn: Turn, latency: float) -> None:
        self._pacer.ended(permit)
        self._pacer.answered(latency, turn.throttled, turn.retry_after)
