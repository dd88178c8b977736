"""A worker's side: the ordinary runs of its targets, in one event loop of their own thread.

Rules that live here: nothing is raised to whoever runs us, as an error's text would travel through the
cluster; what is wrong is told to the coordinator, in our words.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bulkseed.cluster.channel import Channel, CutOffError
from bulkseed.cluster.lease import DRAINED, LAPSED, Lease
from bulkseed.cluster.progress import failure_to_json, progress_to_json
from bulkseed.cluster.remote_ledger import Operations, RemoteLedger
from bulkseed.cluster.task import RunWork, Task
from bulkseed.engine.options import RunHooks
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import STOPPED_EARLY, Stop
from bulkseed.errors import BulkseedError, LedgerError
from bulkseed.pacing.clock import Clock
from bulkseed.sources.named import NamedValues
from bulkseed.targets.apply import Leave, apply_to_one, raise_file_limit, resolve
from bulkseed.targets.manifests import Manifests, RoutedInputs
from bulkseed.targets.run_all import THREADS

RENEWALS = 6
"""A lease is renewed so many times before it would end; the first also measure the coordinator's clock."""

MOST_BETWEEN = 1.0
"""Seconds between renewals at most: they carry the progress."""


class _TargetRun:
    """One target's run at this worker, as the coordinator knows it."""

    def __init__(self, task: Task, channel: Channel) -> None:
        self.stats = Stats()
        self.stop = Stop()
        self.lease = Lease(task.lease)
        self.renewing = False
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

        Raises:
            CutOffError: somebody else may have the target by now.
            LedgerError: the ledger could not be written.
        """
        self._number += 1
        asked = self._ask({"number": self._number, "operations": operations})
        reply = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
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

    async def _ask(self, call: dict[str, Any]) -> dict[str, Any]:
        reply = await self._channel.ask({**self._head, **call}, self.lease)
        if "refused" in reply:
            self.lease.end()
            raise CutOffError(reply["refused"])
        if reply["stop"] is not None:
            self.stop.request(*reply["stop"])
        return reply


class Runner:
    """The targets of one coordinator at this worker. `send` carries a message to it, in the runner's loop."""

    def __init__(self, send: Callable[[bytes], Awaitable[bytes]], lease: float) -> None:
        self._interval = min(MOST_BETWEEN, lease / RENEWALS)
        self._loop = asyncio.new_event_loop()
        self._channel = Channel(send, lease / RENEWALS * 2)
        self._runs: dict[str, tuple[_TargetRun, Future[None]]] = {}
        self._threads = ThreadPoolExecutor(THREADS, "bulkseed-ledgers")
        self._routed: dict[str, asyncio.Future[RoutedInputs]] = {}
        self._values: NamedValues | None = None
        self._background: set[asyncio.Task[None]] = set()
        threading.Thread(target=self._loop.run_forever, name="bulkseed-runs", daemon=True).start()
        self._start(self._channel.run())
        self._start(self._keep_leases())

    def _start(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def start(self, task: Task) -> Future[None]:
        """Begin a target's run; the future ends with it, and never fails."""
        return self._start(self._serve(task))

    def close(self) -> None:
        """End the thread; no run may be going on."""
        for routed in self._routed.values():
            if routed.done() and not routed.cancelled() and routed.exception() is None:
                routed.result().close()
        if self._values is not None:
            self._values.close()
        self._threads.shutdown(wait=False)
        self._loop.call_soon_threadsafe(self._loop.stop)

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

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            for run, _ in list(self._runs.values()):
                if run.lease.is_over:
                    run.stop.request(LAPSED, STOPPED_EARLY)
                elif not run.renewing:
                    renewing = asyncio.ensure_future(_quietly(run.renew()))
                    self._background.add(renewing)
                    renewing.add_done_callback(self._background.discard)

    async def _serve(self, task: Task) -> None:
        run = _TargetRun(task, self._channel)
        ended: Future[None] = Future()
        self._runs[task.ticket] = (run, ended)
        try:
            await self._apply(task, run)
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

    async def _apply(self, task: Task, run: _TargetRun) -> None:
        for _ in range(RENEWALS if len(self._runs) == 1 else 1):
            await run.renew()
        work = RunWork.from_json(task.work)
        (spec,) = (spec for spec in work.specs if spec.name == task.target)
        raise_file_limit(len(self._runs))
        target = resolve(spec)
        routed = await self._route(task, work)
        ledger = RemoteLedger(Path(task.ledger), run.call)
        hooks = RunHooks(None, (), run.stats, run.stop)
        leave = Leave(run.lease.lasts, Clock(ahead=self._channel.ahead), account_for_rest=False)
        with routed.open(spec) as entries:
            await apply_to_one(spec, target, entries, ledger, work.options, hooks, self._threads, leave)

    async def _route(self, task: Task, work: RunWork) -> RoutedInputs:
        """Look through what is read once for all targets of a coordinator."""
        routed = self._routed.get(task.coordinator)
        if routed is None:
            inputs = work.inputs
            if isinstance(inputs, Manifests):
                self._values = NamedValues(work.source_rate, work.readers)
                inputs = replace(inputs, elsewhere=self._values)
            look = partial(inputs.route, work.specs, lambda _origin, _why: None)
            routed = self._routed[task.coordinator] = self._loop.run_in_executor(self._threads, look)
        return await asyncio.shield(routed)


async def _quietly(call: Awaitable[None]) -> None:
    """Make a call; if it fails, the lease will say so."""
    try:
        await call
    except CutOffError:
        return
