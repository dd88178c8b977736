"""Virtual time: a day of waiting passes in moments, and every run takes the same turns.

`run` drives a coroutine on an asyncio loop whose clock stands still while anything can proceed and jumps to
the next timer when nothing can. asyncio and anyio (sleeps, scopes, task groups, threads) work unchanged;
sockets do not exist here.

Time also moves 1 µs per turn of the loop: code that re-arms a timer at `now + 1e-17` (aiolimiter does, from
float residue) would otherwise never see it expire. Functions sent to an executor run at once, in place;
anyio's worker threads are real, and time waits for them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple

import anyio.to_thread

START = 1_000.0
TURN = 1e-6
HORIZON = 7 * 86_400.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class StuckError(AssertionError):
    """Nothing is ready, nothing is scheduled, or the horizon is passed: the coroutine would never end."""


def now() -> float:
    """Return the running loop's time in seconds: pass it wherever a monotonic clock is asked for."""
    return asyncio.get_running_loop().time()


def run(function: Callable[[*Ts], Coroutine[Any, Any, T]], *args: *Ts, horizon: float = HORIZON) -> T:
    """Run `function(*args)` under virtual time and return its result.

    Raises what the coroutine raises, what a callback raised that nobody awaits, and `StuckError` on deadlock
    or after `horizon` virtual seconds.
    """
    loop = VirtualClockLoop(horizon)
    try:
        try:
            return loop.run_until_complete(_main(loop, function(*args)))
        finally:
            _cancel_all(loop)
            if loop.failures:
                raise loop.failures[0]
    finally:
        loop.close()


async def _main(loop: VirtualClockLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    loop.threads = anyio.to_thread.current_default_thread_limiter()
    return await coroutine


def _cancel_all(loop: VirtualClockLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.run_until_complete(loop.shutdown_asyncgens())


class VirtualClockLoop(asyncio.BaseEventLoop):
    """asyncio's own loop; only its clock, its poll for input and its executor are replaced."""

    threads: anyio.CapacityLimiter

    def __init__(self, horizon: float) -> None:
        super().__init__()
        self._selector = self  # `BaseEventLoop` calls `_selector.select(timeout)` between turns
        self._now = START
        self._end = START + horizon
        self._woken = threading.Event()
        self.thread_time = 0.0
        self.failures: list[BaseException] = []
        self.set_exception_handler(self._remember)

    def time(self) -> float:
        """Return the virtual monotonic time in seconds."""
        return self._now

    def select(self, timeout: float | None) -> tuple[()]:
        """Let time pass instead of waiting: `timeout` is None when no timer is set, 0 when work is ready."""
        if timeout != 0 and self.threads.borrowed_tokens:
            self._woken.wait()
            timeout = 0
        self._woken.clear()
        if timeout is None:
            raise StuckError(f"deadlock: nothing is ready and no timer is set; {self._waiting()}")
        self._now += timeout + TURN
        if self._now > self._end:
            self._end = math.inf  # the tasks may still clean up
            raise StuckError(f"still running after {self._now - START:g} virtual seconds; {self._waiting()}")
        return ()

    def run_in_executor(
        self, _executor: concurrent.futures.Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` now, in this thread: virtual time never races a worker thread.

        Its result is known `thread_time` seconds later: others go on meanwhile.
        """
        future: asyncio.Future[T] = self.create_future()

        def tell(resolve: Callable[[Any], None], what: Any) -> None:
            if not future.done():
                resolve(what)

        try:
            self.call_later(self.thread_time, tell, future.set_result, func(*args))
        except Exception as error:  # noqa: BLE001  # an executor hands over whatever the function raised
            self.call_later(self.thread_time, tell, future.set_exception, error)
        return future

    def _waiting(self) -> str:
        return "; ".join(sorted(repr(task) for task in asyncio.all_tasks(self))) or "no task left"

    def _remember(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(context.get("exception") or AssertionError(context["message"]))

    def _process_events(self, _events: tuple[()]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._woken.set()
