"""What is found of a version that an earlier run may have sent, and a version's way back, without any I/O."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from bulkseed.model import Fault, NoReply, Outcome
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.follow import GONE, confirm, follow
from bulkseed.policy.moments import CreationTime, OurMoment, Sending, ServiceMoment, of_earlier_run
from bulkseed.policy.restore import restore
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import OwnedSecret, RollbackEnd, RollbackOutcome
from bulkseed.policy.steps import (
    Counted,
    Described,
    Done,
    DropDoubt,
    Found,
    LedgerStep,
    MarkHeld,
    Subject,
    Wait,
)

NOW = OurMoment(1_000.0, 1_000.0)
MADE = CreationTime(ServiceMoment(1_000.0), NOW + 1.0, NOW + -2.0)
RESET = NoReply("connection reset", maybe_applied=True)
NOT_FOUND = Fault("Forbidden.ResourceNotFound", 404)
NO_PERMISSION = Fault("Forbidden.NoPermission", 403)
AS_MADE = Described(MADE, "2027-01-15T08:00:00Z")
CURRENT = Found("v1", same_value=False, created=MADE)
OURS, BEFORE, THEIRS = (Counted(2, ("v1", "v2"), current) for current in ("v2", "v1", "w"))


def retry_state(since: Sending | None) -> RetryState:
    """Return the state of a procedure that is in doubt since then."""
    return RetryState(RetryPolicy(), since, lambda: of_earlier_run(2_000.0), lambda: 0.0, lambda: 0.5)


def drive(procedure: Generator[Any, Any, Any], *answers: object) -> tuple[Any, list[LedgerStep]]:
    """Send scripted answers; return the end, and what was to be put on disk."""
    script, noted = iter(answers), list[LedgerStep]()
    answer: object = None
    try:
        while True:
            step = procedure.send(answer)
            if isinstance(step, LedgerStep):
                noted.append(step)
            answer = None if isinstance(step, LedgerStep | Wait) else next(script)
    except StopIteration as ended:
        assert next(script, None) is None, "answers were left over"
        return ended.value, noted


@pytest.mark.parametrize(
    ("since", "created", "owned", "ours"),
    [
        (of_earlier_run(999.0), MADE, False, True),
        (of_earlier_run(999.0, 1_000.5), MADE, False, True),
        (of_earlier_run(999.0, 1_001.5), MADE, False, False),
        (of_earlier_run(999.0), None, False, False),
        (of_earlier_run(999.0, 1_001.5), MADE, True, True),
        (of_earlier_run(999.0), None, True, True),
    ],
)
def test_a_version_is_ours_by_its_time_or_in_a_secret_that_is(
    since: Sending, created: CreationTime | None, owned: bool, ours: bool
) -> None:
    """The time of a version is the secret's only where the version is the first."""
    found = Found("v1", same_value=True, created=created)
    end, noted = drive(confirm(Subject("v1"), retry_state(since), 7.0, owned=owned), found)
    first = None if owned or created is None else created.service
    assert (end, noted) == (ours, [MarkHeld("v1", 7.0, first) if ours else DropDoubt(7.0)])


def test_a_version_that_is_not_there_ends_the_doubt() -> None:
    """On disk, before another version is written."""
    end, noted = drive(confirm(Subject("v1"), retry_state(of_earlier_run(1.0)), 7.0, owned=True), NOT_FOUND)
    assert (end, noted) == (False, [DropDoubt(7.0)])


@pytest.mark.parametrize(
    ("answers", "outcome", "gone"),
    [
        ([CURRENT, Done()], Outcome.UPDATED, False),
        ([CURRENT, Done(current=False), replace(CURRENT, version_id="v2")], Outcome.UPDATED, False),
        ([CURRENT, Done(current=False), CURRENT], Outcome.CONFLICT, False),
        ([CURRENT, Done(current=False), NO_PERMISSION], Outcome.CONFLICT, False),
        ([NOT_FOUND], Outcome.REJECTED, True),
        ([NO_PERMISSION], Outcome.REJECTED, False),
    ],
)
def test_a_new_version_is_in_force_or_that_is_said(
    answers: list[object], outcome: Outcome, gone: bool
) -> None:
    """Where the service had it already, what is in force is looked at (A5)."""
    end, _ = drive(follow("v1", Subject("v2"), retry_state(None)), *answers)
    assert (end.outcome, end.message == GONE) == (outcome, gone)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([AS_MADE, OURS, Done()], RollbackOutcome.RESTORED),
        ([AS_MADE, BEFORE], RollbackOutcome.RESTORED),
        ([AS_MADE, THEIRS], RollbackOutcome.CHANGED),
        ([AS_MADE, Counted(2, ("v1", "v2"))], RollbackOutcome.CHANGED),
        ([NOT_FOUND], RollbackOutcome.CHANGED),
        ([NO_PERMISSION], RollbackOutcome.FAILED),
        ([AS_MADE, OURS, NO_PERMISSION], RollbackOutcome.FAILED),
        ([AS_MADE, OURS, RESET, AS_MADE, BEFORE], RollbackOutcome.RESTORED),
        ([AS_MADE, OURS, RESET, AS_MADE, THEIRS], RollbackOutcome.PENDING),
        ([AS_MADE, OURS, RESET, AS_MADE, OURS, NO_PERMISSION], RollbackOutcome.PENDING),
    ],
)
def test_ends_of_a_way_back(answers: list[object], outcome: RollbackOutcome) -> None:
    """Only where ours is in force is anything put back; what a lost answer leaves open stays open."""
    owned = OwnedSecret(("v1", "v2"), NOW, NOW + 1.0, None, ServiceMoment(1_000.0))
    end, noted = drive(restore(owned, "v1", "v2", retry_state(None)), *answers)
    assert isinstance(end, RollbackEnd)
    assert end.outcome is outcome
    assert len(noted) == (OURS in answers), "it is claimed once, and before the first attempt"


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([NO_PERMISSION], RollbackOutcome.PENDING),
        ([AS_MADE, OURS, NO_PERMISSION], RollbackOutcome.FAILED),
    ],
)
def test_a_way_back_that_was_claimed_before_is_open_until_it_is_looked_at(
    answers: list[object], outcome: RollbackOutcome
) -> None:
    """Once ours is seen in force, what an earlier rollback claimed was not done."""
    owned = OwnedSecret(("v1", "v2"), NOW, NOW + 1.0, None, ServiceMoment(1_000.0))
    end, _ = drive(restore(owned, "v1", "v2", retry_state(of_earlier_run(1.0))), *answers)
    assert isinstance(end, RollbackEnd)
    assert end.outcome is outcome
