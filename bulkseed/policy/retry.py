"""The state of one procedure: attempts made, budget used, and the doubt that they left."""

from __future__ import annotations

from collections.abc import Callable, Generator

from bulkseed.model import Fault, NoReply, Outcome
from bulkseed.policy.backoff import RetryPolicy, delay
from bulkseed.policy.steps import Aborted, Answer, GiveUp, Step, Wait, ended
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied


class RetryState:
    """The state of one journey: attempts made, budget used, and the doubt that they left.

    `theirs`: an earlier run found that the secret is not ours. `generated`: the value was made up for this
    run, so it can only be compared with what this run sent. `time` gives epoch seconds; `now` is the clock of
    the retry budget, which may stand still at times.
    """

    __slots__ = (
        "_asked_at",
        "_attempts",
        "_first_at",
        "_now",
        "_retry",
        "_rng",
        "_time",
        "doubt_since",
        "generated",
        "theirs",
        "value_lost",
    )

    def __init__(
        self,
        retry: RetryPolicy,
        doubt_since: float | None,
        time: Callable[[], float],
        now: Callable[[], float],
        rng: Callable[[], float],
        *,
        theirs: bool = False,
        generated: bool = False,
    ) -> None:
        self._retry = retry
        self._time = time
        self._now = now
        self._rng = rng
        self._asked_at = 0.0
        self._attempts = 0
        self._first_at: float | None = None
        self.doubt_since = doubt_since
        self.theirs = theirs
        self.generated = generated
        self.value_lost = generated and doubt_since is not None  # an earlier run sent another one

    def set_out(self, asked_at: float, first_at: float) -> None:
        """Say when the first step was asked, by both clocks, if that was before the journey began."""
        self._asked_at = asked_at
        self._first_at = first_at

    def ask(self, step: Step, *, repeat: bool = True) -> Generator[Step | Wait, Answer | None, Answer]:
        """Make a request until it is answered for good; return what is neither RETRY nor THROTTLED.

        Without `repeat` an answer that is comes back after the wait, for a request that others must precede.
        """
        clock_corrected = False
        while True:
            if self._attempts or self._first_at is None:
                self._asked_at = self._time()
            if self._first_at is None:
                self._first_at = self._now()
            answer = yield step
            assert answer is not None  # noqa: S101  # the engine answers every step
            self._attempts += 1
            if not isinstance(answer, Fault | NoReply):
                return answer
            self.saw(step, answer)
            verdict = classify(answer)
            if step is Step.PUT and isinstance(answer, Fault) and answer.code == "Rejected.LimitExceeded":
                return answer  # this secret takes no more versions (PutSecretValue page)
            if verdict is Verdict.ABORT or (verdict is Verdict.CLOCK and clock_corrected):
                raise GiveUp(Aborted(answer, self.in_doubt))
            if verdict is Verdict.CLOCK:
                clock_corrected = True
            elif verdict in {Verdict.RETRY, Verdict.THROTTLED}:
                yield Wait(self._pause(answer))
                if not repeat:
                    return answer
            else:
                return answer

    def saw(self, step: Step, answer: Answer) -> None:
        """Note the doubt that an answer leaves; the engine calls it for answers it does not pass on."""
        if step not in {Step.CREATE, Step.DELETE} or self.doubt_since is not None:
            return
        if isinstance(answer, Fault | NoReply) and maybe_applied(answer):
            self.doubt_since = self._asked_at

    @property
    def in_doubt(self) -> bool:
        """True while an attempt of ours may have had effect without our knowing."""
        return self.doubt_since is not None

    def _pause(self, answer: Fault | NoReply) -> float:
        seconds = delay(self._retry, self._attempts, self._rng())
        if isinstance(answer, Fault) and answer.retry_after is not None:
            seconds = max(seconds, answer.retry_after)
        assert self._first_at is not None  # noqa: S101  # set before the first attempt
        used = self._now() - self._first_at
        if self._attempts >= self._retry.max_attempts or used + seconds > self._retry.budget:
            raise GiveUp(ended(Outcome.EXHAUSTED, answer, doubt=self.in_doubt))
        return seconds
