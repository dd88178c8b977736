"""How one definition is created, step by step, without any I/O."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.creating import (
    CLAIMED_AT,
    CREATED,
    EXISTS,
    NO_PERMISSION,
    NOT_FOUND,
    REFUSED,
    RESET,
    SUCCESS,
    THROTTLED,
    Answer,
    Drive,
    created,
    found,
    outcome,
    rules,
)

from bulkseed.model import Created, Fault, NoReply, Outcome
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.create import (
    DATED_BEFORE,
    LOST_AND_DATED_BEFORE,
    UNDATED,
    VALUE_LOST,
    VERSION_LOST,
    create,
)
from bulkseed.policy.moments import CreationTime, OurMoment, Sending, of_earlier_run
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import (
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
    Step,
    Subject,
    Wait,
)

NEVER = OurMoment(-math.inf, -math.inf)


def test_a_create_that_succeeds_is_created() -> None:
    """The usual case: one request, with its request id and ARN."""
    drive = Drive([CREATED])
    assert drive.end == Ending(Outcome.CREATED, status=200, request_id=CREATED.request_id, arn=CREATED.arn)
    assert drive.steps == [CREATE]


def test_a_taken_name_without_doubt_is_never_ours() -> None:
    """First attempt, no earlier claim, and it exists: somebody else's; nothing is read."""
    drive = Drive([EXISTS])
    assert outcome(drive) is Outcome.EXISTING
    assert drive.steps == [CREATE]


@pytest.mark.parametrize("loss", [RESET, Fault("InternalFailure", 500), Fault("HTTP502", 502)])
def test_a_lost_create_that_took_effect_is_adopted(loss: Answer) -> None:
    """A reply was lost, the retry finds the name taken, reading confirms that it is ours."""
    drive = Drive([loss, EXISTS, found()])
    assert outcome(drive) is Outcome.ADOPTED
    assert drive.steps == [CREATE, CREATE, READ_VERSION]


def test_a_claim_of_a_killed_run_is_doubt_from_the_start() -> None:
    """An earlier run's unanswered claim makes the first ResourceExist a question."""
    drive = Drive([EXISTS, found(created_at=500.0)], doubt_since=499.5)
    assert outcome(drive) is Outcome.ADOPTED


def test_an_update_of_a_killed_run_is_no_creation() -> None:
    """Once found to be theirs it is never adopted, and our version on it is what the update wrote."""
    update = rules(on_exists=OnExists.UPDATE)
    answers: list[Answer] = [EXISTS, found(same=False, version="v0"), Counted(1), Done()]
    assert Drive(answers, update).marked_before is PUT
    drive = Drive([EXISTS, found()], update, doubt_since=CLAIMED_AT, foreign=True)
    assert outcome(drive) is Outcome.UPDATED
    assert outcome(Drive([EXISTS], doubt_since=CLAIMED_AT, foreign=True)) is Outcome.EXISTING


@pytest.mark.parametrize(
    "answer",
    [
        found(same=False),
        found(version="v0"),
        found(created_at=CLAIMED_AT - 1),
        NOT_FOUND,
    ],
    ids=["other value", "other version", "older than the claim", "no such version"],
)
def test_somebody_elses_secret_is_never_called_ours(answer: Answer) -> None:
    """Any mismatch after a doubt means that it is not ours."""
    drive = Drive([RESET, EXISTS, answer])
    assert outcome(drive) is Outcome.EXISTING


def test_a_generated_value_is_adopted_by_the_run_that_made_it() -> None:
    """The value is still in memory: a lost reply is resolved as for any other value."""
    assert outcome(Drive([RESET, EXISTS, found()], generated=True)) is Outcome.ADOPTED
    theirs = Drive([RESET, EXISTS, found(same=False)], generated=True)
    assert theirs.end == Ending(Outcome.EXISTING, EXISTS.code, None, 409)


@pytest.mark.parametrize("on_exists", OnExists)
def test_a_generated_value_that_is_lost_proves_nothing(on_exists: OnExists) -> None:
    """What an earlier run may have created with a value that nobody knows is not called ours, nor changed.

    (G3)
    """
    given = rules(on_exists=on_exists)
    drive = Drive([EXISTS, found(same=False)], given, doubt_since=CLAIMED_AT, generated=True)
    assert isinstance(drive.end, Ending)
    assert drive.end.outcome is Outcome.VALUE_LOST
    assert drive.end.doubt
    assert "ActionTrail" in (drive.end.message or "")


@pytest.mark.parametrize(
    "answer",
    [found(same=False, created_at=CLAIMED_AT - 3), found(same=False, version="v0"), NOT_FOUND],
    ids=["older than the claim by far", "other version", "no such version"],
)
def test_what_cannot_be_a_lost_value_of_ours_is_theirs(answer: Answer) -> None:
    """Time and version still tell, also where the value cannot: the time by the service's own clock."""
    drive = Drive([EXISTS, answer], doubt_since=CLAIMED_AT, doubt_service=CLAIMED_AT + 3600, generated=True)
    assert drive.end == Ending(Outcome.EXISTING, EXISTS.code, None, 409)


@pytest.mark.parametrize(("older_by", "service"), [(3600.0, False), (1.0, False), (1.0, True)])
def test_a_lost_value_that_only_a_time_speaks_against_stays_in_doubt(older_by: float, service: bool) -> None:
    """A clock may have been set since; by the service's own only what is close may be ours (H2)."""
    since = CLAIMED_AT + 3600 if service else None
    answer = found(same=False, created_at=CLAIMED_AT - older_by)
    drive = Drive([EXISTS, answer], doubt_since=CLAIMED_AT, doubt_service=since, generated=True)
    message = LOST_AND_DATED_BEFORE
    assert drive.end == Ending(Outcome.EXISTING, EXISTS.code, message, 409, doubt=True)


@pytest.mark.parametrize("on_exists", [OnExists.VERIFY, OnExists.UPDATE])
def test_a_generated_value_is_for_a_new_secret_only(on_exists: OnExists) -> None:
    """There is nothing to compare and nothing to replace: what exists is left alone, unread."""
    drive = Drive([EXISTS], rules(on_exists=on_exists), generated=True)
    assert outcome(drive) is Outcome.EXISTING
    assert drive.steps == [CREATE]


def test_without_permission_to_read_a_doubt_stays_said() -> None:
    """If it cannot be read it is called existing, and the message says what is not known."""
    probes: list[list[Answer]] = [[NO_PERMISSION], [found(created_at=None)]]
    for answers in probes:
        drive = Drive([RESET, EXISTS, *answers])
        assert isinstance(drive.end, Ending)
        assert drive.end.outcome is Outcome.EXISTING
        assert "kms:GetSecretValue" in (drive.end.message or "")
        assert drive.end.doubt


def test_a_doubt_that_cannot_be_resolved_now_is_kept() -> None:
    """A probe that is refused for another reason, or where existing counts as a failure, is tried again."""
    disabled = Fault("Rejected.Disabled", 409)
    for answer, on_exists in ((disabled, OnExists.SKIP), (NO_PERMISSION, OnExists.FAIL)):
        drive = Drive([RESET, EXISTS, answer], rules(on_exists=on_exists))
        assert outcome(drive) is Outcome.REJECTED
        assert isinstance(drive.end, Ending)
        assert drive.end.doubt


@pytest.mark.parametrize("loss", [REFUSED, THROTTLED, Fault("SignatureNonceUsed", 400)])
def test_what_cannot_have_been_applied_leaves_no_doubt(loss: Answer) -> None:
    """A refused connection or a refusal before acting does not make an existing secret ours."""
    drive = Drive([loss, EXISTS])
    assert outcome(drive) is Outcome.EXISTING
    assert not drive.retry_state.in_doubt


def test_attempts_run_out() -> None:
    """The last answer is kept, and doubt survives for the next run (A10)."""
    drive = Drive([RESET] * 3, rules(retry=RetryPolicy(max_attempts=3)))
    assert drive.end == Ending(Outcome.EXHAUSTED, None, "connection reset", doubt=True)
    assert len(drive.waits) == 2


@pytest.mark.parametrize(("budget", "end"), [(3.0, Outcome.CREATED), (2.9, Outcome.EXHAUSTED)])
def test_a_wait_that_ends_with_the_budget_is_begun(budget: float, end: Outcome) -> None:
    """The service asks for three seconds."""
    drive = Drive([THROTTLED, CREATED], rules(retry=RetryPolicy(budget=budget)))
    assert outcome(drive) is end


def test_the_budget_runs_out() -> None:
    """No wait is begun that would end after the budget."""
    drive = Drive([REFUSED] * 8, rules(retry=RetryPolicy(max_attempts=100, budget=3.0)), u=0.999)
    assert outcome(drive) is Outcome.EXHAUSTED
    assert sum(drive.waits) <= 3.0


def test_the_service_is_waited_for_as_long_as_it_asks() -> None:
    """x-acs-retry-after is a lower bound of the wait."""
    drive = Drive([THROTTLED, CREATED], u=0.0)
    assert drive.waits == [3.0]


def test_a_wrong_clock_is_corrected_once() -> None:
    """One more attempt with the corrected clock, then the run ends."""
    bad_time = Fault("InvalidTimeStamp.Expired", 400)
    assert outcome(Drive([bad_time, CREATED])) is Outcome.CREATED
    drive = Drive([bad_time, bad_time])
    assert drive.end == Aborted(bad_time, doubt=False)
    assert drive.waits == []


@pytest.mark.parametrize("code", ["Rejected.LimitExceeded", "SignatureDoesNotMatch", "Forbidden.InDebt"])
def test_a_wall_ends_the_run(code: str) -> None:
    """What would hit every later call is not retried per definition."""
    fault = Fault(code, 400)
    assert Drive([fault]).end == Aborted(fault, doubt=False)


ANSWERS = st.sampled_from(
    [
        RESET,
        REFUSED,
        THROTTLED,
        EXISTS,
        CREATED,
        NO_PERMISSION,
        Fault("InternalFailure", 500),
        Fault("Odd", 418),
    ]
)


@given(
    script=st.lists(ANSWERS, min_size=20, max_size=20),
    u=st.floats(0, 1, exclude_max=True),
    on_exists=st.sampled_from(OnExists),
    on_delete_window=st.sampled_from(OnDeleteWindow),
)
def test_a_procedure_always_ends_within_its_attempts(
    script: list[Answer], u: float, on_exists: OnExists, on_delete_window: OnDeleteWindow
) -> None:
    """Whatever comes back, a definition is attempted a bounded number of times, then has an outcome."""
    drive = Drive(script, Rules(on_exists=on_exists, on_delete_window=on_delete_window), u=u)
    assert len(drive.steps) <= RetryPolicy().max_attempts + 5  # the steps that a success leads on to
    if isinstance(drive.end, Ending) and drive.end.outcome is Outcome.CREATED:
        assert script[len(drive.steps) - 1] is CREATED


@given(
    st.lists(
        st.sampled_from(
            [
                *SUCCESS.values(),
                found(version="v0", same=False),
                EXISTS,
                RESET,
                NOT_FOUND,
                NO_PERMISSION,
                THROTTLED,
                found(same=False),
                Done(current=False),
            ]
        ),
        min_size=30,
        max_size=30,
    ),
    st.sampled_from([OnExists.SKIP, OnExists.VERIFY, OnExists.FAIL]),
    st.booleans(),
)
def test_only_update_writes_to_what_exists(answers: list[Answer], on_exists: OnExists, doubt: bool) -> None:
    """Whatever the service answers, even a version that was not asked for: no version is put (A1)."""
    readable = {READ_VERSION, READ_CURRENT}
    procedure = create(
        rules(on_exists=on_exists),
        Subject("v1"),
        RetryState(
            RetryPolicy(),
            of_earlier_run(CLAIMED_AT) if doubt else None,
            lambda: of_earlier_run(CLAIMED_AT),
            lambda: 0.0,
            lambda: 0.5,
        ),
    )
    answer: Answer | None = None
    script = iter(answers)
    try:
        while True:
            step = procedure.send(answer)
            answer = None
            if isinstance(step, Step):
                assert step in {CREATE, RESTORE, *readable}
                fitting = Found if step in readable else Created
                answer = next((a for a in script if isinstance(a, fitting | Fault | NoReply)), SUCCESS[step])
            else:
                assert isinstance(step, Wait)
    except StopIteration:
        pass


def test_a_time_alone_takes_no_doubt_off_the_record() -> None:
    """Version and value are ours and only the clocks disagree: it is said, and stays in doubt (A4, H2)."""
    older = found(created_at=CLAIMED_AT - 1)
    for on_exists in OnExists:
        drive = Drive([RESET, EXISTS, older, older], rules(on_exists=on_exists))
        assert isinstance(drive.end, Ending)
        assert drive.end.doubt
        assert "clocks" in (drive.end.message or "")


@pytest.mark.parametrize(
    ("since", "found_at", "message"),
    [
        (of_earlier_run(CLAIMED_AT), created(CLAIMED_AT - 1), DATED_BEFORE),
        (of_earlier_run(CLAIMED_AT, dated=False), created(CLAIMED_AT - 1), UNDATED),
        (of_earlier_run(CLAIMED_AT), replace(created(0.0), latest=NEVER), UNDATED),
    ],
)
def test_where_no_clock_tells_that_is_said(since: Sending, found_at: CreationTime, message: str) -> None:
    """What is undated is as old as can be, and no clock is blamed for it."""
    drive = Drive([EXISTS, Found("v1", same_value=True, created=found_at)], doubt_since=since)
    assert drive.end == Ending(Outcome.EXISTING, EXISTS.code, message, 409, doubt=True)


@pytest.mark.parametrize(
    ("generated", "lost", "end"),
    [
        (True, True, Ending(Outcome.VALUE_LOST, EXISTS.code, VALUE_LOST, 409, doubt=True)),
        (False, True, Ending(Outcome.EXISTING, EXISTS.code, VERSION_LOST, 409, doubt=True)),
        (True, False, Ending(Outcome.EXISTING, EXISTS.code, None, 409)),
    ],
)
def test_a_version_that_is_not_there_may_have_been_sent_as_another(
    generated: bool, lost: bool, end: Ending
) -> None:
    """An earlier run may have created it with a version whose value nobody can read any more."""
    drive = Drive([EXISTS, NOT_FOUND], doubt_since=CLAIMED_AT, generated=generated, lost=lost)
    assert drive.end == end


def test_what_was_to_be_compared_and_cannot_be_read_is_not_settled() -> None:
    """Asked to compare without the permission: the row says which one is missing (A7)."""
    for on_exists in (OnExists.VERIFY, OnExists.UPDATE):
        for answers in ([EXISTS, NO_PERMISSION], [RESET, EXISTS, NO_PERMISSION]):
            drive = Drive(answers, rules(on_exists=on_exists))
            assert outcome(drive) is Outcome.REJECTED
            assert isinstance(drive.end, Ending)
            assert "kms:GetSecretValue" in (drive.end.message or "")


def test_a_put_without_an_answer_stays_in_doubt() -> None:
    """The version may be in force by now, whatever was heard of it (A10)."""
    there = found(same=False, version="v0")
    drive = Drive([EXISTS, there, Counted(1), *[RESET] * 20], rules(on_exists=OnExists.UPDATE))
    assert outcome(drive) is Outcome.EXHAUSTED
    assert isinstance(drive.end, Ending)
    assert drive.end.doubt


def test_what_the_service_rotated_is_identical_or_stays_in_doubt() -> None:
    """Compared it is as it was made; whether ours was the first of its versions nobody can see (A8)."""
    rotated = replace(found(same=False, version="r2"), rotated=True)
    for on_exists in (OnExists.VERIFY, OnExists.UPDATE):
        drive = Drive([EXISTS, rotated], rules(on_exists=on_exists))
        assert outcome(drive) is Outcome.IDENTICAL
    drive = Drive([RESET, EXISTS, rotated])
    assert outcome(drive) is Outcome.EXISTING
    assert isinstance(drive.end, Ending)
    assert drive.end.doubt
