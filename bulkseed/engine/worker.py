"""Takes one claim from its first attempt to its end on record, as the procedure of the run's job says."""

from __future__ import annotations

from dataclasses import replace

from bulkseed.client.operations import OPERATIONS
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.job import RunJob
from bulkseed.engine.machinery import Machinery, in_doubt_since
from bulkseed.engine.options import RunHooks
from bulkseed.engine.stop import STOPPED_EARLY
from bulkseed.engine.values.follower import Follower
from bulkseed.ledger import Claim, Creation, Settlement
from bulkseed.model import Created, InvalidLine, Outcome, Row, SecretDefinition, UnreadValue
from bulkseed.policy.advice import abort_message, advice
from bulkseed.policy.options import Rules
from bulkseed.policy.steps import OK, Aborted, Ending, Subject
from bulkseed.transport.results import CancelledAfterReplyError


class Worker:
    """What every worker of a run shares; a worker is a task of a `WorkerPool`, and of a cluster a process."""

    def __init__(self, run_id: str, job: RunJob, rules: Rules, machinery: Machinery, hooks: RunHooks) -> None:
        self._run_id = run_id
        self._job = job
        self._kind = job.kind
        self._first = OPERATIONS[job.first]
        self._rules = rules
        self._machinery = machinery
        self._call = machinery.client.call
        self._outage = machinery.outage
        self._stop_loss = machinery.stop_loss
        self._recorder = machinery.recorder
        self._clock = machinery.lane.clock
        self._time = machinery.lane.time
        self._carried = hooks.stats.carried
        self._stats = hooks.stats
        self._stop = hooks.stop
        self._on_row = hooks.on_row
        self._follower = Follower(machinery, rules)

    async def process(self, claim: Claim) -> None:
        """Take `claim` to its end, or leave it pending when the run stops.

        The first attempt is made without a procedure. Nearly always it creates the secret, and then the
        whole costs a third less (measured): no procedure, and one short record for the ledger.

        Raises:
            CredentialsError: the credentials have expired and no new ones can be had.
        """
        work = WorkItem(claim.definition, claim.row_id)
        known = claim.held is not None  # to be ours
        try:
            if claim.doubt_version is not None and self._job.follows:
                claim, end = await self._follower.look(claim)
                if end is not None:
                    self._end(work, end)
                    return
            if isinstance(claim.definition.data, UnreadValue):
                unread = await self._machinery.values.read(claim.definition, in_doubt_since(claim))
                if unread is not None:
                    self._end(work, self._without_value(unread))
                    return
            if claim.held is not None and self._job.follows:
                self._end(work, await self._follower.put(work, claim, claim.held, known=known))
                return
            answer: object = None
            if not self._outage.outage:
                answer = await self._call(self._first, work)
                if answer is None:
                    self.leave_pending(claim)
                    return
                if isinstance(answer, Created):
                    self._outage.got_through()
                    self._stop_loss.succeeded()
                    self._created(work, answer.request_id, answer.arn)
                    return
            retry = self._machinery.retry_state(self._rules.retry, in_doubt_since(claim))
            if answer is not None:
                asked_at = work.sending if work.attempts else self._machinery.lane.sending()
                retry.begun(asked_at, self._outage.working_time() - work.latency)
            definition = claim.definition
            lost = claim.doubt_version is not None
            deleted = claim.deleted, claim.deleted_version
            subject = Subject(definition.version_id, claim.foreign, definition.generated, lost, *deleted)
            procedure = self._job.procedure(self._rules, subject, retry)
            end = await self._machinery.driver.drive(work, procedure, retry, answer)
            self._end(work, end or Ending(Outcome.PENDING, doubt=retry.in_doubt))
        except CancelledAfterReplyError as cancelled:
            if isinstance(cancelled.answer, Created):  # a generated value would be lost with it
                self._created(work, cancelled.answer.request_id, cancelled.answer.arn)
            raise

    def _without_value(self, end: Ending | Aborted) -> Ending | Aborted:
        """Return how the job calls it that the source gave no value."""
        word = self._kind.unread
        if word is None or isinstance(end, Aborted) or end.outcome is Outcome.PENDING:
            return end
        return replace(end, outcome=word)

    def _end(self, work: WorkItem[SecretDefinition], end: Ending | Aborted) -> None:
        if isinstance(end, Aborted):
            self._stop.request(abort_message(end.fault), STOPPED_EARLY)
            end = Ending(Outcome.PENDING, doubt=end.doubt)
        self._settle(work, end)

    def leave_pending(self, claim: Claim) -> None:
        """Give back a claim for which nothing was sent: the next run takes it up again."""
        in_doubt = claim.doubt_since is not None
        self._settle(WorkItem(claim.definition, claim.row_id), Ending(Outcome.PENDING, doubt=in_doubt))

    def _settle(self, work: WorkItem[SecretDefinition], end: Ending) -> None:
        outcome = end.outcome
        if outcome in self._kind.streaks:
            self._stop_loss.failed(outcome, end.code)
        elif outcome is not Outcome.PENDING:
            self._stop_loss.succeeded()
        if outcome is Outcome.CREATED:
            self._created(work, end.request_id, end.arn)
            return
        self._carried[outcome] += 1
        now = self._clock.time()
        if end.message is None and end.code is not None:
            end = replace(end, message=advice(end.code).meaning)
        if outcome in self._kind.problems:
            self._stats.last_problem = end.code or end.message
        self._recorder.settled(
            Settlement(
                work.row_id,
                outcome,
                now,
                code=end.code,
                message=end.message,
                status=end.status,
                request_id=end.request_id,
                arn=end.arn,
                doubt=end.doubt,
                service_time=None if end.created is None else end.created.seconds,
            )
        )
        if self._on_row is not None:
            self._on_row(self._row(work, end, None if outcome is Outcome.PENDING else now))

    def _created(self, work: WorkItem[SecretDefinition], request_id: str | None, arn: str | None) -> None:
        self._carried[Outcome.CREATED] += 1
        sent_at, latency = work.sent_at, work.latency
        self._recorder.created(Creation(work.row_id, sent_at, latency, request_id, arn, self._time.date))
        if self._on_row is not None:
            end = Ending(Outcome.CREATED, status=OK, request_id=request_id, arn=arn)
            self._on_row(self._row(work, end, sent_at + latency))

    def _row(self, work: WorkItem[SecretDefinition], end: Ending, settled_at: float | None) -> Row:
        definition = work.item
        return Row(
            name=definition.name,
            version_id=definition.version_id,
            outcome=end.outcome,
            code=end.code,
            message=end.message,
            status=end.status,
            request_id=end.request_id,
            arn=end.arn,
            attempts=work.attempts,
            manifest=definition.origin.manifest,
            line=definition.origin.line,
            first_sent_at=work.first_sent_at,
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
