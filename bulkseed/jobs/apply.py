"""A run: workers pull claims, carry each through its journey, and the ledger learns every end.

There is no queue between stages, and no suspension point between an answer and its settlement.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import anyio

from bulkseed.client.credentials import SignerCache
from bulkseed.engine.client import Client
from bulkseed.engine.daemon_executor import DaemonExecutor
from bulkseed.engine.driver import Driver
from bulkseed.engine.intake import Intake, block_size
from bulkseed.engine.job import APPLY, Task
from bulkseed.engine.lifecycle import Run
from bulkseed.engine.outage import Health
from bulkseed.engine.pool import WorkerPool
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.summary import check_against_ledger, summarise
from bulkseed.engine.work_item import WorkItem
from bulkseed.engine.worker import Worker
from bulkseed.ledger import Ledger
from bulkseed.model import ManifestEntry, Row, Summary, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.quotas import pacers
from bulkseed.pacing.retry_bucket import retry_bucket
from bulkseed.policy.options import Rules
from bulkseed.transport.choose import open_transport
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT
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
    clock, stats, stop, rules = clock or Clock(), stats or Stats(), stop or Stop(), rules or Rules()
    lanes = pacers({task.lane: qps}, clock, paced=qps > 0)
    most_workers = workers or (MOST_WORKERS if qps > 0 else UNPACED_WORKERS)
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="bulkseed-ledger"))
        reader = stack.enter_context(DaemonExecutor())
        if transport is None:
            opening = open_transport(
                target.endpoint, connections=most_workers, timeout=timeout, ca_file=target.ca_file
            )
            transport = await stack.enter_async_context(opening)
        recorder = Recorder(ledger, executor)
        signers = SignerCache(target, clock)
        await signers.signer()  # without credentials the run does not begin
        client = Client(transport, signers, lanes, clock, stats, recorder)
        health = Health(clock.monotonic, patience=5 * rules.retry.budget, stop_after=stop_after)
        walker = Driver(client, health, stop, stats, retries=None if qps > 0 else retry_bucket())
        run = Run(recorder, lanes, stop, clock)
        carrier = Worker(
            run.id, task, rules, client, walker, health, stop, clock, recorder, stats, rng, on_row
        )

        async def carry_all() -> None:
            async with anyio.create_task_group() as group:
                intake = Intake(
                    definitions,
                    ledger,
                    recorder,
                    stats,
                    clock,
                    reader=reader,
                    block=block_size(qps),
                    limit=limit,
                    give_up=None if account_for_rest else stop,
                    on_invalid=carrier.report_invalid,
                    spawn=lambda fill: group.start_soon(run.guard, fill),
                )
                WorkerPool(group, run, intake, carrier, lanes[task.lane], stop, most_workers).grow()

            async def give_back() -> None:
                for claim in await intake.hand_back():
                    carrier.leave_pending(WorkItem(claim), in_doubt=claim.doubt_since is not None)
                if account_for_rest:
                    await intake.account_for_rest()

            if stop.requested and run.error is None:
                await run.guard(give_back)

        manifests = [str(path) for path in getattr(definitions, "paths", ())]

        def end(elapsed: float, now: float) -> Summary:
            path = str(ledger.path)
            summary = summarise(run.id, path, target, stats, lanes[task.lane], stop, elapsed)
            check_against_ledger(summary, ledger)
            ledger.end_run(summary.as_dict(), summary.exit_code, summary.stopped_by, now)
            return summary

        return await run.live(
            lambda limits, now: ledger.begin_run(run.id, manifests, limits, now, task.command), carry_all, end
        )
