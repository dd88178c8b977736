"""An open-loop load: a request leaves when it is due, whether or not earlier ones were answered.

Workers that wait for replies send less while the service is slow, and so hide the slowness that they are to
measure ("coordinated omission"). Here every latency counts from the moment its request was due, and waiting
for a connection is a part of it.

A ladder climbs from rate to rate until the service does not keep up; the last rate it did is its knee. What
was created is deleted again by `bulkseed.jobs.load_test_cleanup`.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkseed.client.operations import CREATE
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.lane import Lane
from bulkseed.engine.outage import OutageMonitor
from bulkseed.engine.stats import Latencies, Stats
from bulkseed.engine.stop import STOPPED_EARLY, Stop
from bulkseed.errors import BulkseedError
from bulkseed.model import Created, Fault, NoReply, Origin, SecretDefinition, SecretValue
from bulkseed.policy.advice import abort_message
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied

MOST_UNANSWERED = 20_000
"""A rung ends when this many wait: the service is far behind, and more would only use up memory."""

ENOUGH = 0.99
"""The share of arrivals that must be created, and answered in time, for a rate to count as kept up with."""


@dataclass(slots=True)
class RateStep:
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


class LoadTest:
    """Climbs the ladder, on a lane that holds nothing back (no limits, does not adapt).

    Attributes:
        rungs: what was measured, in order.
        created: names that the service said it created.
        doubtful: names of requests that were not answered, or not clearly: they may exist.
    """

    def __init__(self, lane: Lane, stop: Stop) -> None:
        self.rungs: list[RateStep] = []
        self.created: list[str] = []
        self.doubtful: list[str] = []
        self._client = lane.client()
        self._clock = lane.clock
        self._stop = stop
        self._outage = OutageMonitor(lane.clock.awake, stop, Stats(), patience=60.0)
        self._unanswered = 0
        self._corrected_at = math.inf  # the clock; requests from before may be refused for it yet

    async def climb(
        self,
        definitions: Iterator[SecretDefinition],
        ladder: Sequence[tuple[float, int]],
        p99: float,
        on_rung: Callable[[RateStep], None] | None = None,
    ) -> float | None:
        """Send `ladder` (requests a second, how many); return the knee, None if the first is too much.

        `p99`: seconds within which 99 % must be created.
        """
        knee = None
        for rate, count in ladder:
            rung = RateStep(rate, count)
            self.rungs.append(rung)
            await self._send(definitions, rung)
            if on_rung is not None:
                on_rung(rung)
            if self._stop.requested or not rung.kept_up(p99):
                break
            knee = rate
        return knee

    async def _send(self, definitions: Iterator[SecretDefinition], rung: RateStep) -> None:
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
                group.create_task(self._send_one(definition, due, rung))
        rung.seconds = self._clock.monotonic() - began

    async def _send_one(self, definition: SecretDefinition, due: float, rung: RateStep) -> None:
        work = WorkItem(definition)
        answer: Created | Fault | NoReply | None = NoReply("cancelled", maybe_applied=True)
        try:
            answer = await self._client.call(CREATE, work)
        except BulkseedError as error:
            answer = NoReply("not sent", maybe_applied=False)
            self._stop.request(str(error), error.exit_code)
        finally:
            self._unanswered -= 1
            if work.attempts:
                rung.written.add(work.sent_at - self._clock.stamp(due))
            if answer is not None:
                self._count(work, answer, self._clock.monotonic() - due, rung)

    def _count(
        self,
        work: WorkItem[SecretDefinition],
        answer: Created | Fault | NoReply,
        latency: float,
        rung: RateStep,
    ) -> None:
        if isinstance(answer, Created):
            rung.created += 1
            rung.latencies.add(latency)
            self.created.append(work.item.name)
            self._outage.got_through()
            return
        if maybe_applied(answer):
            self.doubtful.append(work.item.name)
        rung.problems[answer.code if isinstance(answer, Fault) else answer.reason] += 1
        verdict = classify(answer)
        rung.throttled += verdict is Verdict.THROTTLED
        refused_again = verdict is Verdict.CLOCK and work.sent_at > self._corrected_at
        if verdict is Verdict.CLOCK:
            self._corrected_at = min(self._corrected_at, self._clock.time())
        if verdict is Verdict.ABORT or refused_again:
            self._stop.request(abort_message(answer), STOPPED_EARLY)
        else:
            self._outage.answered(answer)
