"""One secret's way to deletion, step by step, without any I/O."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.model import Fault, NoReply
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.moments import CreationTime, OurMoment, ServiceMoment, of_earlier_run
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import UNDATED, OwnedSecret, RollbackEnd, RollbackOutcome, rollback
from bulkseed.policy.steps import (
    COUNT_VERSIONS,
    DELETE,
    DESCRIBE,
    Aborted,
    ClaimRollback,
    Counted,
    Described,
    Done,
    Step,
    Wait,
)

Answer = object


def created(service: float, latest: float, earliest: float) -> CreationTime:
    """Return a creation, by the service's clock and by ours."""
    ours, not_before = OurMoment(latest, latest), OurMoment(earliest, earliest)
    return CreationTime(ServiceMoment(service), ours, not_before)


AS_MADE = Described(created(1_000.0, 1_001.0, 998.0), "2027-01-15T08:00:00Z", unchanged=True)
ONLY_OURS = Counted(1, ("v1",))
NOT_FOUND = Fault("Forbidden.ResourceNotFound", 404)
IN_WINDOW = Fault("Rejected.ResourceInDeleteWindow", 409)
NO_PERMISSION = Fault("Forbidden.NoPermission", 403)
THROTTLED = Fault("Rejected.Throttling", 429)
RESET = NoReply("connection reset", maybe_applied=True)
REFUSED = NoReply("connection refused", maybe_applied=False)
BAD_KEY = Fault("SignatureDoesNotMatch", 400)
LOOK: list[Answer] = [AS_MADE, ONLY_OURS]
PLANNED = replace(AS_MADE, to_be_deleted=True)


def drive(
    answers: list[Answer],
    *,
    claimed: bool = False,
    dated: str | None = None,
    attempts: int = 8,
    versions: tuple[str, ...] = ("v1",),
    made: float | None = None,
) -> tuple[RollbackEnd | Aborted | None, list[Step[Any] | ClaimRollback]]:
    """Send scripted answers; return the end, None if the script was too short, and what was asked."""
    retry = RetryState(
        RetryPolicy(attempts),
        of_earlier_run(500.0) if claimed else None,
        lambda: of_earlier_run(2_000.0),
        lambda: 0.0,
        lambda: 0.5,
    )
    when = None if made is None else ServiceMoment(made)
    first, then = OurMoment(1_000.0, 1_000.0), OurMoment(1_000.5, 1_000.5)
    procedure = rollback(OwnedSecret(versions, first, then, dated, when), retry)
    asked: list[Step[Any] | ClaimRollback] = []
    script = iter(answers)
    answer: Answer | None = None
    try:
        while True:
            step = procedure.send(answer)
            answer = None
            if isinstance(step, Step):
                asked.append(step)
                answer = next(script)
            elif not isinstance(step, Wait):
                assert isinstance(step, ClaimRollback)
                asked.append(step)
    except StopIteration as ended:
        assert next(script, None) is None, "answers were left over"
        end: RollbackEnd | Aborted | None = ended.value
        return end, asked


ENDS: dict[str, tuple[list[Answer], RollbackOutcome]] = {
    "as we made it": ([*LOOK, Done()], RollbackOutcome.DELETED),
    "not there": ([NOT_FOUND], RollbackOutcome.GONE),
    "somebody plans its deletion": ([PLANNED], RollbackOutcome.GONE),
    "gone between the looks": ([AS_MADE, NOT_FOUND], RollbackOutcome.GONE),
    "gone just before us": ([*LOOK, NOT_FOUND], RollbackOutcome.GONE),
    "planned just before us": ([*LOOK, IN_WINDOW], RollbackOutcome.GONE),
    "younger than ours": (
        [replace(AS_MADE, created=created(1_000.0, 1_003.6, 1_000.6))],
        RollbackOutcome.CHANGED,
    ),
    "updated": ([replace(AS_MADE, unchanged=False)], RollbackOutcome.CHANGED),
    "older than ours": ([replace(AS_MADE, created=created(1_000.0, 997.9, 994.9))], RollbackOutcome.CHANGED),
    "of unknown age": ([replace(AS_MADE, created=None)], RollbackOutcome.CHANGED),
    "another version, too": ([AS_MADE, Counted(2, ("v1", "v2"))], RollbackOutcome.CHANGED),
    "another version": ([AS_MADE, Counted(1, ("v2",))], RollbackOutcome.CHANGED),
    "may not look": ([NO_PERMISSION], RollbackOutcome.FAILED),
    "may not list": ([AS_MADE, NO_PERMISSION], RollbackOutcome.FAILED),
    "may not delete": ([*LOOK, NO_PERMISSION], RollbackOutcome.FAILED),
    "lost, and it was done": ([*LOOK, RESET, NOT_FOUND], RollbackOutcome.DELETED),
    "lost, and it is planned": ([*LOOK, RESET, PLANNED], RollbackOutcome.DELETED),
    "lost, and made anew": (
        [*LOOK, RESET, replace(AS_MADE, dated="2027-01-15T09:00:00Z")],
        RollbackOutcome.DELETED,
    ),
    "lost, and not done": ([*LOOK, RESET, *LOOK, Done()], RollbackOutcome.DELETED),
    "lost, then changed": ([*LOOK, RESET, replace(AS_MADE, unchanged=False)], RollbackOutcome.PENDING),
    "lost, then refused": ([*LOOK, RESET, *LOOK, NO_PERMISSION], RollbackOutcome.PENDING),
    "not sent, then changed": ([*LOOK, REFUSED, replace(AS_MADE, unchanged=False)], RollbackOutcome.CHANGED),
    "throttled": ([*LOOK, THROTTLED, *LOOK, Done()], RollbackOutcome.DELETED),
}


@pytest.mark.parametrize("case", ENDS)
def test_ends(case: str) -> None:
    """Only what is as we made it is deleted; what an answer leaves open is looked at."""
    answers, removal = ENDS[case]
    end, _ = drive(answers)
    assert isinstance(end, RollbackEnd)
    assert end.outcome is removal


@pytest.mark.parametrize("absent", [NOT_FOUND, PLANNED, replace(AS_MADE, dated="2027-01-15T09:00:00Z")])
def test_what_an_earlier_rollback_claimed_and_is_not_there_was_deleted(absent: Answer) -> None:
    """After a kill the service tells whether the claimed deletion was carried out."""
    end, _ = drive([absent], claimed=True, dated=AS_MADE.dated)
    assert isinstance(end, RollbackEnd)
    assert end.outcome is RollbackOutcome.DELETED


def test_giving_up_and_walls() -> None:
    """Attempts run out as failed, or pending when in doubt; wrong credentials stop the run."""
    assert drive([THROTTLED] * 2, attempts=2)[0] == RollbackEnd(
        RollbackOutcome.FAILED, "the quota of requests per second was exceeded", "Rejected.Throttling", 429
    )
    end, _ = drive([*LOOK, RESET, RESET], attempts=4)
    assert isinstance(end, RollbackEnd)
    assert end.outcome is RollbackOutcome.PENDING
    assert isinstance(drive([BAD_KEY])[0], Aborted)


@given(st.lists(st.sampled_from([THROTTLED, RESET, REFUSED]), max_size=4))
def test_every_deletion_is_preceded_by_a_look(failures: list[Answer]) -> None:
    """However often a deletion is repeated, the secret is looked at before each."""
    answers: list[Answer] = [answer for failure in failures for answer in (*LOOK, failure)]
    _, asked = drive([*answers, *LOOK, Done()], attempts=99)
    first, *later = [i for i, step in enumerate(asked) if step is DELETE]
    assert asked[:first] == [DESCRIBE, COUNT_VERSIONS, ClaimRollback(AS_MADE.dated)]
    assert asked[first + 1 :] == [DESCRIBE, COUNT_VERSIONS, DELETE] * len(failures)
    assert len(later) == len(failures)


def test_a_deletion_that_is_refused_for_the_time_is_preceded_by_a_look_too() -> None:
    """The clock is corrected, and then the secret is looked at again; a second such refusal ends the run."""
    bad_time = Fault("InvalidTimeStamp.Expired", 400)
    _, asked = drive([*LOOK, bad_time, *LOOK, Done()])
    assert [step for step in asked if isinstance(step, Step)] == [DESCRIBE, COUNT_VERSIONS, DELETE] * 2
    end, _ = drive([*LOOK, bad_time, *LOOK, bad_time])
    assert end == Aborted(bad_time)


@pytest.mark.parametrize(
    ("dated", "outcome"),
    [
        (5_000.0, RollbackOutcome.DELETED),
        (4_998.0, RollbackOutcome.DELETED),
        (5_002.0, RollbackOutcome.DELETED),
        (4_997.0, RollbackOutcome.CHANGED),
        (5_003.0, RollbackOutcome.CHANGED),
    ],
)
def test_a_creation_is_told_by_the_clock_of_the_service(dated: float, outcome: RollbackOutcome) -> None:
    """Where the service's time is on record, ours is not asked; what disagrees is changed, never gone.

    (A2)
    """
    # By our own clock it would be an hour older, and an hour younger.
    for created_at, not_before in ((1_001.0 - 3600, 998.0 - 3600), (1_001.0 + 3600, 998.0 + 3600)):
        found = replace(AS_MADE, created=created(dated, created_at, not_before))
        answers: list[Answer] = [found]
        if outcome is RollbackOutcome.DELETED:
            answers += [ONLY_OURS, Done()]
        end, _ = drive(answers, made=5_000.0)
        assert isinstance(end, RollbackEnd)
        assert end.outcome is outcome


@pytest.mark.parametrize(
    ("counted", "outcome"),
    [
        (Counted(2, ("v1", "v2")), RollbackOutcome.DELETED),
        (Counted(1, ("v2",)), RollbackOutcome.DELETED),
        (Counted(3, ("v1", "v2", "w")), RollbackOutcome.CHANGED),
        (Counted(11, ("v1", "v2")), RollbackOutcome.CHANGED),
        (Counted(0), RollbackOutcome.CHANGED),
    ],
)
def test_what_we_updated_ourselves_is_deleted(counted: Counted, outcome: RollbackOutcome) -> None:
    """A version that this ledger put is no change by others; any other version is (A5, G1)."""
    answers: list[Answer] = [replace(AS_MADE, unchanged=False), counted]
    if outcome is RollbackOutcome.DELETED:
        answers.append(Done())
    end, _ = drive(answers, versions=("v1", "v2"))
    assert isinstance(end, RollbackEnd)
    assert end.outcome is outcome


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.none() | st.floats(-1e9, 1e9))
def test_nothing_that_exists_is_gone_by_arithmetic(
    at: float, service_time: float, made: float | None
) -> None:
    """Whatever its times are, a secret that is there is deleted or left as changed (A2, H2)."""
    found = replace(AS_MADE, created=created(service_time, at, at - 3))
    look: list[Answer] = [found]
    end, _ = drive(look, made=made)
    if end is None:  # it wants more than one look
        end, _ = drive([*look, ONLY_OURS, Done()], made=made)
    assert isinstance(end, RollbackEnd)
    assert end.outcome in {RollbackOutcome.DELETED, RollbackOutcome.CHANGED}


DAY = 86_400.0


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (created(1_000.0, 1_003.6, 1_000.6), "after"),
        (created(1_000.0, 997.9, 994.9), "before"),
    ],
)
def test_what_speaks_against_its_being_ours_is_told(found: CreationTime, told: str) -> None:
    """By its time, the way round that it is."""
    end, _ = drive([replace(AS_MADE, created=found)])
    assert end == RollbackEnd(RollbackOutcome.CHANGED, f"the service dates it {told} this ledger made it")


def test_what_is_a_little_older_than_its_answer_is_ours() -> None:
    """It was made between the first attempt and that."""
    end, _ = drive([replace(AS_MADE, created=created(1_000.0, 998.2, 995.2)), ONLY_OURS, Done()])
    assert isinstance(end, RollbackEnd)
    assert end.outcome is RollbackOutcome.DELETED


@pytest.mark.parametrize(
    ("created_at", "answered_at", "took", "outcome"),
    [
        (998.0, 1_000.0, 0.0, RollbackOutcome.DELETED),
        (997.0, 1_000.0, 0.0, RollbackOutcome.CHANGED),
        (1_002.0, 1_000.0, 0.0, RollbackOutcome.DELETED),
        (1_003.0, 1_000.0, 0.0, RollbackOutcome.CHANGED),
        (990.0, 1_000.0, 9.0, RollbackOutcome.DELETED),
        (988.0, 1_000.0, 9.0, RollbackOutcome.CHANGED),
        (998.0, 1_000.0, -9.0, RollbackOutcome.DELETED),
        (1_000.0, 1_000.0 + DAY, DAY + 9.0, RollbackOutcome.DELETED),
        (990.0, 1_000.0 + DAY, DAY + 9.0, RollbackOutcome.CHANGED),
    ],
)
def test_a_creation_is_as_old_as_its_answer_says(
    created_at: float, answered_at: float, took: float, outcome: RollbackOutcome
) -> None:
    """By the service's clock, give or take two seconds and the time that the answer took, a day at most."""
    retry = RetryState(RetryPolicy(), None, lambda: of_earlier_run(2e6), lambda: 0.0, lambda: 0.5)
    sent, ended = OurMoment(5.0, 5.0), OurMoment(5.0 + took, 5.0 + took)
    owned = OwnedSecret(("v1",), sent, ended, None, ServiceMoment(answered_at))
    found = replace(AS_MADE, created=created(created_at, 0.0, 0.0))
    procedure, end = rollback(owned, retry), None
    script: list[Answer] = [None, found, ONLY_OURS, None, Done()]
    try:
        for answer in script:
            procedure.send(answer)
    except StopIteration as ended_with:
        end = ended_with.value
    assert isinstance(end, RollbackEnd)
    assert end.outcome is outcome


def test_what_no_clock_dates_is_not_called_older() -> None:
    """Without a Date of the service its clock is not known: that is the reason, and nothing is deleted."""
    ever = OurMoment(-math.inf, -math.inf)
    undated = replace(AS_MADE, created=CreationTime(ServiceMoment(1_000.0), ever, ever))
    end, asked = drive([undated])
    assert end == RollbackEnd(RollbackOutcome.CHANGED, UNDATED)
    assert asked == [DESCRIBE]
    end, _ = drive([undated, ONLY_OURS, Done("r")], made=1_000.0)
    assert isinstance(end, RollbackEnd)
    assert end.outcome is RollbackOutcome.DELETED
