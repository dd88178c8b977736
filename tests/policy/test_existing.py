"""What is done about a secret that exists already, step by step, without any I/O."""

from __future__ import annotations

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
from bulkseed.policy.create import NOT_COMPARED, NOT_READABLE
from bulkseed.policy.options import OnDeleteWindow, OnExists
from bulkseed.policy.steps import (
    PUT,
    Counted,
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
