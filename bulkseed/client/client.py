"""One attempt: a token of its quota group, a fresh signature, the transport, decoding, and who hears of it.

This is the only place that makes attempts. Rules that live here: what was sent is told to the observers,
also when the run is cancelled meanwhile; a reply is checked before anybody can see it, as it may echo a
value; the service's clock is learnt from every reply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from bulkseed.client.credentials import SignerCache
from bulkseed.client.nonce import nonces
from bulkseed.client.operations import Operation
from bulkseed.client.sanitize import CreatedCheck, sanitized
from bulkseed.client.service_time import ServiceTime
from bulkseed.client.work_item import WorkItem
from bulkseed.model import Created, Fault, NoReply, QuotaGroup
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.permit import Permit
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.transport.results import CancelledAfterReplyError
from bulkseed.wire.message import Response, Transport

Item = TypeVar("Item")
A = TypeVar("A")

Observer = Callable[[WorkItem[Any], Operation[Any, Any], int | None, Any], object]
"""Called with every attempt that was sent, when it has ended: item, operation, status (None without a reply),
answer."""


class Client:
    """Makes attempts, from any number of tasks of one event loop.

    Attributes:
        time: what replies have told about the service's clock.
    """

    def __init__(
        self,
        transport: Transport,
        signers: SignerCache,
        pacers: Mapping[QuotaGroup, Pacer],
        clock: Clock,
        observers: Sequence[Observer] = (),
        time: ServiceTime | None = None,
    ) -> None:
        self.time = time or ServiceTime()
        self._transport = transport
        self._signers = signers
        self._pacers = pacers
        self._clock = clock
        self._observers = tuple(observers)
        self._nonce = nonces().__next__
        self._check_created = CreatedCheck()

    async def call(self, operation: Operation[Item, A], work: WorkItem[Item]) -> A | Fault | NoReply | None:
        """Make one attempt; None when the pacer was closed and nothing was sent.

        Raises:
            CredentialsError: the credentials have expired and no new ones can be had.
        """
        call = operation.encode(work.item)
        pacer = self._pacers[operation.group]
        permit = await pacer.acquire()
        if permit is None:
            return None
        answer: A | Fault | NoReply = _CANCELLED
        status: int | None = None
        latency = 0.0
        round_trip: float | None = None
        try:
            signer = self._signers.lasting or await self._signers.signer()
            work.wall, work.ahead = self._clock.wall_there(), self.time.known_ahead(self._clock)
            request = signer.sign(call, self._clock.wall() + self.time.correction, self._nonce())
            response = await self._transport.send(request, partial(pacer.wrote, permit))
            if isinstance(response, NoReply):
                answer = response
            else:
                answer = self._read(response, operation, work.item, permit)
                status = response.status
                round_trip = response.round_trip
        except CancelledAfterReplyError as cancelled:
            if isinstance(cancelled.reply, Response):
                cancelled.answer = answer = self._read(cancelled.reply, operation, work.item, permit)
                status = cancelled.reply.status
            raise
        finally:  # what was sent counts, also when the run is cancelled meanwhile
            pacer.ended(permit)
            if permit.sent_at is not None:
                latency = self._clock.monotonic() - permit.sent_at
                self._tell(work, operation, permit.sent_at, latency, status, answer)
        if permit.sent_at is None:
            return answer
        if isinstance(answer, Fault):
            throttled = classify(answer) is Verdict.THROTTLED
            pacer.answered(latency, throttled, answer.retry_after, round_trip)
        else:
            pacer.answered(latency, round_trip=round_trip)
        return answer

    def _read(
        self, response: Response, operation: Operation[Item, A], item: Item, permit: Permit
    ) -> A | Fault | NoReply:
        if permit.sent_at is not None:
            self.time.saw(response, self._clock, permit.sent_at)
        answer = operation.decode(response, item, self.time)
        if isinstance(answer, Created):
            self._check_created(answer, item)
            return answer
        answer = sanitized(answer, item)
        if isinstance(answer, Fault) and classify(answer) is Verdict.CLOCK:
            self.time.correct(response, self._clock.wall())
        return answer

    def _tell(
        self,
        work: WorkItem[Item],
        operation: Operation[Item, A],
        sent_at: float,
        latency: float,
        status: int | None,
        answer: A | Fault | NoReply,
    ) -> None:
        work.sent_at = sent = self._clock.stamp(sent_at)
        work.latency = latency
        work.attempts += 1
        work.repeated = operation is work.last
        work.last = operation
        if work.first_sent_at is None:
            work.first_sent_at = sent
        for observe in self._observers:
            observe(work, operation, status, answer)


_CANCELLED = NoReply("the run was cancelled", maybe_applied=True)
