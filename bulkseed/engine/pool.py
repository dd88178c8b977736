"""Workers: each pulls an item, processes it, and pulls the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, Protocol, TypeVar

import anyio

from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Spawn = Callable[[Callable[[], Awaitable[object]]], object]
"""Starts a task."""


class Supply(Protocol[T_co]):
    """Gives items to workers."""

    def take(self) -> T_co | None:
        """Return the next item if one is ready; most are, and so need no turn of the loop."""
        ...

    async def next(self) -> T_co | None:
        """Return the next item, or None when there are no more."""
        ...


class WorkerPool(Generic[T]):
    """At most `most` workers. A worker with an item starts another if `helps` says that it can help."""

    def __init__(
        self,
        supply: Supply[T],
        process: Callable[[T], Awaitable[object]],
        spawn: Spawn,
        stop: Stop,
        *,
        most: int,
        helps: Callable[[], bool] = lambda: True,
    ) -> None:
        self._supply = supply
        self._process = process
        self._spawn = spawn
        self._stop = stop
        self._left = most
        self._helps = helps

    def grow(self) -> None:
        """Start a worker."""
        self._left -= 1
        self._spawn(self._work)

    async def _work(self) -> None:
        supply = self._supply
        while not self._stop.requested:
            item = supply.take() or await supply.next()
            if item is None:
                return
            if self._left > 0 and self._helps():
                self.grow()
            await self._process(item)
            del item  # and its value, before the wait for the next


class Items(Generic[T]):
    """The items of an iterable, in the hands of whoever asks first."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)

    def take(self) -> T | None:
        """Return the next item."""
        return next(self._items, None)

    async def next(self) -> T | None:
        """Return None: what `take` does not give is not there."""
        return None


async def process_all(
    items: Iterable[T], process: Callable[[T], Awaitable[object]], workers: int, stop: Stop | None = None
) -> None:
    """Process every item with so many workers.

    Raises:
        BulkseedError: the first that a worker met; the others were cancelled.
    """
    failures: list[BulkseedError] = []

    async def guard(work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except BulkseedError as failure:
            failures.append(failure)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        pool = WorkerPool(
            Items(items), process, lambda work: group.start_soon(guard, work), stop or Stop(), most=workers
        )
        pool.grow()
    if failures:
        raise failures[0]
