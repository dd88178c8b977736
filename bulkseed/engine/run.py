"""A run over a manifest: workers pull claims and take each to its end, which the ledger learns.

There is no queue between stages, and no suspension point between an answer and its record.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import anyio

from bulkseed.client.daemon_executor import DaemonExecutor
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.intake import BlockReader, Intake, block_size
from bulkseed.engine.job import RunJob
from bulkseed.engine.lane import Lane
from bulkseed.engine.lifecycle import run_lifecycle
from bulkseed.engine.machinery import assemble
from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.pool import WorkerPool
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.strand import Strand
from bulkseed.engine.summary import check_against_ledger, summarise
from bulkseed.engine.worker import Worker
from bulkseed.ledger import Admission, LedgerPort, TakeUp
from bulkseed.model import ManifestEntry, Outcome, QuotaGroup, Summary
from bulkseed.policy.moments import Sending, ServiceMoment
from bulkseed.policy.options import OnExists
from bulkseed.policy.steps import DropDoubt, LedgerStep, MarkHeld

MOST_WORKERS = 256
UNPACED_WORKERS = 64
"""Without a ceiling, more workers than this cost more than they bring on one core (measured)."""

Entries = Iterable[ManifestEntry] | AsyncIterable[ManifestEntry]


@runtime_checkable
class ReadsPaths(Protocol):
    """Entries that are all that there is in some manifests.

    A run over them forgets what was invalid in these manifests before: it will find it again.
    """

    @property
    def paths(self) -> Sequence[Path | str]:
        """The manifests' names, as in the origins of the entries."""
        ...


@runtime_checkable
class KnowsBytes(Protocol):
    """Entries that know how many bytes they come from; None: a pipe, which may stall at any time."""

    @property
    def bytes_total(self) -> int | None:
        """How many."""
        ...


def connections(options: RunOptions) -> int:
    """Return how many items a run has in flight at most."""
    return options.workers or (MOST_WORKERS if options.qps > 0 else UNPACED_WORKERS)


def _executors(stack: ExitStack, threads: Executor | None) -> tuple[Executor, Executor]:
    """Return what runs one thing after another for the ledger, and what reads the manifest."""
    if threads is not None:
        return Strand(threads), threads
    ledger = stack.enter_context(ThreadPoolExecutor(1, "bulkseed-ledger"))
    return ledger, stack.enter_context(DaemonExecutor())


def _write(step: LedgerStep, ledger: LedgerPort, row_id: int) -> None:
    if isinstance(step, MarkHeld):
        since = (None, None) if step.asked_at is None else _by_both(step.asked_at)
        ledger.mark_held(row_id, step.version_id, since[0], _seconds(step.created), since[1])
    elif isinstance(step, DropDoubt):
        ledger.drop_doubt(row_id, *_by_both(step.asked_at))
    else:
        ledger.mark_foreign(row_id)


def _by_both(sending: Sending) -> tuple[float, float | None]:
    """Return a moment by our clock, and by the service's if that is known."""
    return sending.ours.steady, _seconds(sending.service)


def _seconds(moment: ServiceMoment | None) -> float | None:
    return None if moment is None else moment.seconds


async def run_job(
    job: RunJob,
    entries: Entries,
    lane: Lane,
    ledger: LedgerPort,
    options: RunOptions,
    hooks: RunHooks,
    threads: Executor | None = None,
) -> Summary:
    """Take every entry to its end, as `job` does, recording in `ledger`. The lane is closed by a stop.

    `threads`: a pool that runs share, for their ledgers and for manifests that are files; None for own ones.

    Raises:
        CredentialsError: the credentials have expired and no new ones can be had.
        LedgerError: the ledger cannot be written; nothing was sent that it does not know of.
    """
    pacer, stats, stop = lane.pacers[job.kind.group], hooks.stats, hooks.stop
    with ExitStack() as stack:
        strand, reader = _executors(stack, threads)
        recorder = Recorder(ledger, strand, lane.known_ahead)

        def begin(run_id: str, limits: dict[QuotaGroup, float], now: float) -> float | None:
            manifests = [str(path) for path in entries.paths] if isinstance(entries, ReadsPaths) else []
            return ledger.begin_run(
                run_id,
                manifests,
                limits,
                now,
                job.kind.name,
                afresh=options.afresh,
                again=TakeUp(
                    follow=options.rules.follow,
                    reopen=() if options.rules.on_exists is OnExists.SKIP else (Outcome.EXISTING,),
                    gone=options.gone,
                ),
                caller=lane.signers.caller,
                era=lane.clock.era,
            )

        def end(run_id: str, elapsed: float, now: float) -> Summary:
            summary = summarise(run_id, ledger.path, lane, job.kind.group, hooks, elapsed, job.kind.words)
            check_against_ledger(summary, ledger)
            ledger.end_run(summary.as_dict(), summary.exit_code, summary.stopped_by, now)
            return summary

        async def on_disk(work: WorkItem[Any], step: LedgerStep) -> None:
            await recorder.commit(lambda: _write(step, ledger, work.row_id))

        async def admit(block: Sequence[ManifestEntry], claim: bool) -> Admission:
            ours, service = _by_both(lane.sending())

            def admit_and_count() -> Admission:  # both in the ledger's thread, as the run may be cancelled
                admission = recorder.commit_here(
                    lambda: ledger.admit(block, ours, service, claim=claim, last=blocks.complete)
                )
                stats.admitted(len(block), admission.settled, len(admission.invalid))
                return admission

            admission = await recorder.in_ledger_thread(admit_and_count)
            for line in admission.invalid:
                worker.report_invalid(line)
            return admission

        async with run_lifecycle(lane, recorder, stop, begin, end) as run:
            machinery = assemble(run, lane, recorder, options, hooks, on_disk)
            worker = Worker(run.id, job, options.rules, machinery, hooks)
            blocks = BlockReader(entries, reader, give_up=None if options.account_for_rest else stop)
            async with anyio.create_task_group() as group:

                def spawn(work: Callable[[], Awaitable[object]]) -> None:
                    group.start_soon(run.guard, work)

                pipe = isinstance(entries, KnowsBytes) and entries.bytes_total is None
                block = block_size(options.qps, may_stall=pipe)
                intake = Intake(blocks, admit, spawn, block=block, limit=options.limit)
                # Rate times latency workers are busy (Little's law). One more helps while nobody waits for a
                # token, as tokens go unused then.
                WorkerPool(
                    intake,
                    worker.process,
                    spawn,
                    stop,
                    most=connections(options),
                    helps=lambda: not pacer.waiting,
                ).grow()

            async def give_back() -> None:
                for claim in await intake.hand_back():
                    worker.leave_pending(claim)
                if options.account_for_rest:
                    await intake.account_for_rest()

            if stop.requested and run.error is None:
                await run.guard(give_back)
        return run.result
