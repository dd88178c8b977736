"""What is done about a secret that exists already, step by step, without any I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.creating import (
    EXISTS,
    NO_PERMISSION,
    NOT_FOUND,
    RESET,
    Answer,
    Drive,
    found,
    outcome,
    rules,
)

from bulkseed.model import Fault, Outcome
from bulkseed.policy.create import NOT_COMPARED, NOT_DESCRIBED, NOT_READABLE, TAKEN_BACK
from bulkseed.policy.options import OnDeleteWindow, OnExists
from bulkseed.policy.steps import (
    PUT,
    Counted,
    Described,
    Done,
    Ending,
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
    assert outcome(Drive([deleted, Done()], restore)) is Outcome.EXISTING
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
    assert (drive.end.outcome, drive.end.doubt, drive.held == "v0") == (outcome, doubt, held)
    assert message is None or drive.end.message == message


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
