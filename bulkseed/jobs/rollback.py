"""A rollback: what a ledger made and nobody changed since is deleted, one claim and one look at a time.

Workers pull rows of the ledger. Each is looked at, claimed on disk, deleted, and its end is on disk before
the next; `bulkseed.policy.rollback` decides. Few workers are enough, and few are better: the less a row waits
between the look and the deletion, the less can happen to it. A rollback that was killed goes on when it is
called again.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import anyio
from anyio.abc import TaskGroup

from bulkseed.client.credentials import SignerCache
from bulkseed.client.operations import STEPS, Operation
from bulkseed.engine.client import Client
from bulkseed.engine.driver import STOPPED_EARLY, Driver, wall
from bulkseed.engine.lifecycle import Run
from bulkseed.engine.outage import Health
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.summary import summarise, with_results
from bulkseed.engine.work_item import WorkItem
from bulkseed.ledger import Claim, Ledger
from bulkseed.ledger.rollbacks import OwnedRow, Rollbacks
from bulkseed.model import Fault, NoReply, Origin, Outcome, SecretDefinition, SecretValue, Summary, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.quotas import pacers
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import Made, Removal, Undone, undo
from bulkseed.policy.steps import Aborted, Answer, Done, Settled, Step
from bulkseed.transport.choose import open_transport
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT
from bulkseed.wire.actions import delete_secret
from bulkseed.wire.message import Call, QuotaGroup, Response, Transport

MOST_WORKERS = 16
BLOCK = 64
_UNDONE = frozenset({Removal.DELETED, Removal.GONE})


@dataclass(slots=True, frozen=True)
class Deletion:
    """How to delete: restorable for `recovery_days` (7 to 30), or at once when None."""

    recovery_days: int | None = 30

    def exchange(self) -> Operation:
        """Return how DeleteSecret travels; its two options exclude each other (DeleteSecret page)."""

        def encode(definition: SecretDefinition) -> Call:
            if self.recovery_days is None:
                return delete_secret.Request(definition.name, force_delete_without_recovery=True).encode()
            return delete_secret.Request(definition.name, recovery_window_in_days=self.recovery_days).encode()

        def decode(response: Response, _definition: SecretDefinition, _time: object) -> Answer:
            reply = delete_secret.Reply.read(response)
            return reply if isinstance(reply, Fault | NoReply) else Done(reply.request_id)

        return Operation(QuotaGroup.CREATE, encode, decode)


@dataclass(slots=True, frozen=True)
class RolledBack:
    """What a rollback did: the run's summary, and how many secrets had which end."""

    run: Summary
    results: Counter[Removal]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary in the shape that scripts rely on."""
        return with_results(self.run, {removal.value: self.results[removal] for removal in Removal})


async def rollback(
    target: Target,
    ledger: Ledger,
    *,
    deletion: Deletion | None = None,
    qps: float = 10.0,
    retry: RetryPolicy | None = None,
    stop_after: int = 50,
    on_end: Callable[[str, Undone], None] | None = None,
    stats: Stats | None = None,
    stop: Stop | None = None,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of the run
    transport: Transport | None = None,
    clock: Clock | None = None,
    rng: Callable[[], float] = random.random,
) -> RolledBack:
    """Delete from `target` what `ledger` created or adopted and nobody changed since.

    Args:
        target: the service.
        ledger: an open ledger that is bound to the target.
        deletion: how to delete; restorable for 30 days by default.
        qps: the ceiling for deletions in any one-second window (creates share their quota); 0 for none.
        retry: attempts and patience per secret.
        stop_after: this many equal refusals in a row stop the run.
        on_end: called with the name and the end of every secret.
        stats: counters to watch while the run goes on.
        stop: to ask the run to stop.
        timeout: seconds per attempt, for the transport that is opened without `transport`.
        transport: carries requests; None opens one to the target.
        clock: the clocks to use.
        rng: gives numbers uniform in [0, 1) for jitter.

    Raises:
        CredentialsError: there are no credentials.
        LedgerError: the ledger cannot be written; nothing was deleted that it does not know of.
        UsageError: the target's endpoint makes no sense.
    """
    clock, stats, stop, retry = clock or Clock(), stats or Stats(), stop or Stop(), retry or RetryPolicy()
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="bulkseed-ledger"))
        if transport is None:
            opening = open_transport(
                target.endpoint, connections=MOST_WORKERS, timeout=timeout, ca_file=target.ca_file
            )
            transport = await stack.enter_async_context(opening)
        recorder = Recorder(ledger, executor)
        signers = SignerCache(target, clock)
        await signers.signer()  # without credentials the run does not begin
        lanes = pacers({QuotaGroup.CREATE: qps}, clock, paced=qps > 0)
        client = Client(transport, signers, lanes, clock, stats, recorder)
        health = Health(clock.monotonic, patience=5 * retry.budget, stop_after=stop_after)
        steps = {**STEPS, Step.DELETE: (deletion or Deletion()).exchange()}

        def retry_state(doubt_since: float | None) -> RetryState:
            return RetryState(retry, doubt_since, clock.time, health.working_time, rng)

        walker = _ClaimingDriver(client, health, stop, stats, steps)
        run = Run(recorder, lanes, stop, clock)
        rows = _Rows(run, ledger, recorder, walker, health, stop, clock, retry_state, on_end)

        async def remove_all() -> None:
            async with anyio.create_task_group() as group:
                rows.grow(group, lanes[QuotaGroup.CREATE])

        def end(elapsed: float, now: float) -> RolledBack:
            path = str(ledger.path)
            summary = summarise(run.id, path, target, stats, lanes[QuotaGroup.CREATE], stop, elapsed)
            return rows.end(summary, now)

        return await run.live(rows.begin, remove_all, end)


class _Task(WorkItem):
    """A row on its way; `claimed` once this run has claimed it."""

    __slots__ = ("claim_now", "claimed")

    def __init__(self, row: OwnedRow, claim_now: Callable[[], Awaitable[None]]) -> None:
        origin = Origin("", 0)
        super().__init__(
            Claim(SecretDefinition(row.name, SecretValue(""), row.version_id, origin), row.row_id)
        )
        self.claimed = False
        self.claim_now = claim_now


class _ClaimingDriver(Driver):
    """A walker that claims before the first deletion."""

    async def attempt(
        self, errand: WorkItem, step: Step, retry_state: RetryState, made: Answer | None = None
    ) -> Answer | None:
        if step is Step.DELETE and isinstance(errand, _Task) and not errand.claimed:
            await errand.claim_now()
            errand.claimed = True
        return await super().attempt(errand, step, retry_state, made)


class _Rows:
    """The rows of a rollback, on their way from the ledger through the workers and back."""

    def __init__(
        self,
        run: Run,
        ledger: Ledger,
        recorder: Recorder,
        walker: Driver,
        health: Health,
        stop: Stop,
        clock: Clock,
        retry_state: Callable[[float | None], RetryState],
        on_end: Callable[[str, Undone], None] | None,
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._recorder = recorder
        self._walker = walker
        self._health = health
        self._stop = stop
        self._clock = clock
        self._traveller = retry_state
        self._on_end = on_end
        self._results: Counter[Removal] = Counter()
        self._rows: deque[OwnedRow] = deque()
        self._after = 0
        self._filling = anyio.Lock()
        self._workers = 0
        self._book: Rollbacks

    def begin(self, limits: dict[QuotaGroup, float], now: float) -> float | None:
        """Begin in the ledger's thread; return until when the run before may have sent."""
        with self._ledger.transaction():
            sent_until = self._ledger.begin_run(self._run.id, [], limits, now, "rollback")
            self._book = Rollbacks(self._ledger, now)
            return sent_until

    def end(self, run: Summary, now: float) -> RolledBack:
        """Sum up in the ledger's thread: what was not come to is pending."""
        self._results[Removal.PENDING] += len(self._rows)
        while rows := self._book.owned(self._after, 4096):
            self._results[Removal.PENDING] += len(rows)
            self._after = rows[-1].row_id
        undone = all(removal in _UNDONE for removal, count in self._results.items() if count)
        code = run.exit_code if self._stop.requested else 0 if undone else 1
        rolled_back = RolledBack(
            replace(run, definitions=self._results.total(), exit_code=code), self._results
        )
        self._ledger.end_run(rolled_back.as_dict(), code, run.stopped_by, now)
        return rolled_back

    def grow(self, group: TaskGroup, lane: Pacer) -> None:
        """Start a worker, which starts another as long as nobody waits for a token to delete."""
        if self._workers >= MOST_WORKERS:
            return
        self._workers += 1

        async def remove_rows() -> None:
            while not self._stop.requested and (row := await self._next()) is not None:
                if lane.waiting == 0:
                    self.grow(group, lane)
                await self._remove(row)

        group.start_soon(self._run.guard, remove_rows)

    async def _next(self) -> OwnedRow | None:
        async with self._filling:
            if not self._rows:
                self._rows.extend(await self._recorder.do(lambda: self._book.owned(self._after, BLOCK)))
                if self._rows:
                    self._after = self._rows[-1].row_id
            return self._rows.popleft() if self._rows else None

    async def _remove(self, row: OwnedRow) -> None:
        first = None if row.first_sent_at is None else row.first_sent_at / 1e6
        made = Made(row.version_id, first, row.made_at / 1e6, row.dated)

        async def claim() -> None:
            now = self._clock.time()
            await self._recorder.do(
                lambda: self._recorder.commit_with(lambda: self._book.claim(row, made.dated, now))
            )

        task = _Task(row, claim)
        me = self._traveller(row.made_at / 1e6 if row.claimed else None)
        end, cut_off = Undone(Removal.PENDING), True
        try:
            walked = await self._walker.walk(task, undo(made, me), me)
            if isinstance(walked, Aborted):
                self._stop.request(wall(walked), STOPPED_EARLY)
            elif walked is not None:
                end = walked
            cut_off = False
        finally:  # when the run is cancelled, what was sent may have been carried out
            self._finish(row, end, claimed=task.claimed, doubt=me.in_doubt or cut_off)

    def _finish(self, row: OwnedRow, end: Undone, *, claimed: bool, doubt: bool) -> None:
        now = self._clock.time()
        self._recorder.finish(lambda: self._book.end(row, end, now, claimed=claimed, doubt=doubt))
        self._results[end.removal] += 1
        outcome = Outcome.REJECTED if end.removal is Removal.FAILED else Outcome.PENDING
        reason = self._health.settled(Settled(outcome, end.code))
        if reason is not None:
            self._stop.request(reason, STOPPED_EARLY)
        if self._on_end is not None:
            self._on_end(row.name, end)
