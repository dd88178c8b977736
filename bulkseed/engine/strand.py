"""One thing after another, in the threads of a pool that many strands share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from bulkseed.client.daemon_executor import run_into

P = ParamSpec("P")
T = TypeVar("T")


class Strand(Executor):
    """Runs functions one after another, as `ThreadPoolExecutor(1)` does, but in no thread of its own.

    Many ledgers then need few threads. `shutdown` leaves the pool alone.
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._lock = Lock()
        self._running = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `function` after all that were submitted before."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, lambda: function(*args, **kwargs)))
            start, self._running = not self._running, True
        if start:
            self._pool.submit(self._run_next)
        return future

    def _run_next(self) -> None:
        """Run one function, then give the thread back, so that no strand waits for the whole of another."""
        with self._lock:
            future, function = self._waiting.popleft()
        run_into(future, function)
        with self._lock:
            self._running = bool(self._waiting)
            more = self._running
        if more:
            self._pool.submit(self._run_next)
