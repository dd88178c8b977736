"""A thread for what may block for ever, such as a read from a pipe: left behind, never waited for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Job = tuple[Future[Any], Callable[[], Any]]


class DaemonExecutor(Executor):
    """Runs functions one after another in one thread, as `ThreadPoolExecutor(1)` does.

    But neither `shutdown` nor the end of the process waits for that thread.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        Thread(target=_work, args=(self._jobs,), name="bulkseed-reader", daemon=True).start()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `function` after all that were submitted before."""
        future: Future[T] = Future()
        self._jobs.put((future, lambda: function(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  # it never waits
        """End the thread once it has nothing more to do."""
        self._jobs.put(None)


def _work(jobs: SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        run_into(*job)
        del job  # and the values that its result holds, before the wait for the next


def run_into(future: Future[Any], function: Callable[[], Any]) -> None:
    """Run `function`, unless its future was cancelled, and hand over what it returns or raises."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001  # an executor hands over whatever was raised
        future.set_exception(error)
    else:
        future.set_result(result)
