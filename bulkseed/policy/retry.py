"""The state of one procedure: attempts made, budget used, and the doubt that they left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bulkseed.model import Fault, NoReply
from bulkseed.policy.backoff import LONGEST_PAUSE, RetryPolicy, delay
from bulkseed.policy.moments import Sending
from bulkseed.policy.steps import GiveUp, Procedure, Step, Wait
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied

A = TypeVar("A")

_REPEATED = (Verdict.RETRY, Verdict.THROTTLED, Verdict.CLOCK)


class RetryState:
    """The state of one procedure: attempts made, budget used, and the doubt that they left.

    `doubt_since` is when the first attempt was made whose effect is not known. `time` gives the moment of
    what is sent now; `now` is the clock of the retry budget, in seconds, which may stand still at times.
    """

    __slots__ = (
        "_asked_at",
        "_attempts",
        "_clock_refused",
        "_first_at",
        "_now",
        "_policy",
        "_rng",
        "_time",
        "doubt_since",
    )

    def __init__(
        self,
        policy: RetryPolicy,
        doubt_since: Sending | None,
        time: Callable[[], Sending],
        now: Callable[[], float],
        rng: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._time = time
        self._now = now
        self._rng = rng
        self._asked_at: Sending | None = None
        self._attempts = 0
        self._first_at: float | None = None
        self._clock_refused = False
        self.doubt_since = doubt_since

    def begun(self, asked_at: Sending, first_at: float) -> None:
        """Say when the first step was asked, if that was before the procedure began."""
        self._asked_at = asked_at
        self._first_at = first_at

    def ask(self, step: Step[A]) -> Procedure[A | Fault]:
        """Make a request until it is answered for good: by a success, or a refusal that would come again.

        Raises:
            GiveUp: attempts or budget ran out, or every later call would fail too.
        """
        while True:
            answer = yield from self.ask_once(step)
            if not isinstance(answer, NoReply) and not self.may_repeat(step, answer):
                return answer

    def ask_once(self, step: Step[A]) -> Procedure[A | Fault | NoReply]:
        """Make a request once; after an answer that lets it be repeated, wait before returning it.

        Raises:
            GiveUp: attempts or budget ran out, or every later call would fail too.
        """
        if self._attempts or self._first_at is None:
            self._asked_at = self._time()
        if self._first_at is None:
            self._first_at = self._now()
        answer: A | Fault | NoReply = yield step
        self._attempts += 1
        if not isinstance(answer, Fault | NoReply):
            return answer
        self.saw(step, answer)
        verdict = classify(answer, step)
        if verdict is Verdict.ABORT or (verdict is Verdict.CLOCK and self._clock_refused):
            raise GiveUp(answer, abort=True)
        self._clock_refused = verdict is Verdict.CLOCK
        if verdict is not Verdict.CLOCK and verdict in _REPEATED:
            yield Wait(self._pause(answer))
        return answer

    def may_repeat(self, step: Step[Any], answer: object) -> bool:
        """Tell whether the request that was answered so is to be made again."""
        return isinstance(answer, Fault | NoReply) and classify(answer, step) in _REPEATED

    def saw(self, step: Step[Any], answer: object) -> None:
        """Note the doubt that an answer leaves; the driver calls it for answers that it does not pass on."""
        if not step.leaves_doubt or self.doubt_since is not None:
            return
        if isinstance(answer, Fault | NoReply) and maybe_applied(answer):
            self.doubt_since = self._asked_at

    @property
    def in_doubt(self) -> bool:
        """True while an attempt of ours may have had effect without our knowing."""
        return self.doubt_since is not None

    def _pause(self, answer: Fault | NoReply) -> float:
        seconds = delay(self._policy, self._attempts, self._rng())
        if isinstance(answer, Fault) and answer.retry_after is not None:
            seconds = max(seconds, min(answer.retry_after, LONGEST_PAUSE))
        used = self._now() - (self._first_at or 0.0)
        if self._attempts >= self._policy.max_attempts or used + seconds > self._policy.budget:
            raise GiveUp(answer, abort=False)
        return seconds
