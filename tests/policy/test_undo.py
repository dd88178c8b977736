"""One secret's way to deletion, step by step, without any I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.model import Fault, NoReply
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import Made, Removal, Undone, undo
from bulkseed.policy.steps import Aborted, Answer, Counted, Described, Done, Step, Wait

AS_MADE = Described(1_001.0, "2027-01-15T08:00:00Z", 998.0, unchanged=True)
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
    answers: list[Answer], *, claimed: bool = False, dated: str | None = None, attempts: int = 8
) -> tuple[Undone | Aborted, list[Step]]:
    """Send scripted answers; return the end and what was asked."""
    me = RetryState(
        RetryPolicy(attempts), 500.0 if claimed else None, lambda: 2_000.0, lambda: 0.0, lambda: 0.5
    )
    journey = undo(Made("v1", 1_000.0, 1_000.5, dated), me)
    asked, script = [], iter(answers)
    answer: Answer | None = None
    try:
        while True:
            step = journey.send(answer)
            answer = None
            if not isinstance(step, Wait):
                asked.append(step)
                answer = next(script)
    except StopIteration as ended:
        assert next(script, None) is None, "answers were left over"
        end: Undone | Aborted = ended.value
        return end, asked


ENDS: dict[str, tuple[list[Answer], Removal]] = {
    "as we made it": ([*LOOK, Done()], Removal.DELETED),
    "not there": ([NOT_FOUND], Removal.GONE),
    "somebody plans its deletion": ([PLANNED], Removal.GONE),
    "gone between the looks": ([AS_MADE, NOT_FOUND], Removal.GONE),
    "gone just before us": ([*LOOK, NOT_FOUND], Removal.GONE),
    "planned just before us": ([*LOOK, IN_WINDOW], Removal.GONE),
    "another one of that name": ([replace(AS_MADE, not_before=1_000.6)], Removal.GONE),
    "updated": ([replace(AS_MADE, unchanged=False)], Removal.CHANGED),
    "older than ours": ([replace(AS_MADE, created_at=997.9)], Removal.CHANGED),
    "of unknown age": ([replace(AS_MADE, created_at=None)], Removal.CHANGED),
    "another version, too": ([AS_MADE, Counted(2, ("v1", "v2"))], Removal.CHANGED),
    "another version": ([AS_MADE, Counted(1, ("v2",))], Removal.CHANGED),
    "may not look": ([NO_PERMISSION], Removal.FAILED),
    "may not list": ([AS_MADE, NO_PERMISSION], Removal.FAILED),
    "may not delete": ([*LOOK, NO_PERMISSION], Removal.FAILED),
    "lost, and it was done": ([*LOOK, RESET, NOT_FOUND], Removal.DELETED),
    "lost, and it is planned": ([*LOOK, RESET, PLANNED], Removal.DELETED),
    "lost, and made anew": ([*LOOK, RESET, replace(AS_MADE, dated="2027-01-15T09:00:00Z")], Removal.DELETED),
    "lost, and not done": ([*LOOK, RESET, *LOOK, Done()], Removal.DELETED),
    "lost, then changed": ([*LOOK, RESET, replace(AS_MADE, unchanged=False)], Removal.PENDING),
    "lost, then refused": ([*LOOK, RESET, *LOOK, NO_PERMISSION], Removal.PENDING),
    "not sent, then changed": ([*LOOK, REFUSED, replace(AS_MADE, unchanged=False)], Removal.CHANGED),
    "throttled": ([*LOOK, THROTTLED, *LOOK, Done()], Removal.DELETED),
}


@pytest.mark.parametrize("case", ENDS)
def test_ends(case: str) -> None:
    """Only what is as we made it is deleted; what an answer leaves open is looked at."""
    answers, removal = ENDS[case]
    end, _ = drive(answers)
    assert isinstance(end, Undone)
    assert end.removal is removal


@pytest.mark.parametrize("absent", [NOT_FOUND, PLANNED, replace(AS_MADE, dated="2027-01-15T09:00:00Z")])
def test_what_an_earlier_rollback_claimed_and_is_not_there_was_deleted(absent: Answer) -> None:
    """After a kill the service tells whether the claimed deletion was carried out."""
    end, _ = drive([absent], claimed=True, dated=AS_MADE.dated)
    assert isinstance(end, Undone)
    assert end.removal is Removal.DELETED


def test_giving_up_and_walls() -> None:
    """Attempts run out as failed, or pending when in doubt; wrong credentials stop the run."""
    assert drive([THROTTLED] * 2, attempts=2)[0] == Undone(
        Removal.FAILED, "the quota of requests per second was exceeded", "Rejected.Throttling", 429
    )
    end, _ = drive([*LOOK, RESET, RESET], attempts=4)
    assert isinstance(end, Undone)
    assert end.removal is Removal.PENDING
    assert isinstance(drive([BAD_KEY])[0], Aborted)


@given(st.lists(st.sampled_from([THROTTLED, RESET, REFUSED]), max_size=4))
def test_every_deletion_is_preceded_by_a_look(failures: list[Answer]) -> None:
    """However often a deletion is repeated, the secret is looked at before each."""
    answers: list[Answer] = [answer for failure in failures for answer in (*LOOK, failure)]
    _, asked = drive([*answers, *LOOK, Done()], attempts=99)
    assert asked == [Step.DESCRIBE, Step.COUNT_VERSIONS, Step.DELETE] * (len(failures) + 1)
