"""Single questions to a service, beside or instead of a run: paced by lane, repeated while that helps."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import anyio

from bulkseed.client.credentials import SignerCache
from bulkseed.client.nonce import new_nonce
from bulkseed.client.sanitize import plain_code
from bulkseed.client.service_time import ServiceTime
from bulkseed.errors import ServiceError
from bulkseed.model import Fault, NoReply, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.pacing.quotas import pacers
from bulkseed.policy.advice import advice
from bulkseed.policy.backoff import RetryPolicy, delay
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.transport.choose import open_transport
from bulkseed.wire.message import Call, QuotaGroup, Response, Transport

T = TypeVar("T")

IN_FLIGHT = 48
"""Questions at a time: 450 reads a second need as many when a round trip takes 100 ms."""


class Questioner:
    """Asks one question at a time, from any number of tasks."""

    def __init__(
        self,
        transport: Transport,
        signers: SignerCache,
        lanes: Mapping[QuotaGroup, Pacer],
        clock: Clock,
        retry: RetryPolicy,
    ) -> None:
        self.time = ServiceTime()
        self._transport = transport
        self._keyring = signers
        self._lanes = lanes
        self._clock = clock
        self._retry = retry

    async def ask(
        self, lane: QuotaGroup, call: Call, read: Callable[[Response], T | Fault | NoReply]
    ) -> T | Fault:
        """Return what `read` finds in the reply, or the service's refusal.

        Raises:
            ServiceError: it does not answer, or refuses every call.
            CredentialsError: the credentials have expired and no new ones can be had.
        """
        attempt, began = 0, self._clock.monotonic()
        while True:
            attempt += 1
            answer = await self._attempt(lane, call, read)
            if not isinstance(answer, Fault | NoReply):
                return answer
            verdict = classify(answer)
            if isinstance(answer, Fault) and verdict not in _REPEATED and verdict is not Verdict.ABORT:
                return answer
            spent = attempt >= self._retry.max_attempts or (
                self._clock.monotonic() - began >= self._retry.budget
            )
            if verdict is Verdict.ABORT or spent or (verdict is Verdict.CLOCK and attempt > 1):
                raise ServiceError(_refusal(answer))
            if verdict is not Verdict.CLOCK:
                await anyio.sleep(delay(self._retry, attempt, random.random()))  # noqa: S311  # jitter

    async def _attempt(
        self, lane: QuotaGroup, call: Call, read: Callable[[Response], T | Fault | NoReply]
    ) -> T | Fault | NoReply:
        pacer = self._lanes[lane]
        permit = await pacer.acquire()
        assert permit is not None  # noqa: S101  # these lanes are never closed
        try:
            signer = await self._keyring.signer()
            request = signer.sign(call, self._clock.wall() + self.time.correction, new_nonce())
            response = await self._transport.send(request, permit.written)
        finally:
            permit.release()
        if isinstance(response, NoReply):
            return response
        self.time.saw(response, self._clock.time)
        answer = read(response)
        verdict, retry_after = None, None
        if isinstance(answer, Fault):
            answer = replace(answer, code=plain_code(answer))
            verdict, retry_after = classify(answer), answer.retry_after
            if verdict is Verdict.CLOCK:
                self.time.correct(response, self._clock.wall())
        if permit.sent_at is not None:
            latency = self._clock.monotonic() - permit.sent_at
            pacer.answered(latency, verdict is Verdict.THROTTLED, retry_after)
        return answer


_REPEATED = {Verdict.RETRY, Verdict.THROTTLED, Verdict.CLOCK}


def _refusal(answer: Fault | NoReply) -> str:
    if isinstance(answer, NoReply):
        return f"the service does not answer: {answer.reason}"
    told = advice(answer.code)
    return f"{answer.code}: {told.meaning}; {told.action}"


@asynccontextmanager
async def open_questioner(target: Target, retry: RetryPolicy | None = None) -> AsyncIterator[Questioner]:
    """Give a questioner with the quotas of the service's lanes.

    Raises:
        CredentialsError: there are no credentials.
        UsageError: the target's endpoint makes no sense.
    """
    clock = Clock()
    signers = SignerCache(target, clock)
    await signers.signer()
    async with open_transport(target.endpoint, connections=IN_FLIGHT, ca_file=target.ca_file) as transport:
        yield Questioner(transport, signers, pacers({}, clock), clock, retry or RetryPolicy())
