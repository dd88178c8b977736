"""When to hold back and when to stop: outages of the service, and the stop-loss.

An outage is: the service had answered in this run, and now nothing gets through. Definitions do not burn
their attempts in it; one attempt at a time looks whether it is over. A run that meets a wall stops instead:
the same rejection too often, or a service that never answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bulkseed.engine.stop import Stop
from bulkseed.model import Fault, NoReply, Outcome
from bulkseed.policy.advice import advice
from bulkseed.policy.steps import Answer, Settled
from bulkseed.policy.verdicts import Verdict, classify

OUTAGE_AFTER = 5.0
"""Seconds without anything getting through that make an outage, if `OUTAGE_FAILURES` attempts failed."""
OUTAGE_FAILURES = 10
_FAILURES = (Verdict.RETRY, Verdict.THROTTLED)
TRIAL_EVERY = 5.0
"""Seconds between looks whether the outage is over."""


class Health:
    """Follows the answers of a run. `patience`: seconds after which an outage ends the run.

    `outage` is true while nothing gets through.
    """

    def __init__(self, now: Callable[[], float], patience: float, stop_after: int) -> None:
        self._now = now
        self._patience = patience
        self._stop_after = stop_after
        self._last_success: float | None = None
        self._failures = 0
        self.outage = False
        self._began = 0.0  # the outage, if there is one
        self._lost = 0.0
        self._trial = asyncio.Lock()
        self._streak: tuple[Outcome, str | None] | None = None
        self._streak_length = 0

    def working_time(self) -> float:
        """Return a clock that stands still during outages, so that they do not use up retry budgets."""
        return (self._began if self.outage else self._now()) - self._lost

    def answered(self, answer: Answer) -> str | None:
        """Take note of an answer; return why the run must stop, or None."""
        now = self._now()
        if not isinstance(answer, (Fault, NoReply)) or classify(answer) not in _FAILURES:
            self._got_through(now)
            return None
        self._failures += 1
        if self._last_success is None:
            if isinstance(answer, NoReply) and self._failures >= self._stop_after:
                return f"the service never answered ({answer.reason}): check --endpoint and the network"
            return None
        silent = now - self._last_success
        if not self.outage and silent > OUTAGE_AFTER and self._failures >= OUTAGE_FAILURES:
            self.outage = True
            self._began = self._last_success
        if self.outage and silent > self._patience:
            return f"nothing got through for {silent:.0f} s: check the service, then run again to resume"
        return None

    def created(self) -> None:
        """Take note of a definition that ended with a secret created at the first attempt."""
        self._got_through(self._now())
        self._streak_length = 0

    def _got_through(self, now: float) -> None:
        if self.outage:
            self._lost += now - self._began
            self.outage = False
        self._last_success = now
        self._failures = 0

    async def hold(self, stop: Stop) -> bool:
        """Wait for a turn to look whether the outage is over. False: the run is stopping."""
        async with self._trial:
            return not stop.requested and (not self.outage or await stop.sleep(TRIAL_EVERY))

    def settled(self, end: Settled) -> str | None:
        """Take note of a definition's end; return why the run must stop, or None."""
        if end.outcome is not Outcome.REJECTED and end.outcome is not Outcome.EXHAUSTED:
            self._streak, self._streak_length = None, 0
            return None
        mark = (end.outcome, end.code)
        self._streak_length = self._streak_length + 1 if mark == self._streak else 1
        self._streak = mark
        if self._streak_length < self._stop_after:
            return None
        told = advice(end.code)
        code = f" ({end.code})" if end.code else ""
        what = f"{self._streak_length} definitions in a row were {end.outcome}{code}"
        return f"{what}: {told.meaning}; {told.action}"
