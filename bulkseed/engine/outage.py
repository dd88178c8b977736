"""When to hold back: outages of the service, or of a source.

An outage is: for some seconds nothing got through. Definitions do not burn their attempts in it; one attempt
at a time looks whether it is over. An outage that lasts too long stops the run: how long counts, not how many
attempts failed meanwhile. A service that has not answered at all is waited for as one that is starting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import STOPPED_EARLY, Stop
from bulkseed.model import Fault, NoReply
from bulkseed.policy.verdicts import Verdict, classify

OUTAGE_AFTER = 5.0
"""Seconds without anything getting through that make an outage, if `OUTAGE_FAILURES` attempts failed."""
OUTAGE_FAILURES = 10
FIRST_ANSWER_WITHIN = 60.0
"""Seconds that a service may take until its first answer, where `patience` is not shorter."""
NO_SUCH_HOST_FOR = OUTAGE_AFTER
"""Seconds after which a name without an address is a wrong one, if the service has never answered."""
TRIAL_EVERY = 5.0
"""Seconds between looks whether the outage is over."""

_FAILURES = (Verdict.RETRY, Verdict.THROTTLED)
_PROBLEMS = (Verdict.RETRY, Verdict.THROTTLED, Verdict.CLOCK, Verdict.ABORT)
"""Of other refusals it is the item's end that tells."""


class Answerer(NamedTuple):
    """Who is asked, and what to look at where it has never answered."""

    name: str
    look_at: str


SERVICE = Answerer("the service", "--endpoint")
SOURCE = Answerer("the source", "its address")


class OutageMonitor:
    """Follows the answers of a run, those of `of`.

    `patience`: seconds after which an outage ends the run. `outage` is true while nothing gets through;
    `stats` shows that, too.
    """

    def __init__(
        self,
        now: Callable[[], float],
        stop: Stop,
        stats: Stats,
        *,
        patience: float,
        of: Answerer = SERVICE,
    ) -> None:
        self._of = of
        self._now = now
        self._stop = stop
        self._stats = stats
        self._patience = patience
        self._last_success: float | None = None
        self._first_failure: float | None = None
        self._failures = 0
        self.outage = False
        self._began = 0.0  # the outage, if there is one
        self._lost = 0.0
        self._trial = asyncio.Lock()

    def working_time(self) -> float:
        """Return a clock that stands still during outages, so that they do not use up retry budgets."""
        return (self._began if self.outage else self._now()) - self._lost

    def answered(self, answer: object) -> None:
        """Take note of an answer; stop the run if there is no sense in going on."""
        if not isinstance(answer, Fault | NoReply):
            self.got_through()
            return
        verdict = classify(answer)
        if verdict in _PROBLEMS:
            self._stats.last_problem = answer.code if isinstance(answer, Fault) else answer.reason
        if verdict not in _FAILURES:
            self.got_through()
            return
        self._failures += 1
        if self._first_failure is None:
            self._first_failure = self._now()
        never = self._last_success is None
        if never and isinstance(answer, Fault) and not answer.code.startswith("HTTP"):
            return  # it is there, and refuses; a gateway that has no service behind it does not say why
        since = self._first_failure if self._last_success is None else self._last_success
        silent = self._now() - since
        if not self.outage and silent > OUTAGE_AFTER and (never or self._failures >= OUTAGE_FAILURES):
            self.outage = True
            self._stats.silent.append(self._of.name)
            self._began = since
        patience = min(self._patience, FIRST_ANSWER_WITHIN) if never else self._patience
        if never and isinstance(answer, NoReply) and answer.no_such_host:
            patience = min(patience, NO_SUCH_HOST_FOR)
        if self.outage and silent > patience:
            name = self._of.name
            why = f"nothing got through for {silent:.0f} s: check {name}, then run again to resume"
            if never:
                said = answer.code if isinstance(answer, Fault) else answer.reason
                why = f"{name} never answered ({said}): check {self._of.look_at} and the network"
            self._stop.request(why, STOPPED_EARLY)

    def got_through(self) -> None:
        """Take note of an answer that shows that the service is there."""
        now = self._now()
        if self.outage:
            self._lost += now - self._began
            self.outage = False
            self._stats.silent.remove(self._of.name)
        self._last_success = now
        self._failures = 0

    async def hold(self) -> bool:
        """Wait for a turn to look whether the outage is over. False: the run is stopping."""
        async with self._trial:
            return not self._stop.requested and (not self.outage or await self._stop.sleep(TRIAL_EVERY))
