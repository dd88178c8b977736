"""What is done about a secret that exists already, step by step, without any I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.creating import (
    CLAIMED_AT,
    EXISTS,
    NO_PERMISSION,
    NOT_FOUND,
    RESET,
    Answer,
    Drive,
    created,
    found,
    outcome,
    rules,
)

from bulkseed.model import Fault, Outcome
from bulkseed.policy.create import NOT_COMPARED, NOT_DESCRIBED, NOT_READABLE, RESTORED, TAKEN_BACK
from bulkseed.policy.options import OnDeleteWindow, OnExists
from bulkseed.policy.steps import (
    PUT,
    Counted,
    Described,
    Done,
    Ending,
    MarkHeld,
    answered,
)

ON_EXISTS = [
    (OnExists.FAIL, [EXISTS], Outcome.REJECTED),
    (OnExists.VERIFY, [EXISTS, found()], Outcome.IDENTICAL),
    (OnExists.VERIFY, [EXISTS, found(same=False)], Outcome.CONFLICT),
    (OnExists.VERIFY, [EXISTS, NOT_FOUND], Outcome.CONFLICT),
    (OnExists.VERIFY, [EXISTS, NO_PERMISSION], Outcome.REJECTED),
    (OnExists.VERIFY, [EXISTS, found(same=False, version="v0")], Outcome.CONFLICT),
    (OnExists.UPDATE, [EXISTS, found()], Outcome.IDENTICAL),
    (OnExists.UPDATE, [EXISTS, found(version="v0")], Outcome.IDENTICAL),
    (OnExists.UPDATE, [EXISTS, found(same=False)], Outcome.CONFLICT),
    (OnExists.UPDATE, [EXISTS, found(same=False, version="v0"), Counted(1), Done()], Outcome.UPDATED),
    (OnExists.UPDATE, [EXISTS, found(same=False, version="v0"), Counted(1), RESET, Done()], Outcome.UPDATED),
    (OnExists.UPDATE, [EXISTS, found(same=False, version="v0"), Counted(1), EXISTS], Outcome.CONFLICT),
    (OnExists.UPDATE, [EXISTS, found(same=False, version="v0"), Counted(10)], Outcome.CONFLICT),
    (OnExists.UPDATE, [EXISTS, found(same=False, version="v0"), NO_PERMISSION], Outcome.REJECTED),
    (
        OnExists.UPDATE,
        [
            *(EXISTS, found(same=False, version="v0"), Counted(1)),
            *(Done(current=False), found(same=False, version="v0")),
        ],
        Outcome.CONFLICT,
    ),
    (
        OnExists.UPDATE,
        [EXISTS, found(same=False, version="v0"), Counted(1), Done(current=False), found()],
        Outcome.UPDATED,
    ),
    (
        OnExists.UPDATE,
        [EXISTS, found(same=False, version="v0"), Counted(9), Fault("Rejected.LimitExceeded", 400)],
        Outcome.REJECTED,
    ),
    (OnExists.UPDATE, [EXISTS, NO_PERMISSION], Outcome.REJECTED),
]


@pytest.mark.parametrize(("on_exists", "answers", "expected"), ON_EXISTS)
def test_on_exists(on_exists: OnExists, answers: list[Answer], expected: Outcome) -> None:
    """What an existing secret means is the user's choice; `update` writes only what differs (A1)."""
    drive = Drive(answers, rules(on_exists=on_exists))
    assert outcome(drive) is expected
    writes_after = 3  # the create, the read, the count
    assert (PUT in drive.steps) is (len(answers) > writes_after)


def test_a_secret_in_its_delete_window_is_not_there() -> None:
    """Also 409, but a failure with its own advice, unless it is to be restored."""
    deleted = Fault("Rejected.ResourceInDeleteWindow", 409)
    assert outcome(Drive([deleted])) is Outcome.REJECTED
    restore = rules(on_delete_window=OnDeleteWindow.RESTORE)
    there = Ending(Outcome.EXISTING, EXISTS.code, RESTORED, 409)
    assert Drive([deleted, Done()], restore).end == there, "as one that was there, and that it was not"
    verify = rules(on_delete_window=OnDeleteWindow.RESTORE, on_exists=OnExists.VERIFY)
    assert outcome(Drive([deleted, Done(), found()], verify)) is Outcome.IDENTICAL
    ours: list[Answer] = [RESET, deleted, Done(), found()]
    assert outcome(Drive(ours, restore)) is Outcome.ADOPTED


@pytest.mark.parametrize(
    ("on_exists", "answer", "end"),
    [
        (OnExists.SKIP, NO_PERMISSION, (Outcome.EXISTING, NOT_READABLE)),
        (OnExists.VERIFY, NO_PERMISSION, (Outcome.REJECTED, NOT_COMPARED)),
        (OnExists.UPDATE, NO_PERMISSION, (Outcome.REJECTED, NOT_COMPARED)),
        (OnExists.FAIL, NO_PERMISSION, (Outcome.REJECTED, None)),
        (OnExists.SKIP, Fault("Strange", 400), (Outcome.REJECTED, None)),
        (OnExists.SKIP, found(created_at=None), (Outcome.EXISTING, NOT_READABLE)),
        (OnExists.FAIL, found(created_at=None), (Outcome.REJECTED, None)),
    ],
)
def test_what_cannot_be_looked_at_stays_in_doubt(
    on_exists: OnExists, answer: Answer, end: tuple[Outcome, str | None]
) -> None:
    """Whether an earlier attempt of ours made it is not known then, and the row says so (A4, A7)."""
    drive = Drive([EXISTS, answer], rules(on_exists=on_exists), doubt_since=1_000.0)
    assert isinstance(drive.end, Ending)
    assert (drive.end.outcome, drive.end.message) == end
    assert drive.end.doubt


OF_OURS = "2027-01-15T08:00:00Z"
MADE = created(CLAIMED_AT + 1).service
SAME_ONE = Described(found().created, OF_OURS)


@pytest.mark.parametrize(
    ("answers", "generated", "held", "end"),
    [
        ([SAME_ONE, found()], False, True, (Outcome.ADOPTED, TAKEN_BACK, False)),
        ([SAME_ONE, found(same=False)], True, True, (Outcome.ADOPTED, TAKEN_BACK, False)),
        ([SAME_ONE, found(same=False)], False, True, (Outcome.CONFLICT, None, False)),
        ([SAME_ONE, NO_PERMISSION], False, True, (Outcome.REJECTED, None, False)),
        ([SAME_ONE, NOT_FOUND, found(version="v0"), Done()], False, True, (Outcome.UPDATED, None, False)),
        ([SAME_ONE, found(version="v7"), found(version="v7")], False, True, (Outcome.CONFLICT, None, False)),
        ([replace(SAME_ONE, dated="2027-01-15T08:00:01Z")], False, False, (Outcome.EXISTING, None, False)),
        ([NO_PERMISSION], False, False, (Outcome.EXISTING, NOT_DESCRIBED, True)),
        ([NOT_FOUND], False, False, (Outcome.REJECTED, None, True)),
    ],
)
@pytest.mark.parametrize("restored", [False, True])
def test_what_we_deleted_and_is_there_again_is_ours(
    answers: list[Answer], generated: bool, held: bool, end: tuple[Outcome, str | None, bool], restored: bool
) -> None:
    """A rollback of ours planned its deletion; when it was created tells that it is the same one (G1)."""
    before = [Fault("Rejected.ResourceInDeleteWindow", 409), Done()] if restored else [EXISTS]
    drive = Drive(
        [*before, *answers],
        rules(on_delete_window=OnDeleteWindow.RESTORE),
        generated=generated,
        deleted=(OF_OURS, "v0"),
    )
    assert isinstance(drive.end, Ending)
    outcome, message, doubt = end
    assert (drive.end.outcome, drive.end.doubt) == (outcome, doubt)
    assert message is None or drive.end.message == message
    assert drive.held == (MarkHeld("v0", None, MADE) if held else None)
    assert drive.end.created == (MADE if outcome is Outcome.ADOPTED else None)


def test_what_was_taken_back_is_ours_where_no_clock_dates_it() -> None:
    """The service's own text is the same, and that is what counts."""
    drive = Drive([EXISTS, replace(SAME_ONE, created=None), found()], deleted=(OF_OURS, "v0"))
    assert drive.held == MarkHeld("v0", None, None)
    assert drive.end == answered(Outcome.ADOPTED, TAKEN_BACK)


@pytest.mark.parametrize(
    ("answer", "message"), [(found(), None), (found(version="v0"), "the current version is v0")]
)
def test_another_version_with_the_same_value_is_named(answer: Answer, message: str | None) -> None:
    """Where an update finds nothing to do."""
    drive = Drive([EXISTS, answer], rules(on_exists=OnExists.UPDATE))
    assert isinstance(drive.end, Ending)
    assert (drive.end.outcome, drive.end.message) == (Outcome.IDENTICAL, message)


@pytest.mark.parametrize(
    ("refused", "end"),
    [
        (Fault("Rejected.ResourceInUse", 409), Outcome.EXISTING),
        (NO_PERMISSION, Outcome.REJECTED),
    ],
)
def test_what_somebody_else_has_restored_is_there(refused: Fault, end: Outcome) -> None:
    """A restoration that comes too late is none that failed."""
    in_window = Fault("Rejected.ResourceInDeleteWindow", 409)
    drive = Drive([in_window, refused], rules(on_delete_window=OnDeleteWindow.RESTORE))
    assert outcome(drive) is end


@pytest.mark.parametrize("on_exists", [OnExists.VERIFY, OnExists.UPDATE])
def test_another_value_in_this_version_is_no_end_of_an_update(on_exists: OnExists) -> None:
    """Who asked for an update is told what to do instead."""
    drive = Drive([EXISTS, found(same=False)], rules(on_exists=on_exists))
    assert isinstance(drive.end, Ending)
    advised = "choose another VersionId" in (drive.end.message or "")
    assert advised is (on_exists is OnExists.UPDATE)
