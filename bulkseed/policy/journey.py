"""One definition's way from claim to row, as a generator: it yields steps and is sent their answers.

`journey` decides; the engine acts. The engine sends `None` for a `Wait` that is over or a `Disown` that is on
disk, closes the generator to leave a definition pending, and reads the `Settled` that it returns. Rules that
live here: when doubt arises, how it is resolved, what ``--on-exists`` and ``--on-delete-window`` mean, when
attempts or budget run out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from bulkseed.model import Created, Fault, Lost, Outcome
from bulkseed.policy.backoff import RetryPolicy, delay
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied

MAX_VERSIONS = 10
"""A standard secret keeps this many versions; one more drops the oldest (PutSecretValue page)."""

NOT_READABLE = "exists; whether it is ours is unknown: grant kms:GetSecretValue to find out"
VALUE_LOST = (
    "exists; whether it is ours is unknown: an earlier run may have created it, and the value that it "
    "generated ended with it; ActionTrail tells who created it"
)
LEFT_ALONE = "exists and was left alone: a value is generated for a new secret only"


class Step(Enum):
    """A request to make for this definition."""

    CREATE = auto()
    READ_VERSION = auto()  # the version that the definition names
    READ_CURRENT = auto()  # the version in force
    DESCRIBE = auto()  # when the secret was created
    COUNT_VERSIONS = auto()
    PUT = auto()
    RESTORE = auto()
    DELETE = auto()


@dataclass(slots=True, frozen=True)
class Wait:
    """Do nothing for this long."""

    seconds: float


@dataclass(slots=True, frozen=True)
class Disown:
    """Put on disk that the secret is not ours. A later run could not tell, once it has a version of ours."""


@dataclass(slots=True, frozen=True)
class Found:
    """A version as read back. `created_at` is in our clock's epoch seconds, the latest it can have been."""

    version_id: str
    same_value: bool
    created_at: float | None


@dataclass(slots=True, frozen=True)
class Described:
    """When a secret was created, whatever versions it got since; as in `Found`.

    `dated` is the service's own text, `not_before` the earliest it can have been by our clock. `unchanged`:
    it was never updated since.
    """

    created_at: float | None
    dated: str | None = None
    not_before: float | None = None
    unchanged: bool = False
    to_be_deleted: bool = False


@dataclass(slots=True, frozen=True)
class Counted:
    """How many versions the secret has, and the ids of the first of them."""

    versions: int
    ids: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Done:
    """A write other than CreateSecret succeeded. `current`: its version is known to be the one in force."""

    request_id: str | None = None
    current: bool = True


@dataclass(slots=True)  # one for every secret: freezing would triple what it costs to make
class Settled:
    """How a definition's journey ended. `doubt`: an attempt of ours may yet have taken effect."""

    outcome: Outcome
    code: str | None = None
    message: str | None = None
    status: int | None = None
    request_id: str | None = None
    arn: str | None = None
    doubt: bool = False


@dataclass(slots=True, frozen=True)
class Aborted:
    """The run must stop: `fault` would hit every later call. The definition stays pending."""

    fault: Fault | Lost
    doubt: bool


Answer = Created | Found | Described | Counted | Done | Fault | Lost
Journey = Generator[Step | Wait | Disown, Answer | None, Settled | Aborted]


class OnExists(StrEnum):
    """What ``Rejected.ResourceExist`` means for a secret that is not ours."""

    SKIP = "skip"
    VERIFY = "verify"
    UPDATE = "update"
    FAIL = "fail"


class OnDeleteWindow(StrEnum):
    """What ``Rejected.ResourceInDeleteWindow`` means."""

    FAIL = "fail"
    RESTORE = "restore"


@dataclass(slots=True, frozen=True)
class Rules:
    """The user's choices for a run."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_exists: OnExists = OnExists.SKIP
    on_delete_window: OnDeleteWindow = OnDeleteWindow.FAIL


class GiveUp(Exception):  # noqa: N818  # not an error: it ends the journey from inside a nested generator
    """Ends a journey early, with `end`."""

    def __init__(self, end: Settled | Aborted) -> None:
        self.end = end


class Traveller:
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
            if not isinstance(answer, Fault | Lost):
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
        if isinstance(answer, Fault | Lost) and maybe_applied(answer):
            self.doubt_since = self._asked_at

    @property
    def in_doubt(self) -> bool:
        """True while an attempt of ours may have had effect without our knowing."""
        return self.doubt_since is not None

    def _pause(self, answer: Fault | Lost) -> float:
        seconds = delay(self._retry, self._attempts, self._rng())
        if isinstance(answer, Fault) and answer.retry_after is not None:
            seconds = max(seconds, answer.retry_after)
        assert self._first_at is not None  # noqa: S101  # set before the first attempt
        used = self._now() - self._first_at
        if self._attempts >= self._retry.max_attempts or used + seconds > self._retry.budget:
            raise GiveUp(ended(Outcome.EXHAUSTED, answer, doubt=self.in_doubt))
        return seconds


def ended(
    outcome: Outcome, answer: Fault | Lost | None = None, message: str | None = None, *, doubt: bool = False
) -> Settled:
    """Return an end that `answer` brought about."""
    if isinstance(answer, Fault):
        return Settled(outcome, answer.code or None, message, answer.status, answer.request_id, doubt=doubt)
    if isinstance(answer, Lost):
        return Settled(outcome, None, message or answer.reason, doubt=doubt)
    return Settled(outcome, message=message, doubt=doubt)


def journey(rules: Rules, version_id: str, traveller: Traveller) -> Journey:
    """Carry one definition through; see the module's head for the protocol."""
    try:
        return (yield from _create(rules, version_id, traveller))
    except GiveUp as given_up:
        return given_up.end


def _create(rules: Rules, version_id: str, me: Traveller) -> Journey:
    answer = yield from me.ask(Step.CREATE)
    if isinstance(answer, Created):
        return Settled(Outcome.CREATED, status=200, request_id=answer.request_id, arn=answer.arn)
    assert isinstance(answer, Fault)  # noqa: S101  # ask() returns no Lost
    verdict = classify(answer)
    if verdict is Verdict.IN_DELETE_WINDOW and rules.on_delete_window is OnDeleteWindow.RESTORE:
        restored = yield from me.ask(Step.RESTORE)
        if isinstance(restored, Fault):
            return ended(Outcome.REJECTED, restored, doubt=me.in_doubt)
        answer = Fault("Rejected.ResourceExist", 409, request_id=answer.request_id)  # it is there again
    elif verdict is not Verdict.EXISTED:
        return ended(Outcome.REJECTED, answer, doubt=me.in_doubt)
    if me.doubt_since is not None and not me.theirs:
        return (yield from _probe(rules, version_id, me, me.doubt_since, answer))
    return (yield from _exists(rules, version_id, me, answer))


def _probe(rules: Rules, version_id: str, me: Traveller, since: float, existed: Fault) -> Journey:
    """An attempt of ours went unanswered and now the name is taken: is it our secret?"""
    found = yield from me.ask(Step.READ_VERSION)
    if isinstance(found, Fault):
        if found.code == "Forbidden.ResourceNotFound":  # it lacks the version that ours would have
            return (yield from _exists(rules, version_id, me, existed))
        return _unknown(rules, existed, found)
    assert isinstance(found, Found)  # noqa: S101  # a read is answered by Found or Fault
    if found.created_at is None:
        return _unknown(rules, existed, found)
    if found.version_id != version_id or found.created_at < since:
        return (yield from _exists(rules, version_id, me, existed))
    if found.same_value:
        return Settled(Outcome.ADOPTED, status=200, request_id=existed.request_id)
    if me.value_lost:
        return _unknown(rules, existed, found, VALUE_LOST)
    return (yield from _exists(rules, version_id, me, existed))


def _unknown(rules: Rules, existed: Fault, why: Answer, message: str = NOT_READABLE) -> Settled:
    """It exists, and whether it is ours cannot be found out; the doubt stays on record."""
    refused = isinstance(why, Fault) and why.code != "Forbidden.NoPermission"
    if refused or rules.on_exists is OnExists.FAIL:
        return ended(Outcome.REJECTED, why if isinstance(why, Fault) else existed, doubt=True)
    return ended(Outcome.EXISTING, existed, message, doubt=True)


def _exists(rules: Rules, version_id: str, me: Traveller, existed: Fault) -> Journey:
    if rules.on_exists is OnExists.SKIP:
        return ended(Outcome.EXISTING, existed)
    if rules.on_exists is OnExists.FAIL:
        return ended(Outcome.REJECTED, existed)
    if me.generated:  # another value says nothing about theirs, and is no reason to replace it
        return ended(Outcome.EXISTING, existed, LEFT_ALONE)
    step = Step.READ_VERSION if rules.on_exists is OnExists.VERIFY else Step.READ_CURRENT
    found = yield from me.ask(step)
    if isinstance(found, Fault):
        if found.code == "Forbidden.NoPermission":
            message = "exists and was not compared: grant kms:GetSecretValue to compare"
            return ended(Outcome.EXISTING, existed, message)
        if found.code == "Forbidden.ResourceNotFound" and step is Step.READ_VERSION:
            return ended(Outcome.CONFLICT, found, f"exists without a version {version_id}")
        return ended(Outcome.REJECTED, found)
    assert isinstance(found, Found)  # noqa: S101  # a read is answered by Found or Fault
    if found.same_value:
        if me.theirs and found.version_id == version_id:  # an earlier run's update, whose answer was lost
            return Settled(Outcome.UPDATED, status=200)
        other = None if found.version_id == version_id else f"the current version is {found.version_id}"
        return Settled(Outcome.IDENTICAL, message=other, status=200)
    if found.version_id == version_id:
        message = f"version {version_id} exists with another value"
        if rules.on_exists is OnExists.UPDATE:
            message += ", and a version's value cannot be changed: choose another VersionId"
        return Settled(Outcome.CONFLICT, message=message, status=200)
    return (yield from _update(version_id, me))


def _update(version_id: str, me: Traveller) -> Journey:
    counted = yield from me.ask(Step.COUNT_VERSIONS)
    if isinstance(counted, Fault):
        return ended(Outcome.REJECTED, counted)
    assert isinstance(counted, Counted)  # noqa: S101  # a count is answered by Counted or Fault
    if counted.versions >= MAX_VERSIONS:
        message = (
            f"has {counted.versions} versions already: a new one would drop the oldest; remove one first"
        )
        return Settled(Outcome.CONFLICT, message=message, status=200)
    yield Disown()
    put = yield from me.ask(Step.PUT)
    if isinstance(put, Fault):
        if classify(put) is Verdict.EXISTED:
            message = (
                f"version {version_id} exists with another value, and a version's value cannot be changed: "
                "choose another VersionId"
            )
            return ended(Outcome.CONFLICT, put, message)
        return ended(Outcome.REJECTED, put)
    assert isinstance(put, Done)  # noqa: S101  # a write is answered by Done or Fault
    if not put.current:  # the service had it already, and moves no stage then
        found = yield from me.ask(Step.READ_CURRENT)
        if not isinstance(found, Found) or found.version_id != version_id:
            message = (
                f"version {version_id} has this value, but another one is current: choose another VersionId"
            )
            return Settled(Outcome.CONFLICT, message=message, status=200)
    return Settled(Outcome.UPDATED, status=200, request_id=put.request_id)
