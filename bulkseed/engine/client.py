"""One attempt, from definition to answer: a token of its lane, a fresh signature, the transport, decoding.

A reply may echo a value, so what it says is checked for its shape here, before a row or a log can carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bulkseed.client.credentials import SignerCache
from bulkseed.client.nonce import new_nonce
from bulkseed.client.operations import Operation
from bulkseed.client.sanitize import REQUEST_ID, is_good, shaped
from bulkseed.client.service_time import ServiceTime
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.work_item import WorkItem
from bulkseed.ledger import AttemptRecord
from bulkseed.model import Created, Fault, NoReply, SecretDefinition
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.policy.steps import Answer
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.message import QuotaGroup, Response, Transport


class Client:
    """Makes attempts and keeps count of them."""

    def __init__(
        self,
        transport: Transport,
        signers: SignerCache,
        lanes: Mapping[QuotaGroup, Pacer],
        clock: Clock,
        stats: Stats,
        recorder: Recorder,
        nonce: Callable[[], str] = new_nonce,
    ) -> None:
        self.time = ServiceTime()
        self._transport = transport
        self._keyring = signers
        self._lanes = lanes
        self._clock = clock
        self._stats = stats
        self._recorder = recorder
        self._nonce = nonce
        self._arn_prefix: str | None = None  # of the last good one; it is the same for all of an account

    async def attempt(self, errand: WorkItem, exchange: Operation) -> Answer | None:
        """Make one attempt; None when the run is stopping and nothing was sent.

        It goes on record here, but for one that created: that goes on record, and is told of, with its end.

        Raises:
            CredentialsError: the credentials have expired and no new ones can be had.
        """
        definition = errand.claim.definition
        call = exchange.encode(definition)
        lane = self._lanes[exchange.lane]
        permit = await lane.acquire()
        if permit is None:
            return None
        answer: Answer = _CANCELLED
        status = None
        try:
            signer = self._keyring.lasting or await self._keyring.signer()
            request = signer.sign(call, self._clock.wall() + self.time.correction, self._nonce())
            response = await self._transport.send(request, permit.written)
            if isinstance(response, NoReply):
                answer = response
            else:
                answer = self._understand(response, exchange, definition)
                status = response.status
        finally:  # what was sent counts, also when the run is cancelled meanwhile
            permit.release()
            if permit.sent_at is not None:
                latency = self._clock.monotonic() - permit.sent_at
                self._count(errand, exchange, permit.sent_at, latency, status, answer)
        if permit.sent_at is None:  # nothing was sent, so nothing is counted
            if isinstance(answer, NoReply):
                self._stats.last_problem = answer.reason
        elif isinstance(answer, Fault):
            throttled = classify(answer) is Verdict.THROTTLED
            lane.answered(latency, throttled=throttled, retry_after=answer.retry_after)
        else:
            lane.answered(latency)
        return answer

    async def disown(self, errand: WorkItem) -> None:
        """Put on disk that what an errand's definition names is not ours."""
        await self._recorder.disown(errand.claim.row_id)

    def _understand(self, response: Response, exchange: Operation, definition: SecretDefinition) -> Answer:
        self.time.saw(response, self._clock.time)
        answer = exchange.decode(response, definition, self.time)
        if isinstance(answer, Created):
            self._keep_good(answer, definition)
            return answer
        answer = shaped(answer, definition)
        if isinstance(answer, Fault) and classify(answer) is Verdict.CLOCK:
            self.time.correct(response, self._clock.wall())
        return answer

    def _keep_good(self, created: Created, definition: SecretDefinition) -> None:
        """Do as `shaped` does, at a third of its price.

        But for a value that the prefix holds, such as the account's number: it stands in other rows anyway.
        """
        prefix = self._arn_prefix
        if prefix is None or created.arn != prefix + definition.name:
            shaped(created, definition)
            self._arn_prefix = created.arn and created.arn.removesuffix(definition.name)
        elif not is_good(created.request_id, REQUEST_ID, definition):
            created.request_id = None

    def _count(
        self,
        errand: WorkItem,
        exchange: Operation,
        sent_at: float,
        latency: float,
        status: int | None,
        answer: Answer,
    ) -> None:
        errand.sent_at = sent = self._clock.stamp(sent_at)
        errand.latency = latency
        errand.attempts += 1
        if errand.first_sent_at is None:
            errand.first_sent_at = sent
        stats = self._stats
        stats.attempts += 1
        stats.retried += exchange is errand.last
        errand.last = exchange
        if isinstance(answer, Created):
            stats.latencies.add(latency)
            return
        code = None
        if isinstance(answer, Fault):
            code = answer.code
            verdict = classify(answer)
            stats.throttled += verdict is Verdict.THROTTLED
            if verdict in _TROUBLE:  # of others it is the definition's end that tells
                stats.last_problem = code
        elif isinstance(answer, NoReply):
            stats.last_problem = answer.reason
        if not isinstance(answer, NoReply):
            stats.latencies.add(latency)
        attempt = AttemptRecord(errand.claim.row_id, exchange.lane, sent, latency, status, code)
        self._recorder.attempted(attempt)
        if stats.on_attempt is not None:
            stats.on_attempt(attempt)


_TROUBLE = (Verdict.RETRY, Verdict.THROTTLED, Verdict.CLOCK, Verdict.ABORT)
_CANCELLED = NoReply("the run was cancelled", maybe_applied=True)
