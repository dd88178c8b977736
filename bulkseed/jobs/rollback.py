"""A rollback: what a ledger made and nobody changed since is deleted, one claim and one look at a time.

Or what it updated gets the version before. Workers pull rows of the ledger. Each is looked at, claimed on
disk, deleted or put back, and its end is on disk before the next; `bulkseed.policy.rollback` and
`bulkseed.policy.put_back` decide. Few workers are enough, and few are better: the less a row waits
between the look and the deletion, the less can happen to it. A rollback that was killed goes on when it is
called again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import anyio

from bulkseed.client.operations import OPERATIONS, deletion
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.lane import Lane, Ports, open_lane
from bulkseed.engine.lifecycle import run_lifecycle
from bulkseed.engine.machinery import Machinery, assemble
from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.pool import WorkerPool
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stop import STOPPED_EARLY
from bulkseed.engine.strand import Strand
from bulkseed.engine.summary import summarise, with_results
from bulkseed.jobs.account import check_account
from bulkseed.ledger import Ledger, LedgerPort
from bulkseed.ledger.rollbacks import OwnedRow, Rollbacks, RollbacksPort
from bulkseed.model import Outcome, QuotaGroup, Summary, Target
from bulkseed.pacing.ceilings import limits
from bulkseed.policy import steps
from bulkseed.policy.advice import abort_message
from bulkseed.policy.jobs import ROLLBACK
from bulkseed.policy.moments import OurMoment, ServiceMoment, of_earlier_run
from bulkseed.policy.put_back import put_back
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import FOR_GOOD, UNDONE, OwnedSecret, RollbackEnd, RollbackOutcome, RollingBack
from bulkseed.policy.rollback import rollback as roll_back
from bulkseed.policy.steps import Aborted, ClaimRollback, LedgerStep
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT

MOST_WORKERS = 16
BLOCK = 64


@dataclass(slots=True, frozen=True)
class RolledBack:
    """What a rollback did: the run's summary, and how many secrets had which end."""

    run: Summary
    results: Counter[RollbackOutcome]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary in the shape that scripts rely on."""
        words = [end for end in RollbackOutcome if end is not RollbackOutcome.RESTORED or end in self.results]
        return with_results(self.run, {outcome.value: self.results[outcome] for outcome in words})


OnEnd = Callable[[str, RollbackEnd], None]


async def rollback(
    target: Target,
    ledger: Ledger,
    *,
    recovery_days: int | None = 30,
    options: RunOptions | None = None,
    hooks: RunHooks | None = None,
    on_end: OnEnd | None = None,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of the run
    ports: Ports | None = None,
) -> RolledBack:
    """Delete from `target` what `ledger` created or adopted and nobody changed since.

    Args:
        target: the service.
        ledger: an open ledger that is bound to the target.
        recovery_days: how long a secret can be restored (7 to 30); None deletes at once.
        options: the choices for the run; `qps` is the ceiling for deletions (creates share their quota).
        hooks: who hears of it; a rollback has no rows for `on_row`.
        on_end: called with the name and the end of every secret.
        timeout: seconds per attempt.
        ports: what a test puts in the place of network, clocks and randomness.

    Raises:
        CredentialsError: there are no credentials.
        LedgerError: the ledger cannot be written; nothing was deleted that it does not know of.
        UsageError: the target's endpoint makes no sense.
    """
    options, hooks = options or RunOptions(), hooks or RunHooks()
    async with _open(target, options, timeout, ports) as lane:
        await check_account(lane, ledger)
        return await roll_back_in(
            lane, LedgerRollback(ledger, RollbackRules(recovery_days)), options, hooks, on_end
        )


async def restore_values(
    target: Target,
    ledger: Ledger,
    *,
    options: RunOptions | None = None,
    hooks: RunHooks | None = None,
    on_end: OnEnd | None = None,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of the run
    ports: Ports | None = None,
) -> RolledBack:
    """Put back in force, where `ledger` put a newer version last, the version of ours before. Delete nothing.

    The arguments and errors are those of `rollback`.
    """
    options, hooks = options or RunOptions(), hooks or RunHooks()
    what = LedgerRollback(ledger, RollbackRules(restore_values=True))
    async with _open(target, options, timeout, ports) as lane:
        await check_account(lane, ledger)
        return await roll_back_in(lane, what, options, hooks, on_end)


class RollbackRules(NamedTuple):
    """What a rollback does: it deletes, or it puts versions back and deletes nothing.

    `recovery_days`: how long secrets can be restored (7 to 30); None deletes at once.
    """

    recovery_days: int | None = 30
    restore_values: bool = False


class LedgerRollback(NamedTuple):
    """What is rolled back, and by which rules. `rollbacks` opens its part of the ledger, wherever that is."""

    ledger: LedgerPort
    rules: RollbackRules
    rollbacks: Callable[..., RollbacksPort] = Rollbacks


def _open(
    target: Target, options: RunOptions, timeout: float, ports: Ports | None
) -> AbstractAsyncContextManager[Lane]:
    return open_lane(
        target,
        limits(ROLLBACK.group, options.qps),
        connections=MOST_WORKERS,
        timeout=timeout,
        ports=ports,
    )


async def roll_back_in(
    lane: Lane,
    what: LedgerRollback,
    options: RunOptions,
    hooks: RunHooks,
    on_end: OnEnd | None,
    threads: Executor | None = None,
) -> RolledBack:
    """Roll back in a lane that is open. The rest is as of `rollback`; `threads` as of `run_job`."""
    with ExitStack() as stack:
        executor = (
            stack.enter_context(ThreadPoolExecutor(1, "bulkseed-ledger"))
            if threads is None
            else Strand(threads)
        )
        rules = what.rules
        rows = _Rows(lane, what, Recorder(what.ledger, executor, lane.known_ahead), hooks)
        operations = {**OPERATIONS, steps.DELETE: deletion(rules.recovery_days)}
        async with (
            run_lifecycle(lane, rows.recorder, hooks.stop, rows.begin, rows.end) as run,
            anyio.create_task_group() as group,
        ):
            machinery = assemble(run, lane, rows.recorder, options, hooks, rows.claim, operations)
            worker = _RollbackWorker(rows, machinery, rules, options, hooks, on_end)

            def spawn(work: Callable[[], Awaitable[object]]) -> None:
                group.start_soon(run.guard, work)

            pacer = lane.pacers[ROLLBACK.group]
            WorkerPool(
                rows,
                worker.process,
                spawn,
                hooks.stop,
                most=options.workers or MOST_WORKERS,
                helps=lambda: not pacer.waiting,
            ).grow()
        return run.result


class _Rows:
    """The rows of a rollback, on their way from the ledger to the workers and back."""

    def __init__(self, lane: Lane, what: LedgerRollback, recorder: Recorder, hooks: RunHooks) -> None:
        self.recorder = recorder
        self._lane = lane
        self._ledger = what.ledger
        self._hooks = hooks
        self._open = partial(what.rollbacks, what.ledger, restore_values=what.rules.restore_values)
        self._results: Counter[RollbackOutcome] = Counter(
            {RollbackOutcome.RESTORED: 0} if what.rules.restore_values else ()
        )
        self._rows: deque[OwnedRow] = deque()
        self._claimed: set[int] = set()  # by this run, and not ended
        self._after = 0
        self._filling = anyio.Lock()
        self._rollbacks: RollbacksPort

    def begin(self, run_id: str, limits: dict[QuotaGroup, float], now: float) -> float | None:
        """Begin in the ledger's thread; return until when the run before may have sent."""
        with self._ledger.transaction():
            sent_until = self._ledger.begin_run(
                run_id,
                [],
                limits,
                now,
                ROLLBACK.name,
                caller=self._lane.signers.caller,
                era=self._lane.clock.era,
            )
            self._rollbacks = self._open(now)
            return sent_until

    def end(self, run_id: str, elapsed: float, now: float) -> RolledBack:
        """Sum up in the ledger's thread: a row that no worker took is pending."""
        self._results[RollbackOutcome.PENDING] += len(self._rows)
        while rows := self._rollbacks.owned(self._after, 4096):
            self._results[RollbackOutcome.PENDING] += len(rows)
            self._after = rows[-1].row_id
        run = summarise(run_id, self._ledger.path, self._lane, ROLLBACK.group, self._hooks, elapsed)
        succeeded = all(outcome in UNDONE for outcome, count in self._results.items() if count)
        code = run.exit_code if self._hooks.stop.requested else 0 if succeeded else 1
        run = replace(run, definitions=self._results.total(), exit_code=code)
        rolled_back = RolledBack(run, self._results)
        self._ledger.end_run(rolled_back.as_dict(), code, run.stopped_by, now)
        return rolled_back

    def take(self) -> OwnedRow | None:
        """Return the next row if one is ready."""
        return self._rows.popleft() if self._rows else None

    async def next(self) -> OwnedRow | None:
        """Return the next row, or None when there are no more."""
        async with self._filling:
            if not self._rows:
                find = self._rollbacks.owned
                self._rows.extend(await self.recorder.in_ledger_thread(lambda: find(self._after, BLOCK)))
                if self._rows:
                    self._after = self._rows[-1].row_id
            return self.take()

    async def claim(self, work: WorkItem[OwnedRow], step: LedgerStep) -> None:
        """Put on disk that the secret of a row may be changed from now on."""
        assert isinstance(step, ClaimRollback)  # noqa: S101  # the one that a rollback yields
        now = self._lane.clock.time()
        await self.recorder.commit(lambda: self._rollbacks.claim(work.item, step.dated, now))
        self._claimed.add(work.row_id)

    async def finish(self, row: OwnedRow, end: RollbackEnd, *, doubt: bool) -> None:
        """Put a row's end on disk, also while the run is cancelled."""
        now = self._lane.clock.time()
        claimed = row.row_id in self._claimed
        self._claimed.discard(row.row_id)

        def write() -> None:
            self._rollbacks.end(row, end, now, claimed=claimed, doubt=doubt)

        await self.recorder.to_the_end(lambda: self.recorder.commit_here(write))
        self._results[end.outcome] += 1


class _RollbackWorker:
    """What every worker of a rollback shares, as `engine.worker.Worker` of other runs."""

    def __init__(
        self,
        rows: _Rows,
        machinery: Machinery,
        rules: RollbackRules,
        options: RunOptions,
        hooks: RunHooks,
        on_end: OnEnd | None,
    ) -> None:
        self._rows = rows
        delete = _delete if rules.recovery_days is not None else _delete_for_good
        self._procedure = _put_back if rules.restore_values else delete
        self._restores = rules.restore_values
        self._machinery = machinery
        self._policy = options.rules.retry
        self._stop = hooks.stop
        self._on_end = on_end

    async def process(self, row: OwnedRow) -> None:
        """Delete the secret of a row, or put its version back, if it is as we made it."""
        doubt = row.in_doubt(restore_values=self._restores)
        retry = self._machinery.retry_state(
            self._policy, of_earlier_run(row.made_at / 1e6) if doubt else None
        )
        end, cut_off = RollbackEnd(RollbackOutcome.PENDING), True
        try:
            driven = await self._machinery.driver.drive(
                WorkItem(row, row.row_id), self._procedure(row, retry), retry
            )
            if isinstance(driven, Aborted):
                self._stop.request(abort_message(driven.fault), STOPPED_EARLY)
            elif driven is not None:
                end = driven
            cut_off = False
        finally:  # when the run is cancelled, what was sent may have been carried out
            await self._rows.finish(row, end, doubt=retry.in_doubt or cut_off)
        if end.outcome is RollbackOutcome.FAILED:
            self._machinery.stop_loss.failed(Outcome.REJECTED, end.code)
        else:
            self._machinery.stop_loss.succeeded()
        if self._on_end is not None:
            self._on_end(row.name, end)


def _owned(row: OwnedRow) -> OwnedSecret:
    sent = [at for at in (row.claimed_at, row.first_sent_at) if at is not None]
    doubtful = () if row.doubtful is None else (row.doubtful,)
    return OwnedSecret(
        (row.versions or (row.version_id,)) + doubtful,
        OurMoment(min(sent) / 1e6, min(sent) / 1e6) if sent else None,
        OurMoment(row.made_at / 1e6, row.made_at / 1e6),
        row.dated,
        None if row.service_time is None else ServiceMoment(row.service_time),
        row.taken_back,
    )


def _delete(row: OwnedRow, retry: RetryState) -> RollingBack:
    return roll_back(_owned(row), retry)


def _delete_for_good(row: OwnedRow, retry: RetryState) -> RollingBack:
    end = yield from _delete(row, retry)
    told = isinstance(end, RollbackEnd) and end.outcome is RollbackOutcome.DELETED and end.status == steps.OK
    return end._replace(message=FOR_GOOD) if told and isinstance(end, RollbackEnd) else end


def _put_back(row: OwnedRow, retry: RetryState) -> RollingBack:
    assert row.superseded is not None  # noqa: S101  # or it would not have been taken up
    return put_back(_owned(row), row.superseded, row.last, retry)
