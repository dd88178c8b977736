"""Drives the creation of one definition by scripted answers, without any I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkseed.model import Created, Fault, NoReply, Outcome, Verified
from bulkseed.policy.create import create
from bulkseed.policy.moments import CreationTime, OurMoment, Sending, ServiceMoment, of_earlier_run
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import (
    COUNT_VERSIONS,
    CREATE,
    PUT,
    READ_CURRENT,
    READ_VERSION,
    RESTORE,
    Aborted,
    Counted,
    Done,
    Ending,
    Found,
    LedgerStep,
    MarkForeign,
    MarkHeld,
    Step,
    Subject,
    Wait,
)

Answer = object

CREATED = Created("0a1b2c3d-0000", "acs:kms:cn-hangzhou:1:secret/a")
EXISTS = Fault("Rejected.ResourceExist", 409)
RESET = NoReply("connection reset", maybe_applied=True)
REFUSED = NoReply("connection refused", maybe_applied=False)
THROTTLED = Fault("Rejected.Throttling", 429, retry_after=3.0)
NO_PERMISSION = Fault("Forbidden.NoPermission", 403)
NOT_FOUND = Fault("Forbidden.ResourceNotFound", 404)
CLAIMED_AT = 1_000.0


def created(at: float) -> CreationTime:
    """Return a creation at a time by our clocks; the service's runs an hour ahead, in whole seconds."""
    return CreationTime(ServiceMoment(at - 1 + 3600), OurMoment(at, at), OurMoment(at - 3, at - 3))


SUCCESS: dict[Step[Any], Answer] = {
    CREATE: CREATED,
    READ_VERSION: Found("v1", same_value=True, created=created(CLAIMED_AT + 1)),
    READ_CURRENT: Found("v0", same_value=False, created=created(CLAIMED_AT - 1)),
    COUNT_VERSIONS: Counted(1),
    PUT: Done(),
    RESTORE: Done(),
}


class Drive:
    """Sends scripted answers to a procedure and keeps what it asked for."""

    def __init__(
        self,
        answers: Sequence[Answer],
        rules: Rules | None = None,
        doubt_since: float | Sending | None = None,
        u: float = 0.5,
        *,
        doubt_service: float | None = None,
        foreign: bool = False,
        generated: bool = False,
        lost: bool = False,
        deleted: tuple[str, str] | None = None,
    ) -> None:
        self.steps: list[Step[Any]] = []
        self.marked_before: Step[Any] | None = None
        self.held: MarkHeld | None = None
        self.waits: list[float] = []
        self.now = 0.0
        rules = rules or Rules()
        if isinstance(doubt_since, float):
            doubt_since = of_earlier_run(doubt_since, doubt_service)
        self.retry_state = RetryState(
            rules.retry,
            doubt_since,
            lambda: of_earlier_run(CLAIMED_AT),
            lambda: self.now,
            lambda: u,
        )
        self.end = self._run(iter(answers), rules, Subject("v1", foreign, generated, lost, *(deleted or ())))

    def _run(self, answers: object, rules: Rules, subject: Subject) -> Ending | Aborted:
        steps = create(rules, subject, self.retry_state)
        answer: Answer | None = None
        marked = False
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, Wait):
                    self.waits.append(step.seconds)
                    self.now += step.seconds
                    answer = None
                elif isinstance(step, MarkHeld):
                    self.held, answer = step, None
                elif isinstance(step, LedgerStep):
                    assert isinstance(step, MarkForeign)
                    marked, answer = True, None
                else:
                    self.steps.append(step)
                    if marked:
                        self.marked_before, marked = step, False
                    answer = next(answers)  # type: ignore[call-overload]  # an iterator, kept opaque
                    if answer is CREATED:
                        answer = SUCCESS[step]
        except StopIteration as ended:
            end = ended.value
            assert isinstance(end, Ending | Aborted), "the script was too short"
            return end


def outcome(drive: Drive) -> Outcome | Verified:
    """Return how a procedure settled."""
    assert isinstance(drive.end, Ending)
    return drive.end.outcome


def found(*, same: bool = True, version: str = "v1", created_at: float | None = CLAIMED_AT + 1) -> Found:
    """Return a version as read back."""
    return Found(version, same, None if created_at is None else created(created_at))


def rules(**given: object) -> Rules:
    """Return rules that differ from the defaults as given."""
    return Rules(**given)  # type: ignore[arg-type]  # names and types are the test's concern
