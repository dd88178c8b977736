"""Carries one claim from its first attempt to its settlement, as the journey of the run's task says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bulkseed.client.operations import STEPS
from bulkseed.engine.client import Client
from bulkseed.engine.driver import STOPPED_EARLY, Driver, wall
from bulkseed.engine.job import Task
from bulkseed.engine.outage import Health
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.work_item import WorkItem
from bulkseed.ledger import AttemptRecord, Claim, Creation, Settlement
from bulkseed.model import Created, InvalidLine, Outcome, Row
from bulkseed.pacing.clock import Clock
from bulkseed.policy.advice import advice
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Aborted, Answer, Settled
from bulkseed.wire.message import QuotaGroup

_FAILED = (Outcome.REJECTED, Outcome.EXHAUSTED, Outcome.CONFLICT)


class Worker:
    """What every worker of a run shares: the rules, the walker, and where ends are reported."""

    def __init__(
        self,
        run_id: str,
        task: Task,
        rules: Rules,
        client: Client,
        walker: Driver,
        health: Health,
        stop: Stop,
        clock: Clock,
        recorder: Recorder,
        stats: Stats,
        rng: Callable[[], float],
        on_row: Callable[[Row], None] | None,
    ) -> None:
        self._run_id = run_id
        self._task = task
        self._first = STEPS[task.first]
        self._rules = rules
        self._client = client
        self._walker = walker
        self._health = health
        self._stop = stop
        self._clock = clock
        self._recorder = recorder
        self._stats = stats
        self._rng = rng
        self._on_row = on_row

    async def carry(self, claim: Claim) -> None:
        """Carry `claim` to its end, or leave it pending when the run stops.

        Raises:
            CredentialsError: the credentials have expired and no new ones can be had.
        """
        errand = WorkItem(claim)
        answer: Answer | None = None
        if not self._health.outage:
            answer = await self._client.attempt(errand, self._first)
            if answer is None:
                self.leave_pending(errand, in_doubt=claim.doubt_since is not None)
                return
            if isinstance(answer, Created):  # nearly always, and without a journey it costs a third less
                self._health.created()
                self._stats.waiting_for_service = False
                self._created(errand, answer.request_id, answer.arn)
                return
        retry_state = RetryState(
            self._rules.retry,
            claim.doubt_since,
            self._clock.time,
            self._health.working_time,
            self._rng,
            theirs=claim.theirs,
            generated=claim.definition.generated,
        )
        if answer is not None:
            asked_at = errand.sent_at if errand.attempts else self._clock.time()
            retry_state.set_out(asked_at, self._health.working_time() - errand.latency)
        steps = self._task.journey(self._rules, claim.definition.version_id, retry_state)
        end = await self._walker.walk(errand, steps, retry_state, answer)
        if end is None:
            self.leave_pending(errand, in_doubt=retry_state.in_doubt)
        else:
            self._finish(errand, end)

    def _finish(self, errand: WorkItem, end: Settled | Aborted) -> None:
        if isinstance(end, Aborted):
            self._stop.request(wall(end), STOPPED_EARLY)
            self.leave_pending(errand, in_doubt=end.doubt)
            return
        self._settle(errand, end)
        reason = self._health.settled(end)
        if reason is not None:
            self._stop.request(reason, STOPPED_EARLY)

    def leave_pending(self, errand: WorkItem, *, in_doubt: bool) -> None:
        """Give a claim back: the next run takes it up again."""
        self._settle(errand, Settled(Outcome.PENDING, doubt=in_doubt))

    def _settle(self, errand: WorkItem, end: Settled) -> None:
        if end.outcome is Outcome.CREATED:
            self._created(errand, end.request_id, end.arn)
            return
        self._stats.carried[end.outcome] += 1
        now = self._clock.time()
        if end.message is None and end.code is not None:
            end = replace(end, message=advice(end.code).meaning)
        if end.outcome in _FAILED:
            self._stats.last_problem = end.code or end.message
        self._recorder.settled(
            Settlement(
                errand.claim.row_id,
                end.outcome,
                now,
                code=end.code,
                message=end.message,
                status=end.status,
                request_id=end.request_id,
                arn=end.arn,
                doubt=end.doubt,
            )
        )
        if self._on_row is not None:
            self._on_row(self._row(errand, end, None if end.outcome is Outcome.PENDING else now))

    def _created(self, errand: WorkItem, request_id: str | None, arn: str | None) -> None:
        self._stats.carried[Outcome.CREATED] += 1
        sent_at, latency = errand.sent_at, errand.latency
        row_id = errand.claim.row_id
        self._recorder.created(Creation(row_id, sent_at, latency, request_id, arn))
        if self._stats.on_attempt is not None:
            self._stats.on_attempt(AttemptRecord(row_id, QuotaGroup.CREATE, sent_at, latency, 200))
        if self._on_row is not None:
            end = Settled(Outcome.CREATED, status=200, request_id=request_id, arn=arn)
            self._on_row(self._row(errand, end, sent_at + latency))

    def _row(self, errand: WorkItem, end: Settled, settled_at: float | None) -> Row:
        definition = errand.claim.definition
        return Row(
            name=definition.name,
            version_id=definition.version_id,
            outcome=end.outcome,
            code=end.code,
            message=end.message,
            status=end.status,
            request_id=end.request_id,
            arn=end.arn,
            attempts=errand.attempts,
            manifest=definition.origin.manifest,
            line=definition.origin.line,
            first_sent_at=errand.first_sent_at,
            settled_at=settled_at,
            run_id=self._run_id,
        )

    def report_invalid(self, line: InvalidLine) -> None:
        """Report a manifest line that is no definition; the ledger has its row already."""
        if self._on_row is not None:
            self._on_row(
                Row(
                    name=line.name,
                    version_id=line.version_id,
                    outcome=Outcome.INVALID,
                    message="; ".join(line.reasons),
                    manifest=line.origin.manifest,
                    line=line.origin.line,
                    run_id=self._run_id,
                )
            )
