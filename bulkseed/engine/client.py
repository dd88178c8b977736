"""One attempt, from definition to answer: a token of its lane, a fresh signature, the transport, decoding.

A reply may echo a value, so what it says is checked for its shape here, before a row or a log can carry it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from bulkseed.engine.clock import Clock, ServiceTime
from bulkseed.engine.credentials import Keyring
from bulkseed.engine.exchange import STEPS
from bulkseed.engine.pacer import Pacer
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.ledger import AttemptRecord, Claim
from bulkseed.model import Created, Fault, Lost
from bulkseed.policy.advice import ADVICE
from bulkseed.policy.journey import Answer, Step
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.message import Lane, Transport


def new_nonce() -> str:
    """Return 32 random hex digits."""
    return os.urandom(16).hex()


class Errand:
    """A claim on its way, with what its attempts have left so far."""

    __slots__ = ("attempts", "claim", "first_sent_at")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.attempts = 0
        self.first_sent_at: float | None = None


class Client:
    """Makes attempts and keeps count of them."""

    def __init__(
        self,
        transport: Transport,
        keyring: Keyring,
        lanes: Mapping[Lane, Pacer],
        clock: Clock,
        stats: Stats,
        recorder: Recorder,
        nonce: Callable[[], str] = new_nonce,
    ) -> None:
        self.time = ServiceTime()
        self._transport = transport
        self._keyring = keyring
        self._lanes = lanes
        self._clock = clock
        self._stats = stats
        self._recorder = recorder
        self._nonce = nonce

    async def attempt(self, errand: Errand, step: Step) -> Answer | None:
        """Make one attempt; None when the run is stopping and nothing was sent.

        Raises:
            CredentialsError: the credentials have expired and no new ones can be had.
        """
        exchange = STEPS[step]
        definition = errand.claim.definition
        call = exchange.encode(definition)
        lane = self._lanes[exchange.lane]
        permit = await lane.acquire()
        if permit is None:
            return None
        try:
            signer = await self._keyring.signer()
            request = signer.sign(call, self._clock.wall() + self.time.correction, self._nonce())
            response = await self._transport.send(request, permit.written)
        finally:
            permit.release()
        done = self._clock.monotonic()
        if isinstance(response, Lost):
            answer: Answer = response
            status = None
        else:
            now = self._clock.wall()
            date = response.headers.get("date")
            self.time.saw(date, now)
            answer = shaped(exchange.decode(response, definition, self.time), definition.name)
            status = response.status
            if isinstance(answer, Fault) and classify(answer) is Verdict.CLOCK:
                self.time.correct(date, now)
        if permit.sent_at is not None:
            self._count(errand, exchange.lane, permit.sent_at, done, status, answer)
            lane.answered(
                done - permit.sent_at,
                throttled=isinstance(answer, Fault) and classify(answer) is Verdict.THROTTLED,
                retry_after=answer.retry_after if isinstance(answer, Fault) else None,
            )
        return answer

    def _count(
        self, errand: Errand, lane: Lane, sent_at: float, done: float, status: int | None, answer: Answer
    ) -> None:
        sent = self._clock.stamp(sent_at)
        errand.attempts += 1
        if errand.first_sent_at is None:
            errand.first_sent_at = sent
        stats = self._stats
        stats.attempts += 1
        code = None
        if isinstance(answer, Fault):
            code = answer.code
            stats.throttled += classify(answer) is Verdict.THROTTLED
            stats.last_problem = code
        elif isinstance(answer, Lost):
            stats.last_problem = answer.reason
        if not isinstance(answer, Lost):
            stats.latencies.add(done - sent_at)
        self._recorder.attempted(AttemptRecord(errand.claim.row_id, lane, sent, done - sent_at, status, code))


_REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{8,64}")
_CODE = re.compile(r"[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*){0,3}|HTTP\d{3}")
_ARN = re.compile(r"acs:kms:[a-z0-9-]{1,40}:\d{1,20}:secret/")


def shaped(answer: Answer, name: str) -> Answer:
    """Return `answer` without what does not look like what it claims to be."""
    if isinstance(answer, Created):
        good_id = answer.request_id is not None and _REQUEST_ID.fullmatch(answer.request_id)
        good_arn = (
            answer.arn is not None
            and (start := _ARN.match(answer.arn)) is not None
            and answer.arn[start.end() :] == name
        )
        if good_id and good_arn:
            return answer
        return Created(answer.request_id if good_id else None, answer.arn if good_arn else None)
    if isinstance(answer, Fault):
        good_id = answer.request_id is not None and _REQUEST_ID.fullmatch(answer.request_id)
        good_code = answer.code in ADVICE or (len(answer.code) <= 80 and _CODE.fullmatch(answer.code))
        return Fault(
            code=answer.code if good_code else "Unreadable",
            status=answer.status,
            request_id=answer.request_id if good_id else None,
            retry_after=answer.retry_after,
        )
    return answer
