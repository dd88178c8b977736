"""A worker's side: the ordinary runs of its targets, in one event loop of their own thread.

Rules that live here: nothing is raised to whoever runs us, as an error's text would travel through the
cluster; what is wrong is told to the coordinator, in our words.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bulkseed.cluster.channel import GATHER, GATHER_SOON, PAUSE, Channel, CutOffError
from bulkseed.cluster.lease import DRAINED, LAPSED, Lease
from bulkseed.cluster.progress import failure_to_json, progress_to_json
from bulkseed.cluster.remote_ledger import Operations, RemoteLedger, RemoteRollbacks
from bulkseed.cluster.task import RunWork, Task
from bulkseed.engine.options import RunHooks
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import STOPPED_EARLY, Stop
from bulkseed.errors import BulkseedError, LedgerError
from bulkseed.jobs.rollback import LedgerRollback
from bulkseed.manifest.selection import Selection
from bulkseed.pacing.clock import Clock
from bulkseed.sources.named import NamedValues
from bulkseed.targets.apply import apply_to_one, raise_file_limit, resolve
from bulkseed.targets.manifests import Manifests, RoutedInputs
from bulkseed.targets.rollback import roll_back_one
from bulkseed.targets.sending_right import SendingRight
from bulkseed.targets.verify import verify_one

RENEWALS = 6
"""A lease is renewed so many times before it would end; the first also measure the coordinator's clock."""

WAITING_THREADS = 64
"""Of all targets here: each call of a ledger holds one until the coordinator has answered."""


class CoordinatorLink(NamedTuple):
    """A connection to the coordinator: `send` carries a message there, `work` asks what is to be done."""

    send: Callable[[bytes], Awaitable[bytes]]
    work: Callable[[], Awaitable[bytes]]


Connect = Callable[[], AbstractAsyncContextManager[CoordinatorLink]]

MOST_BETWEEN = 1.0
"""Seconds between renewals at most: they carry the progress."""


class _LeasedRun:
    """One target's run at this worker, as the coordinator knows it."""

    def __init__(self, task: Task, channel: Channel) -> None:
        self.stats = Stats()
        self.stop = Stop()
        self.lease = Lease(task.lease)
        self.renewing = False
        self.gather = GATHER  # seconds that a call of the ledger waits for others
        self._unanswered = False  # a call of the ledger, which may have been done
        self._channel = channel
        self._number = 0
        self._loop = asyncio.get_running_loop()
        self._head = {
            "target": task.target,
            "ticket": task.ticket,
            "incarnation": os.urandom(8).hex(),
        }

    def call(self, operations: Operations) -> list[Any]:
        """Have operations done in the ledger; called in the ledger's thread.

        After a call without an answer there is no other: what was in it may be on record, and whoever keeps
        it for another try would record it twice.

        Raises:
            CutOffError: somebody else may have the target by now.
            LedgerError: the ledger could not be written.
        """
        if self._unanswered:
            raise CutOffError("a call before this one had no answer")
        self._number += 1
        asked = self._ask({"number": self._number, "operations": operations}, self.gather)
        try:
            reply = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        except CutOffError:
            self._unanswered = True
            self.lease.end()
            raise
        if "error" in reply["reply"]:
            raise LedgerError(reply["reply"]["error"])
        results: list[Any] = reply["reply"]["results"]
        return results

    async def renew(self) -> None:
        """Renew the lease, and tell how far the run is.

        Raises:
            CutOffError: somebody else has the target by now, or the lease is over.
        """
        if not self.renewing:
            self.renewing = True
            try:
                await self._ask({"number": None, "progress": progress_to_json(self.stats)})
            finally:
                self.renewing = False

    async def tell_failure(self, error: BulkseedError) -> None:
        """Tell what keeps this target from being worked on."""
        await self._ask({"number": None, "failed": failure_to_json(error)})

    async def _ask(self, call: dict[str, Any], gather: float = GATHER) -> dict[str, Any]:
        reply = await self._channel.ask({**self._head, **call}, self.lease, gather)
        if "refused" in reply:
            self.lease.end()
            raise CutOffError(reply["refused"])
        if reply["stop"] is not None:
            self.stop.request(*reply["stop"])
        return reply


class Runner:
    """The targets of one coordinator at this worker.

    `connect` gives, in the runner's loop, the link to the coordinator.
    """

    def __init__(self, connect: Connect, lease: float) -> None:
        self._interval = min(MOST_BETWEEN, lease / RENEWALS)
        self._patience = lease / RENEWALS * 2
        self._runs: dict[str, tuple[_LeasedRun, Future[None]]] = {}
        self._threads = ThreadPoolExecutor(WAITING_THREADS, "bulkseed-ledgers")
        self._work: asyncio.Task[RunWork] | None = None
        self._routed: asyncio.Future[RoutedInputs] | None = None
        self._values: NamedValues | None = None
        self._loop: asyncio.AbstractEventLoop
        self._channel: Channel
        self._link: CoordinatorLink
        self._closing: asyncio.Event
        ready = threading.Event()
        live = partial(self._live, connect, ready.set)

        def run() -> None:
            try:
                asyncio.run(live())
            finally:
                ready.set()  # also where it ends before it has begun: nobody may wait for it then

        threading.Thread(target=run, name="bulkseed-runs", daemon=True).start()
        ready.wait()

    async def _live(self, connect: Connect, ready: Callable[[], None]) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        async with connect() as self._link, asyncio.TaskGroup() as group:
            self._channel = Channel(self._link.send, self._patience)
            background = [group.create_task(self._channel.run()), group.create_task(self._keep_leases(group))]
            ready()
            await self._closing.wait()
            for task in background:
                task.cancel()

    def start(self, task: Task) -> Future[None]:
        """Begin a target's run; the future ends with it, and never fails."""
        return asyncio.run_coroutine_threadsafe(self._serve(task), self._loop)

    def close(self) -> None:
        """End the thread; no run may be going on."""
        routed = self._routed
        if routed is not None and routed.done() and not routed.cancelled() and not routed.exception():
            routed.result().close()
        if self._values is not None:
            self._values.close()
        self._threads.shutdown(wait=False)
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._closing.set)

    async def drain(self, patience: float) -> None:
        """End all runs in order, so that they go on elsewhere at once; from any event loop.

        `patience`: seconds after which what has not ended is left to its lease.
        """
        waiting = []
        for run, ended in list(self._runs.values()):
            self._loop.call_soon_threadsafe(run.stop.request, DRAINED, STOPPED_EARLY)
            waiting.append(asyncio.wrap_future(ended))
        if waiting:
            await asyncio.wait(waiting, timeout=patience)

    async def _keep_leases(self, group: asyncio.TaskGroup) -> None:
        while True:
            await asyncio.sleep(self._interval)
            for run, _ in list(self._runs.values()):
                if run.lease.is_over:
                    run.stop.request(LAPSED, STOPPED_EARLY)
                elif not run.renewing:
                    group.create_task(_quietly(run.renew()))

    async def _serve(self, task: Task) -> None:
        run = _LeasedRun(task, self._channel)
        ended: Future[None] = Future()
        self._runs[task.ticket] = (run, ended)
        try:
            await self._do(task, run)
        except CutOffError:
            pass  # it goes on elsewhere when the lease is over
        except BulkseedError as error:
            await _quietly(run.tell_failure(error))
        except Exception as error:  # noqa: BLE001  # its text may hold anything, a value too
            told = BulkseedError(f"unexpected {type(error).__name__} at the worker")
            await _quietly(run.tell_failure(told))
        finally:
            run.lease.end()
            del self._runs[task.ticket]
            ended.set_result(None)

    async def _do(self, task: Task, run: _LeasedRun) -> None:
        for _ in range(RENEWALS if len(self._runs) == 1 else 1):
            await run.renew()
        work = await self._what_to_do(run)
        spec, options = work.spec(task.target), work.options
        raise_file_limit(len(self._runs))
        target = resolve(spec)
        ledger = RemoteLedger(Path(task.ledger), run.call)
        hooks = RunHooks(None, (), run.stats, run.stop)
        clock = Clock(ahead=self._channel.ahead)
        right = SendingRight(may_send=run.lease.lasts, clock=clock, account_for_rest=False)
        if work.rollback is not None:
            run.gather = GATHER_SOON
            what = LedgerRollback(ledger, work.rollback, RemoteRollbacks)
            await roll_back_one(spec, target, what, options, hooks, None, self._threads, right)
            return
        with (await self._route(work)).open(spec) as part:
            if work.reading is not None:
                await verify_one(target, part, ledger, work.reading, options, hooks, self._threads, right)
                return
            chosen = work.selections.get(spec.name)
            entries = part if chosen is None else Selection.from_json(chosen).of(part, None)
            limited = replace(options, limit=task.limit)
            await apply_to_one(spec, target, entries, ledger, limited, hooks, self._threads, right)

    async def _what_to_do(self, run: _LeasedRun) -> RunWork:
        """Ask the coordinator, once for all targets.

        Raises:
            CutOffError: it has not said so for a whole lease.
            UsageError: it has another version of bulkseed.
        """
        while True:
            if self._work is None:
                self._work = self._loop.create_task(self._ask_for_work())
            asked = self._work
            try:
                return await asyncio.shield(asked)
            except BulkseedError:
                raise
            except Exception:  # noqa: BLE001  # whatever a connection that breaks raises
                if self._work is asked:
                    self._work = None
            if run.lease.is_over:
                raise CutOffError("the coordinator has not said for a whole lease what is to be done")
            await asyncio.sleep(PAUSE)

    async def _ask_for_work(self) -> RunWork:
        async with asyncio.timeout(self._patience):
            told = await self._link.work()
        return RunWork.from_bytes(told)

    async def _route(self, work: RunWork) -> RoutedInputs:
        """Look through what is read once for all targets."""
        if self._routed is None:
            inputs = work.what_is_read()
            if isinstance(inputs, Manifests):
                self._values = NamedValues(work.source_rate, work.readers)
                inputs = replace(inputs, elsewhere=self._values)
            look = partial(inputs.route, work.specs, lambda _origin, _why: None)
            self._routed = self._loop.run_in_executor(self._threads, look)
        return await asyncio.shield(self._routed)


async def _quietly(call: Awaitable[None]) -> None:
    """Make a call; if it fails, the lease will say so."""
    try:
        await call
    except CutOffError:
        return
