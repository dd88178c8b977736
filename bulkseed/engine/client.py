"""One attempt, from definition to answer: a token of its lane, a fresh signature, the transport, decoding.

A reply may echo a value, so what it says is checked for its shape here, before a row or a log can carry it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from bulkseed.engine.clock import Clock, ServiceTime
from bulkseed.engine.credentials import Keyring
from bulkseed.engine.exchange import Exchange
from bulkseed.engine.pacer import Pacer
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.ledger import AttemptRecord, Claim
from bulkseed.model import Created, Fault, Lost, SecretDefinition
from bulkseed.policy.advice import ADVICE
from bulkseed.policy.journey import Answer, Done, Found
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.message import Lane, Response, Transport


def _nonces() -> Iterator[str]:
    while True:  # one call of the kernel for 256 nonces: one for each costs more than a signature
        digits = os.urandom(4096).hex()
        for start in range(0, len(digits), 32):
            yield digits[start : start + 32]


new_nonce = _nonces().__next__
"""Gives 32 random hex digits."""


class Errand:
    """A claim on its way, with what its attempts have left so far.

    `sent_at` and `latency` are those of the last attempt, in seconds.
    """

    __slots__ = ("attempts", "claim", "first_sent_at", "last", "latency", "sent_at")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.attempts = 0
        self.first_sent_at: float | None = None
        self.last: Exchange | None = None
        self.sent_at = 0.0
        self.latency = 0.0


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
        self._arn_prefix: str | None = None  # of the last good one; it is the same for all of an account

    async def attempt(self, errand: Errand, exchange: Exchange) -> Answer | None:
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
            if isinstance(response, Lost):
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
            if isinstance(answer, Lost):
                self._stats.last_problem = answer.reason
        elif isinstance(answer, Fault):
            throttled = classify(answer) is Verdict.THROTTLED
            lane.answered(latency, throttled=throttled, retry_after=answer.retry_after)
        else:
            lane.answered(latency)
        return answer

    async def disown(self, errand: Errand) -> None:
        """Put on disk that what an errand's definition names is not ours."""
        await self._recorder.disown(errand.claim.row_id)

    def _understand(self, response: Response, exchange: Exchange, definition: SecretDefinition) -> Answer:
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
        elif not _good(created.request_id, _REQUEST_ID, definition):
            created.request_id = None

    def _count(
        self,
        errand: Errand,
        exchange: Exchange,
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
        elif isinstance(answer, Lost):
            stats.last_problem = answer.reason
        if not isinstance(answer, Lost):
            stats.latencies.add(latency)
        attempt = AttemptRecord(errand.claim.row_id, exchange.lane, sent, latency, status, code)
        self._recorder.attempted(attempt)
        if stats.on_attempt is not None:
            stats.on_attempt(attempt)


_TROUBLE = (Verdict.RETRY, Verdict.THROTTLED, Verdict.CLOCK, Verdict.ABORT)
_CANCELLED = Lost("the run was cancelled", maybe_applied=True)
_REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{8,64}")
_VERSION_ID = re.compile(r"[0-9A-Za-z_/+=.@-]{1,64}")
_CODE = re.compile(r"[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*){0,3}|HTTP\d{3}")
_ARN_PREFIX = re.compile(r"acs:kms:[a-z0-9-]{1,40}:\d{1,20}:secret/")


def shaped(answer: Answer, definition: SecretDefinition) -> Answer:
    """Return `answer` without what does not look like what it claims to be, or like the value.

    It may be the same object, changed.
    """
    if isinstance(answer, Created):
        if not _good(answer.request_id, _REQUEST_ID, definition):
            answer.request_id = None
        if answer.arn is not None and not _good_arn(answer.arn, definition):
            answer.arn = None
        return answer
    if isinstance(answer, Fault):
        good_code = answer.code in ADVICE or (
            len(answer.code) <= 80 and _good(answer.code, _CODE, definition)
        )
        return Fault(
            code=answer.code if good_code else f"HTTP{answer.status}",
            status=answer.status,
            request_id=answer.request_id if _good(answer.request_id, _REQUEST_ID, definition) else None,
            retry_after=answer.retry_after,
        )
    if isinstance(answer, Done):
        good_id = _good(answer.request_id, _REQUEST_ID, definition)
        return Done(answer.request_id if good_id else None, answer.current)
    if isinstance(answer, Found) and answer.version_id != definition.version_id:
        good_version = _good(answer.version_id, _VERSION_ID, definition)
        return replace(answer, version_id=answer.version_id if good_version else "another one")
    return answer


def plain_code(fault: Fault) -> str:
    """Return the code if it looks like one, else ``HTTP<status>``; for replies to calls without a value."""
    known = fault.code in ADVICE or (len(fault.code) <= 80 and _CODE.fullmatch(fault.code))
    return fault.code if known else f"HTTP{fault.status}"


def _good(text: str | None, shape: re.Pattern[str], definition: SecretDefinition) -> bool:
    return text is not None and shape.fullmatch(text) is not None and not _echoes(text, definition)


def _good_arn(arn: str, definition: SecretDefinition) -> bool:
    prefix = arn.removesuffix(definition.name)
    return len(prefix) + len(definition.name) == len(arn) and _good(prefix, _ARN_PREFIX, definition)


def _echoes(text: str, definition: SecretDefinition) -> bool:
    """Tell whether a reply's text is the value, or a part of it; a short value may be in it by chance."""
    value = definition.data.reveal()
    return text in value or (len(value) >= 6 and value in text)
