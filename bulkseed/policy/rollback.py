"""How a secret that a ledger created is deleted again. See `bulkseed.policy.steps` for the protocol.

Rules that live here: what may be deleted, and what an answer says about an earlier deletion of ours. A
secret is deleted only if the service dates it no later than our own record of its creation, it was never
updated since, and our version is its only one. The service has no conditional delete, so this is looked at
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
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Aborted, ClaimDeletion, Counted, Described, Done, GiveUp, Procedure
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied

CLOCKS = 2.0
"""Seconds by which the service may date a secret before we sent its creation, clocks being what they are."""


class RollbackOutcome(StrEnum):
    """What became of a secret that was to be rolled back."""

    DELETED = "deleted"
    GONE = "gone"
    CHANGED = "changed"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(slots=True, frozen=True)
class OwnedSecret:
    """A secret of ours: its version, and by our clock when we first sent it and when we knew of it.

    `dated` is when the service says that it was created, if an earlier rollback has looked.
    """

    version_id: str
    first_sent_at: float | None
    made_at: float
    dated: str | None = None


class RollbackEnd(NamedTuple):
    """How it ended."""

    outcome: RollbackOutcome
    message: str | None = None
    code: str | None = None
    status: int | None = None
    request_id: str | None = None


RollingBack = Procedure[RollbackEnd | Aborted]

_ABSENT = (Verdict.NOT_FOUND, Verdict.IN_DELETE_WINDOW)


def rollback(owned: OwnedSecret, retry: RetryState) -> RollingBack:
    """Delete one secret if it is still as we made it. `retry` is in doubt if that was claimed before."""
    try:
        return (yield from _rollback(owned, retry))
    except GiveUp as given_up:
        if given_up.abort:
            return Aborted(given_up.answer, retry.in_doubt)
        return _failed(given_up.answer, retry)


def _rollback(owned: OwnedSecret, retry: RetryState) -> RollingBack:
    dated = owned.dated
    claimed = False
    underway = False  # a deletion of ours may yet arrive
    while True:
        found = yield from retry.ask(steps.DESCRIBE)
        if isinstance(found, Fault):
            return _refused(found, retry)
        if found.to_be_deleted:
            return _absent(retry)
        if _is_another(owned, dated, found):
            return _absent(retry, "another secret has its name now")
        if reason := difference(owned, found):
            return _changed(reason, underway)
        dated = found.dated
        versions = yield from retry.ask(steps.COUNT_VERSIONS)
        if isinstance(versions, Fault):
            return _refused(versions, retry)
        if versions != Counted(1, (owned.version_id,)):
            return _changed("it has other versions than the one that was created", underway)
        if not claimed:
            yield ClaimDeletion(dated)
            claimed = True
        answer = yield from retry.ask_once(steps.DELETE)
        if isinstance(answer, Done):
            return RollbackEnd(RollbackOutcome.DELETED, status=200, request_id=answer.request_id)
        if not retry.may_repeat(steps.DELETE, answer):
            return _refused(answer, retry)
        underway = underway or maybe_applied(answer)


def _is_another(owned: OwnedSecret, dated: str | None, found: Described) -> bool:
    """Tell whether it was created after the one that is to be deleted, so that one is not there any more."""
    if dated is not None:
        return found.dated != dated
    return found.not_before is not None and found.not_before > owned.made_at


def difference(owned: OwnedSecret, found: Described) -> str | None:
    """Return what speaks against its being as we made it, from its metadata."""
    if found.created_at is None:
        return "the service does not say when it was created"
    if owned.first_sent_at is not None and found.created_at < owned.first_sent_at - CLOCKS:
        return "the service dates it before this ledger made it"
    if not found.unchanged:
        return "it was updated since it was created"
    return None


def _changed(reason: str, underway: bool) -> RollbackEnd:
    return RollbackEnd(RollbackOutcome.PENDING if underway else RollbackOutcome.CHANGED, reason)


def _absent(retry: RetryState, message: str | None = None) -> RollbackEnd:
    return RollbackEnd(RollbackOutcome.DELETED if retry.in_doubt else RollbackOutcome.GONE, message)


def _refused(answer: Fault | NoReply, retry: RetryState) -> RollbackEnd:
    return _absent(retry) if classify(answer) in _ABSENT else _failed(answer, retry)


def _failed(answer: Fault | NoReply, retry: RetryState) -> RollbackEnd:
    outcome = RollbackOutcome.PENDING if retry.in_doubt else RollbackOutcome.FAILED
    if isinstance(answer, NoReply):
        return RollbackEnd(outcome, answer.reason)
    return RollbackEnd(outcome, advice(answer.code).meaning, answer.code, answer.status, answer.request_id)
