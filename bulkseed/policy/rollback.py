"""How a secret that a ledger created is deleted again. See `bulkseed.policy.steps` for the protocol.

Rules that live here: what may be deleted, and what an answer says about an earlier deletion of ours. A
secret is deleted only if the service dates it as it did when we made it, nobody else updated it since, and it
has no version but ours. What exists is never called gone because of a time: where only that disagrees it is
`changed`, and stays on record as ours. The service has no conditional delete, so this is looked at
again before every single attempt, and the deletion is claimed on disk before the first. What cannot be told
apart: a secret that somebody deleted and made again within about 3 seconds of our making it, with the same
version id (times are whole seconds, and clocks differ).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bulkseed.model import Fault, NoReply
from bulkseed.policy import steps
from bulkseed.policy.advice import advice
from bulkseed.policy.moments import OurMoment, ServiceMoment
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import OK, Aborted, ClaimRollback, Counted, Described, Done, GiveUp, Procedure
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied

SCHEDULED = "it is scheduled for deletion"
UNDATED = "no clock tells whether it is the one that this ledger made: the service's is not known"

CLOCKS = 2.0
"""Seconds by which two times of one creation may differ, clocks being what they are."""
SLOWEST = 86_400.0
"""Seconds from a creation to the Date of an answer that came then: a machine may sleep meanwhile."""


class RollbackOutcome(StrEnum):
    """What became of a secret that was to be rolled back."""

    DELETED = "deleted"
    GONE = "gone"
    RESTORED = "restored"
    CHANGED = "changed"
    FAILED = "failed"
    PENDING = "pending"


class RowState(StrEnum):
    """What a row is called for people where its outcome says less.

    Rolled back, and so pending; or updated, and then put back to the version before.
    """

    ROLLED_BACK = "rolled back"
    PUT_BACK = "put back"

    @property
    def settled(self) -> bool:
        """Another apply makes what was rolled back again, once its name is free."""
        return self is RowState.PUT_BACK


STATES_MEAN: dict[StrEnum, str] = {
    RowState.ROLLED_BACK: "apply makes it again once its name is free",
    RowState.PUT_BACK: "had been updated; the version before is in force again",
}
NAME_IS_TAKEN = (
    "a deleted secret's name is taken as long as its delete window lasts: bulkseed apply MANIFEST"
    " --on-delete-window restore takes the secret back"
)


def name_is_taken(until: str | None) -> str:
    """Say what a delete window is for; `until`: when the first one ends, in the service's own words."""
    return NAME_IS_TAKEN + (f"; the first window ends {until} by the service's clock" if until else "")


WHEN_ROLLED_BACK = "when it was rolled back"
"""How the message of a row ends whose secret a rollback deleted."""

RESTORABLE_UNTIL = "restorable until "
"""How the message of a deletion begins; the time after it is the service's own word."""
FOR_GOOD = "for good"
"""The message of a deletion without a window."""

UNDONE = frozenset({RollbackOutcome.DELETED, RollbackOutcome.GONE, RollbackOutcome.RESTORED})
"""What is undone: no later rollback takes it up."""


@dataclass(slots=True, frozen=True)
class OwnedSecret:
    """A secret of ours: its versions, and by our clock when we first sent it and when we knew of it.

    `dated` is when the service says that it was created, if an earlier rollback has looked. `created` is when
    it was, by the service's clock, if on record. `taken_back`: from its delete window, by this ledger.
    """

    versions: tuple[str, ...]
    first_sent_at: OurMoment | None
    made_at: OurMoment
    dated: str | None = None
    created: ServiceMoment | None = None
    taken_back: bool = False


class RollbackEnd(NamedTuple):
    """How it ended."""

    outcome: RollbackOutcome
    message: str | None = None
    code: str | None = None
    status: int | None = None
    request_id: str | None = None


RollingBack = Procedure[RollbackEnd | Aborted]

ABSENT = (Verdict.NOT_FOUND, Verdict.IN_DELETE_WINDOW)


def rollback(owned: OwnedSecret, retry: RetryState) -> RollingBack:
    """Delete one secret if it is still as we made it. `retry` is in doubt if that was claimed before."""
    try:
        return (yield from _rollback(owned, retry))
    except GiveUp as given_up:
        if given_up.abort:
            return Aborted(given_up.answer, retry.in_doubt)
        return failed(given_up.answer, retry)


def _rollback(owned: OwnedSecret, retry: RetryState) -> RollingBack:
    dated = owned.dated
    claimed = False
    underway = False  # a deletion of ours may yet arrive
    while True:
        found = yield from retry.ask(steps.DESCRIBE)
        if isinstance(found, Fault):
            return _refused(found, retry)
        if found.to_be_deleted:
            return _absent(retry, None if retry.in_doubt else SCHEDULED)
        if dated is not None and found.dated != dated:  # both are the service's own words
            return _absent(retry, "another secret has its name now")
        if reason := difference(owned, found):
            return changed(reason, underway)
        dated = found.dated
        versions = yield from retry.ask(steps.COUNT_VERSIONS)
        if isinstance(versions, Fault):
            return _refused(versions, retry)
        if not _only_ours(versions, owned):
            return changed("it has other versions than ours", underway)
        if not claimed:
            yield ClaimRollback(dated)
            claimed = True
        answer = yield from retry.ask_once(steps.DELETE)
        if isinstance(answer, Done):
            until = answer.restorable_until and f"{RESTORABLE_UNTIL}{answer.restorable_until}"
            return RollbackEnd(RollbackOutcome.DELETED, until, status=OK, request_id=answer.request_id)
        if not retry.may_repeat(steps.DELETE, answer):
            return _refused(answer, retry)
        underway = underway or maybe_applied(answer)


def _only_ours(found: Counted, owned: OwnedSecret) -> bool:
    """Tell whether the secret has versions of ours and no others."""
    return 0 < found.versions == len(found.ids) and set(found.ids) <= set(owned.versions)


def difference(owned: OwnedSecret, found: Described) -> str | None:
    """Return what speaks against its being as we made it, from its metadata."""
    if found.created is None:
        return "the service does not say when it was created"
    first_sent_at = owned.first_sent_at or owned.made_at
    if owned.created is not None:
        took = min(SLOWEST, max(0.0, owned.made_at.steady - first_sent_at.steady))
        older = found.created.service < owned.created + (-took - CLOCKS)
        younger = owned.created + CLOCKS < found.created.service
    elif not found.created.dated:
        return UNDATED
    else:  # nothing says that our clock has not been set since
        older = owned.first_sent_at is not None and found.created.latest < first_sent_at + -CLOCKS
        younger = owned.made_at < found.created.earliest
    if older or younger:
        return f"the service dates it {'before' if older else 'after'} this ledger made it"
    ours = owned.taken_back or len(owned.versions) > 1  # what we put, or took back, is an update, too
    if not found.unchanged and not ours:
        return "it was updated since it was created"
    return None


def changed(reason: str, underway: bool) -> RollbackEnd:
    """Return the end of one that is left alone; `underway`: a request of ours may yet arrive."""
    return RollbackEnd(RollbackOutcome.PENDING if underway else RollbackOutcome.CHANGED, reason)


def _absent(retry: RetryState, message: str | None = None) -> RollbackEnd:
    return RollbackEnd(RollbackOutcome.DELETED if retry.in_doubt else RollbackOutcome.GONE, message)


def _refused(answer: Fault | NoReply, retry: RetryState) -> RollbackEnd:
    verdict = classify(answer)
    if verdict not in ABSENT:
        return failed(answer, retry)
    scheduled = verdict is Verdict.IN_DELETE_WINDOW and not retry.in_doubt
    return _absent(retry, SCHEDULED if scheduled else None)


def failed(answer: Fault | NoReply, retry: RetryState) -> RollbackEnd:
    """Return the end that a refusal brought about; one in doubt is left for the next rollback."""
    outcome = RollbackOutcome.PENDING if retry.in_doubt else RollbackOutcome.FAILED
    if isinstance(answer, NoReply):
        return RollbackEnd(outcome, answer.reason)
    return RollbackEnd(outcome, advice(answer.code).meaning, answer.code, answer.status, answer.request_id)
