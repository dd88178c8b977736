"""One secret's way from "this ledger made it" to deleted, as a generator like `bulkseed.policy.create`.

Rules that live here: what may be deleted, and what an answer says about an earlier deletion of ours. A
secret is deleted only if the service dates it no later than our own record of its creation, it was never
updated since, and our version is its only one. The service has no conditional delete, so this is looked at
again before every single attempt. What cannot be told apart: a secret that somebody deleted and made again
within about 3 seconds of our making it, with the same version id (times are whole seconds, and clocks
differ).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bulkseed.model import Fault, NoReply
from bulkseed.policy.advice import advice
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Aborted, Answer, Counted, Described, Done, GiveUp, Settled, Step, Wait
from bulkseed.policy.verdicts import Verdict, classify, maybe_applied

CLOCKS = 2.0
"""Seconds by which the service may date a secret before we sent its creation, clocks being what they are."""


class Removal(StrEnum):
    """What became of a secret that was to be rolled back."""

    DELETED = "deleted"
    GONE = "gone"
    CHANGED = "changed"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(slots=True)
class Made:
    """A secret of ours: its version, and by our clock when we first sent it and when we knew of it.

    `dated` is when the service says that it was created; set by the first look, also of an earlier rollback.
    """

    version_id: str
    first_sent_at: float | None
    made_at: float
    dated: str | None = None


class Undone(NamedTuple):
    """How it ended."""

    removal: Removal
    message: str | None = None
    code: str | None = None
    status: int | None = None
    request_id: str | None = None


Undoing = Generator[Step | Wait, Answer | None, Undone | Aborted]

_ABSENT = {"Forbidden.ResourceNotFound", "Rejected.ResourceInDeleteWindow"}
_AGAIN = {Verdict.RETRY, Verdict.THROTTLED}


def undo(made: Made, me: RetryState) -> Undoing:
    """Delete one secret if it is still as we made it. `me` is in doubt if that was claimed before."""
    try:
        return (yield from _undo(made, me))
    except GiveUp as given_up:
        end = given_up.end
        if isinstance(end, Aborted):
            return end
        return _given_up(end, me)


def _undo(made: Made, me: RetryState) -> Undoing:
    underway = False  # a deletion of ours may yet arrive
    while True:
        found = yield from me.ask(Step.DESCRIBE)
        if isinstance(found, Fault):
            return _absent(me) if found.code in _ABSENT else _failed(found, me)
        assert isinstance(found, Described)  # noqa: S101  # it is answered by Described or Fault
        if found.to_be_deleted:
            return _absent(me)
        if _another(made, found):
            return _absent(me, "another secret has its name now")
        if reason := difference(made, found):
            return _changed(reason, underway)
        made.dated = found.dated
        versions = yield from me.ask(Step.COUNT_VERSIONS)
        if isinstance(versions, Fault):
            return _absent(me) if versions.code in _ABSENT else _failed(versions, me)
        assert isinstance(versions, Counted)  # noqa: S101  # it is answered by Counted or Fault
        if versions != Counted(1, (made.version_id,)):
            return _changed("it has other versions than the one that was created", underway)
        answer = yield from me.ask(Step.DELETE, repeat=False)
        if isinstance(answer, Done):
            return Undone(Removal.DELETED, status=200, request_id=answer.request_id)
        assert isinstance(answer, Fault | NoReply)  # noqa: S101  # it is answered by Done, Fault or NoReply
        if isinstance(answer, Fault) and answer.code in _ABSENT:
            return _absent(me)
        if classify(answer) not in _AGAIN:
            return _failed(answer, me)
        underway = underway or maybe_applied(answer)


def _another(made: Made, found: Described) -> bool:
    """Tell whether it was created after the one that is to be deleted, so that one is not there any more."""
    if made.dated is not None:
        return found.dated != made.dated
    return found.not_before is not None and found.not_before > made.made_at


def difference(made: Made, found: Described) -> str | None:
    """Return what speaks against its being as we made it, from its metadata."""
    if found.created_at is None:
        return "the service does not say when it was created"
    if made.first_sent_at is not None and found.created_at < made.first_sent_at - CLOCKS:
        return "the service dates it before this ledger made it"
    if not found.unchanged:
        return "it was updated since it was created"
    return None


def _changed(reason: str, underway: bool) -> Undone:
    return Undone(Removal.PENDING if underway else Removal.CHANGED, reason)


def _absent(me: RetryState, message: str | None = None) -> Undone:
    return Undone(Removal.DELETED if me.in_doubt else Removal.GONE, message)


def _failed(answer: Fault | NoReply, me: RetryState) -> Undone:
    removal = Removal.PENDING if me.in_doubt else Removal.FAILED
    if isinstance(answer, NoReply):
        return Undone(removal, answer.reason)
    return Undone(removal, advice(answer.code).meaning, answer.code, answer.status, answer.request_id)


def _given_up(end: Settled, me: RetryState) -> Undone:
    removal = Removal.PENDING if me.in_doubt else Removal.FAILED
    message = end.message or (advice(end.code).meaning if end.code else None)
    return Undone(removal, message, end.code, end.status, end.request_id)
