"""The thread in which sources keep their pace: it has an event loop of its own, which no run waits for.

Blocking calls of sources run in a few threads beside it. So nothing of a source can block the loop of a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

import anyio.from_thread

from bulkseed.transport.event_loop import loop_options

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SourceLoop:
    """A running loop. Use it in a `with`: what is under way at its end is cancelled."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(
            anyio.from_thread.start_blocking_portal(backend_options=loop_options())
        )
        self._loop = self._portal.call(asyncio.get_running_loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._portal.stop, True)
        self._stack.close()

    def call(self, function: Callable[[*Ts], Any], *arguments: *Ts) -> Any:
        """Call a function or a coroutine function there, and wait for what it returns."""
        return self._portal.call(function, *arguments)

    async def wait_for(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Run `work` there and wait for it in another loop; None: the loop has ended, or does so."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            return None
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return None
