"""A run: workers pull claims, carry each through its journey, and the ledger learns every end.

There is no queue between stages, and no suspension point between an answer and its settlement.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack

import anyio
from anyio.abc import TaskGroup

from bulkseed.engine.carrier import Carrier
from bulkseed.engine.client import Client, Errand
from bulkseed.engine.clock import Clock
from bulkseed.engine.credentials import Keyring
from bulkseed.engine.endpoint import ATTEMPT_TIMEOUT
from bulkseed.engine.health import Health
from bulkseed.engine.intake import Intake, block_size
from bulkseed.engine.lanes import hold_back, pacers
from bulkseed.engine.reader_thread import ReaderThread
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.retries import retry_bucket
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.summary import need_truth, summarise
from bulkseed.engine.task import APPLY, Task
from bulkseed.engine.transport import open_transport
from bulkseed.engine.walker import Walker
from bulkseed.errors import BulkseedError, LedgerError
from bulkseed.ledger import Ledger
from bulkseed.model import ManifestEntry, Row, Summary, Target
from bulkseed.policy.journey import Rules
from bulkseed.wire.message import Transport

MOST_WORKERS = 256
UNPACED_WORKERS = 64
"""Without a ceiling, more workers than this cost more than they bring on one core (measured)."""


async def seed(
    definitions: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
    target: Target,
    ledger: Ledger,
    *,
    task: Task = APPLY,
    qps: float = 10.0,
    workers: int | None = None,
    rules: Rules | None = None,
    stop_after: int = 50,
    limit: int | None = None,
    account_for_rest: bool = True,
    on_row: Callable[[Row], None] | None = None,
    stats: Stats | None = None,
    stop: Stop | None = None,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of the run
    transport: Transport | None = None,
    clock: Clock | None = None,
    rng: Callable[[], float] = random.random,
) -> Summary:
    """Provision `definitions` into `target`, recording in `ledger`; run it again to resume.

    Args:
        definitions: what a manifest gives; definitions and invalid lines.
        target: the service.
        ledger: an open ledger that is bound to the target.
        task: what to do with each definition.
        qps: the ceiling for attempts in the task's lane in any one-second window; 0 for none.
        workers: how many definitions are in flight at most; None lets rate and latency decide.
        rules: retries, and what an existing secret means.
        stop_after: this many equal rejections in a row stop the run.
        limit: send at most this many definitions.
        account_for_rest: after a stop, read what is left of the manifest and count it as pending; if not, not
            even a read that is under way is waited for.
        on_row: called with every row as it is decided; keep it short, it runs on the event loop.
        stats: counters to watch while the run goes on.
        stop: to ask the run to stop.
        timeout: seconds per attempt, for the transport that is opened without `transport`.
        transport: carries requests; None opens one to the target.
        clock: the clocks to use.
        rng: gives numbers uniform in [0, 1) for jitter.

    Returns:
        The summary; its exit code says whether everything is settled.

    Raises:
        CredentialsError: there are no credentials.
        LedgerError: the ledger cannot be written; nothing was sent that it does not know of.
        UsageError: the target's endpoint makes no sense.
    """
    run = _Run(task, target, ledger, qps, workers, stats or Stats(), stop or Stop(), clock or Clock())
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="bulkseed-ledger"))
        run.reader = stack.enter_context(ReaderThread())
        if transport is None:
            opening = open_transport(
                target.endpoint, connections=run.most_workers, timeout=timeout, ca_file=target.ca_file
            )
            transport = await stack.enter_async_context(opening)
        recorder = Recorder(ledger, executor)
        keyring = Keyring(target, run.clock)
        await keyring.signer()  # without credentials the run does not begin
        client = Client(transport, keyring, run.lanes, run.clock, run.stats, recorder)
        rules = rules or Rules()
        health = Health(run.clock.monotonic, patience=5 * rules.retry.budget, stop_after=stop_after)
        retries = retry_bucket() if qps <= 0 else None
        walker = Walker(client, health, run.stop, run.stats, retries=retries)
        carrier = Carrier(
            run.run_id,
            task,
            rules,
            client,
            walker,
            health,
            run.stop,
            run.clock,
            recorder,
            run.stats,
            rng,
            on_row,
        )
        return await run.go(definitions, recorder, carrier, limit, account_for_rest=account_for_rest)


class _Run:
    """One run's life: begin, workers, what is left after a stop, end."""

    def __init__(
        self,
        task: Task,
        target: Target,
        ledger: Ledger,
        qps: float,
        workers: int | None,
        stats: Stats,
        stop: Stop,
        clock: Clock,
    ) -> None:
        self.run_id = os.urandom(8).hex()
        self.task = task
        self.target = target
        self.ledger = ledger
        self.qps = qps
        self.stats = stats
        self.stop = stop
        self.clock = clock
        self.most_workers = workers or (MOST_WORKERS if qps > 0 else UNPACED_WORKERS)
        self.lanes = pacers({task.lane: qps}, clock, paced=qps > 0)
        self.reader: Executor  # reads the manifest
        self._error: Exception | None = None
        self._workers = 0

    async def go(
        self,
        definitions: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
        recorder: Recorder,
        carrier: Carrier,
        limit: int | None,
        *,
        account_for_rest: bool,
    ) -> Summary:
        started = self.clock.monotonic()
        manifests = [str(path) for path in getattr(definitions, "paths", ())]
        begin = self.clock.stamp(started)
        limits = {lane: pacer.limit_qps for lane, pacer in self.lanes.items()}
        sent_until = await recorder.do(
            lambda: self.ledger.begin_run(self.run_id, manifests, limits, begin, self.task.command)
        )
        hold_back(self.lanes, sent_until, self.clock)
        try:
            async with anyio.create_task_group() as background:
                background.start_soon(self._close_lanes_on_stop)
                background.start_soon(self._guard, recorder.flush_regularly)
                await self._carry_all(definitions, recorder, carrier, limit, account_for_rest)
                background.cancel_scope.cancel()
        finally:
            try:
                summary = self._end(recorder, started)
            except LedgerError as error:
                self._fail(error)
        if self._error is not None:
            raise self._error
        return summary

    def _end(self, recorder: Recorder, started: float) -> Summary:
        """Sum up in the ledger's thread, where nothing of the run is under way any more, and write that down.

        Raises:
            LedgerError: it could not be written.
        """
        now = self.clock.monotonic()

        def end() -> Summary:
            summary = summarise(
                self.run_id,
                str(self.ledger.path),
                self.target,
                self.stats,
                self.lanes[self.task.lane],
                self.stop,
                now - started,
            )
            need_truth(summary, self.ledger)
            self.ledger.end_run(
                summary.as_dict(), summary.exit_code, summary.stopped_by, self.clock.stamp(now)
            )
            return summary

        recorder.finish(lambda: None)  # what was answered goes on record, whatever the summary is
        return recorder.finish(end)

    async def _carry_all(
        self,
        definitions: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
        recorder: Recorder,
        carrier: Carrier,
        limit: int | None,
        account_for_rest: bool,
    ) -> None:
        async with anyio.create_task_group() as work:

            def spawn(fill: Callable[[], Awaitable[None]]) -> None:
                work.start_soon(self._guard, fill)

            intake = Intake(
                definitions,
                self.ledger,
                recorder,
                self.stats,
                self.clock,
                reader=self.reader,
                block=block_size(self.qps),
                limit=limit,
                give_up=None if account_for_rest else self.stop,
                on_invalid=carrier.report_invalid,
                spawn=spawn,
            )
            self._hire(work, intake, carrier)
        if self.stop.requested and self._error is None:
            for claim in await intake.hand_back():
                carrier.leave_pending(Errand(claim), in_doubt=claim.doubt_since is not None)
            if account_for_rest:
                await self._guard(intake.account_for_rest)

    def _hire(self, work: TaskGroup, intake: Intake, carrier: Carrier) -> None:
        """Start a worker, which starts another as long as one more can help.

        By Little's law rate times latency workers are busy. While nobody waits for a token, tokens go unused.
        """
        self._workers += 1
        lane = self.lanes[self.task.lane]

        async def carry_claims() -> None:
            while not self.stop.requested:
                claim = intake.take() or await intake.next()
                if claim is None:
                    return
                if self._workers < self.most_workers and lane.waiting == 0:
                    self._hire(work, intake, carrier)
                await carrier.carry(claim)
                del claim  # and its value, before the wait for the next

        work.start_soon(self._guard, carry_claims)

    async def _close_lanes_on_stop(self) -> None:
        await self.stop.event.wait()
        for lane in self.lanes.values():
            lane.close()

    async def _guard(self, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work`; what it raises stops the run in order and is raised when the run has ended."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # also what a caller's on_row or iterable raises
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        if isinstance(error, BulkseedError):
            self.stop.request(str(error), error.exit_code)
        else:  # its text may hold anything, a value too
            self.stop.request(f"unexpected {type(error).__name__}", 1)
