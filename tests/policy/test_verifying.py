"""What reading a definition back shows, in a verify's own words; and the table of jobs."""

from __future__ import annotations

from enum import StrEnum

import pytest

from bulkseed.model import Fault, NoReply, Outcome, Verified
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.jobs import APPLY, JOBS, ROLLBACK, VERIFY
from bulkseed.policy.moments import of_earlier_run
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import RollbackOutcome
from bulkseed.policy.steps import READ_CURRENT, READ_VERSION, Aborted, Ending, Found, Subject, Wait, ended
from bulkseed.policy.verify import verify

GONE = Fault("Forbidden.ResourceNotFound", 404)
LOST = NoReply("connection reset", maybe_applied=True)


def drive(answers: list[object], subject: Subject) -> Ending | Aborted:
    """Send scripted answers and return the end; nothing is ever asked for but versions."""
    retry = RetryState(
        RetryPolicy(max_attempts=2), None, lambda: of_earlier_run(0.0), lambda: 0.0, lambda: 0.5
    )
    procedure = verify(Rules(), subject, retry)
    script = iter(answers)
    answer: object = None
    try:
        while True:
            step = procedure.send(answer)
            assert isinstance(step, Wait) or step in {READ_VERSION, READ_CURRENT}
            answer = None if isinstance(step, Wait) else next(script)
    except StopIteration as ended:
        assert next(script, None) is None, "answers were left over"
        end: Ending | Aborted = ended.value
        return end


ENDS: dict[str, tuple[list[object], Verified]] = {
    "the same": ([Found("v1", same_value=True, created=None)], Verified.IDENTICAL),
    "another value": ([Found("v1", same_value=False, created=None)], Verified.DIFFERS),
    "the same, not in force": (
        [Found("v1", same_value=True, created=None, in_force=False)],
        Verified.DIFFERS,
    ),
    "another version": ([Found("v2", same_value=True, created=None)], Verified.DIFFERS),
    "rotated since": ([Found("r2", same_value=False, created=None, rotated=True)], Verified.IDENTICAL),
    "not there": ([GONE, GONE], Verified.MISSING),
    "not in this version": ([GONE, Found("v0", same_value=True, created=None)], Verified.BEHIND),
    "there meanwhile": ([GONE, Found("v1", same_value=True, created=None)], Verified.IDENTICAL),
    "not told": ([GONE, LOST], Verified.UNREADABLE),
    "to be deleted": ([Fault("Rejected.ResourceInDeleteWindow", 409)], Verified.MISSING),
    "may not be read": ([Fault("Forbidden.NoPermission", 403)], Verified.UNREADABLE),
    "never answered": ([LOST, LOST], Verified.UNREADABLE),
    "answered at last": ([LOST, Found("v1", same_value=True, created=None)], Verified.IDENTICAL),
}


@pytest.mark.parametrize("case", ENDS)
def test_ends(case: str) -> None:
    """Each kind of answer has its word."""
    answers, expected = ENDS[case]
    end = drive(answers, Subject("v1"))
    assert isinstance(end, Ending)
    assert end.outcome is expected


def test_a_generated_value_that_was_not_kept_is_present() -> None:
    """Nobody can compare it: that the version is there is all that can be said."""
    end = drive([Found("v1", same_value=False, created=None)], Subject("v1", generated=True))
    assert isinstance(end, Ending)
    assert end.outcome is Verified.PRESENT
    assert end.outcome.settled


def test_what_every_read_would_be_answered_stops_the_run() -> None:
    """Wrong credentials say nothing of a definition."""
    refused = Fault("SignatureDoesNotMatch", 400)
    assert drive([refused], Subject("v1")) == Aborted(refused)


@pytest.mark.parametrize("name", JOBS)
def test_every_word_of_a_job_has_a_meaning(name: str) -> None:
    """Summaries, pages and displays find each of its ends, and no other, in its row."""
    kind = JOBS[name]
    words: type[StrEnum] = RollbackOutcome if kind is ROLLBACK else kind.words
    assert list(kind.meanings) == list(words)
    assert kind.streaks <= kind.problems <= set(words)
    assert not any(word.settled for word in kind.words if word in kind.problems)


def test_jobs_are_found_by_their_commands() -> None:
    """The table is what a ledger's runs are looked up in."""
    assert [JOBS[kind.name] is kind for kind in (APPLY, VERIFY, ROLLBACK)] == [True] * 3


def test_jobs_that_share_a_ledger_say_so() -> None:
    """A rollback works on what an apply wrote; a new job has ledgers of its own, whatever its words."""
    assert ROLLBACK.shares_ledger(APPLY)
    assert APPLY.shares_ledger(ROLLBACK)
    assert not VERIFY.shares_ledger(APPLY)
    assert not VERIFY._replace(name="another").shares_ledger(VERIFY)


def test_a_word_that_two_kinds_of_jobs_have_is_settled_for_each_by_its_own_rule() -> None:
    """What an apply leaves behind is meant so; what a verify finds behind is to be read again."""
    assert (Outcome.BEHIND.settled, Verified.BEHIND.settled) == (True, False)
    assert (Outcome.IDENTICAL.settled, Verified.IDENTICAL.settled) == (True, True)


def test_what_people_read_of_a_version_holds_no_id_that_may_be_a_value() -> None:
    """The service may have put the value there."""
    assert "canary" not in repr(Found("canary", same_value=False, created=None))
    assert Found("canary", same_value=False, created=None).told == "canary"
    assert Found("canary", same_value=False, created=None, echoes=True).told == "another one"


def test_a_refusal_without_a_code_has_none() -> None:
    """Its status is told all the same."""
    assert ended(Verified.UNREADABLE, Fault("", 502)) == Ending(Verified.UNREADABLE, status=502)
    lost = NoReply("connection reset", maybe_applied=True)
    assert ended(Verified.UNREADABLE, lost) == Ending(Verified.UNREADABLE, message="connection reset")
    assert ended(Verified.UNREADABLE, lost, "gone").message == "gone"
