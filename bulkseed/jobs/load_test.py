"""An open-loop load: a request leaves when it is due, whether or not earlier ones were answered.

Workers that wait for replies send less while the service is slow, and so hide the slowness that they are to
measure ("coordinated omission"). Here every latency counts from the moment its request was due, and waiting
for a connection is a part of it.

A ladder climbs from rate to rate until the service does not keep up; the last rate it did is its knee. What
was created is deleted again by `bulkseed.jobs.load_test_cleanup`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkseed.client.credentials import SignerCache
from bulkseed.client.nonce import new_nonce
from bulkseed.client.sanitize import shaped
from bulkseed.engine.driver import STOPPED_EARLY, wall
from bulkseed.engine.outage import Health
from bulkseed.engine.stats import Latencies
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError
from bulkseed.model import Created, Fault, NoReply, Origin, SecretDefinition, SecretValue
from bulkseed.pacing.clock import Clock
from bulkseed.policy.steps import Aborted
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied
from bulkseed.wire.actions import create_secret
from bulkseed.wire.message import Transport

MOST_UNANSWERED = 20_000
"""A rung ends when this many wait: the service is far behind, and more would only use up memory."""

ENOUGH = 0.99
"""The share of arrivals that must be created, and answered in time, for a rate to count as kept up with."""

_FOR_ALL = {Verdict.ABORT, Verdict.CLOCK}


@dataclass(slots=True)
class Rung:
    """One rate of the ladder. Latencies are of what was created; `written` is due → first byte sent.

    `problems` counts refusals by code, and lost requests by reason.
    """

    rate: float
    due: int
    arrivals: int = 0
    created: int = 0
    throttled: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    written: Latencies = field(default_factory=Latencies)
    seconds: float = 0.0  # from the first arrival to the last answer

    def kept_up(self, p99: float) -> bool:
        """Tell whether nearly all that was due was created, within `p99` seconds."""
        slow = self.latencies.percentile(ENOUGH)
        return self.created >= ENOUGH * self.due and slow is not None and slow <= p99

    def as_dict(self) -> dict[str, Any]:
        """Return the shape that ``--output json`` prints."""
        p999 = self.latencies.percentile(0.999)
        latency = self.latencies.as_milliseconds()
        latency["p99.9"] = None if p999 is None else round(p999 * 1000, 1)
        return {
            "rate": self.rate,
            "due": self.due,
            "arrivals": self.arrivals,
            "created": self.created,
            "throttled": self.throttled,
            "problems": dict(self.problems.most_common()),
            "seconds": round(self.seconds, 3),
            "created_per_second": round(self.created / self.seconds, 3) if self.seconds else 0.0,
            "latency_ms": latency,
            "due_to_written_ms": self.written.as_milliseconds(),
        }


def synthetic(prefix: str, value_bytes: int) -> Iterator[SecretDefinition]:
    """Yield definitions without end: names below `prefix`, obviously fake values."""
    value = SecretValue("fake-not-a-secret-".ljust(value_bytes, "x")[:value_bytes])
    number = 0
    while True:
        number += 1
        yield SecretDefinition(f"{prefix}/{number}", value, "v1", Origin(prefix, number))


class Bench:
    """Climbs the ladder.

    Attributes:
        rungs: what was measured, in order.
        created: names that the service said it created.
        doubtful: names of requests that were not answered, or not clearly: they may exist.
    """

    def __init__(self, transport: Transport, signers: SignerCache, clock: Clock, stop: Stop) -> None:
        self.rungs: list[Rung] = []
        self.created: list[str] = []
        self.doubtful: list[str] = []
        self._transport = transport
        self._keyring = signers
        self._clock = clock
        self._stop = stop
        self._health = Health(clock.monotonic, patience=60.0, stop_after=50)
        self._unanswered = 0

    async def climb(
        self,
        definitions: Iterator[SecretDefinition],
        ladder: Sequence[tuple[float, int]],
        p99: float,
        on_rung: Callable[[Rung], None] | None = None,
    ) -> float | None:
        """Send `ladder` (requests a second, how many); return the knee, None if the first is too much.

        `p99`: seconds within which 99 % must be created.
        """
        knee = None
        for rate, count in ladder:
            rung = Rung(rate, count)
            self.rungs.append(rung)
            await self._send(definitions, rung)
            if on_rung is not None:
                on_rung(rung)
            if self._stop.requested or not rung.kept_up(p99):
                break
            knee = rate
        return knee

    async def _send(self, definitions: Iterator[SecretDefinition], rung: Rung) -> None:
        began = self._clock.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(rung.due):
                due = began + number / rung.rate
                wait = due - self._clock.monotonic()
                if wait > 0.1:
                    await self._stop.sleep(wait)
                elif wait > 0:
                    await asyncio.sleep(wait)
                elif number % 16 == 0:
                    await asyncio.sleep(0)  # late: what is due goes out at once, but replies are read too
                if self._stop.requested or self._unanswered >= MOST_UNANSWERED:
                    break
                definition = next(definitions, None)
                if definition is None:
                    rung.due = number
                    break
                rung.arrivals += 1
                self._unanswered += 1
                group.create_task(self._shoot(definition, due, rung))
        rung.seconds = self._clock.monotonic() - began

    async def _shoot(self, definition: SecretDefinition, due: float, rung: Rung) -> None:
        now = self._clock.monotonic

        def on_write() -> None:
            rung.written.add(now() - due)

        answer: Created | Fault | NoReply = NoReply("cancelled", maybe_applied=True)
        try:
            signer = await self._keyring.signer()
            request = signer.sign(create_secret.encode(definition), self._clock.wall(), new_nonce())
            response = await self._transport.send(request, on_write)
            answer = response if isinstance(response, NoReply) else create_secret.decode(response)
        except BulkseedError as error:
            answer = NoReply("not sent", maybe_applied=False)
            self._stop.request(str(error), error.exit_code)
        finally:
            self._unanswered -= 1
            self._count(definition, answer, now() - due, rung)

    def _count(
        self, definition: SecretDefinition, answer: Created | Fault | NoReply, latency: float, rung: Rung
    ) -> None:
        if isinstance(answer, Created):
            rung.created += 1
            rung.latencies.add(latency)
            self.created.append(definition.name)
            self._health.answered(answer)
            return
        if maybe_applied(answer):
            self.doubtful.append(definition.name)
        shown = shaped(answer, definition)  # codes may be anything, and are printed
        rung.problems[shown.code if isinstance(shown, Fault) else answer.reason] += 1  # type: ignore[union-attr]  # a NoReply stays one
        verdict = classify(answer)
        rung.throttled += verdict is Verdict.THROTTLED
        reason = wall(Aborted(answer, doubt=False)) if verdict in _FOR_ALL else self._health.answered(answer)
        if reason is not None:
            self._stop.request(reason, STOPPED_EARLY)
