"""How a secret of ours gets the new version that its manifest or its source has by now.

Rules that live here: nothing is overwritten unless the version in force is the one that we are known to hold.
Putting one version with one value twice has the effect of once. A put without an answer leaves a doubt all
the same: by the next run the definition may have yet another version. A secret that is younger than the one
that we made is not overwritten; where it may not be described, its version is all that tells.
"""

from __future__ import annotations

from enum import Enum

from bulkseed.model import Fault, Outcome
from bulkseed.policy import steps
from bulkseed.policy.advice import ANOTHER, BOTH_SIDES, GONE
from bulkseed.policy.moments import Sending, ServiceMoment
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import CLOCKS
from bulkseed.policy.steps import (
    Aborted,
    DropDoubt,
    Ending,
    Found,
    GiveUp,
    MarkHeld,
    Procedure,
    Subject,
    answered,
    ended,
    gave_up,
)
from bulkseed.policy.verdicts import Verdict, classify


class Earlier(Enum):
    """Whose the version is that an earlier run may have written."""

    OURS = "ours"
    NOT_OURS = "not ours"
    UNKNOWN = "unknown"


RESTORED = "is ours, was scheduled for deletion, and was restored"


def follow(
    held: str,
    subject: Subject,
    retry: RetryState,
    *,
    restore: bool = False,
    made: ServiceMoment | None = None,
) -> Procedure[Ending | Aborted]:
    """Put the definition's version where `held` is in force.

    `restore`: take the secret back first if it is scheduled for deletion. `made`: when the secret of ours was
    made, by the service's clock; one that is younger is somebody else's, whatever its version is called.
    """
    try:
        found = yield from retry.ask(steps.READ_CURRENT)
        restored = False
        if restore and isinstance(found, Fault) and classify(found) is Verdict.IN_DELETE_WINDOW:
            told = yield from retry.ask(steps.RESTORE)
            if isinstance(told, Fault) and classify(told, steps.RESTORE) is not Verdict.NOT_SCHEDULED:
                return ended(Outcome.REJECTED, told)
            restored = not isinstance(told, Fault)
            found = yield from retry.ask(steps.READ_CURRENT)
        end = yield from _follow(found, held, subject.version_id, retry, made)
    except GiveUp as given_up:
        return gave_up(given_up, doubt=retry.in_doubt)
    if restored and isinstance(end, Ending):
        end.message = f"{RESTORED}; {end.message}" if end.message else RESTORED
    return end


def _follow(
    found: Found | Fault, held: str, wanted: str, retry: RetryState, made: ServiceMoment | None
) -> Procedure[Ending | Aborted]:
    if isinstance(found, Fault):
        gone = classify(found) is Verdict.NOT_FOUND
        return ended(Outcome.REJECTED, found, GONE if gone else None)
    if found.version_id == wanted:
        return _there(found, wanted)
    if found.version_id != held:
        message = f"{BOTH_SIDES}: the current version is {found.told}, ours was {held}"
        return answered(Outcome.CONFLICT, message=message)
    if made is not None:
        described = yield from retry.ask(steps.DESCRIBE)
        created = None if isinstance(described, Fault) else described.created
        if created is not None and made + CLOCKS < created.service:
            return answered(Outcome.CONFLICT, message=ANOTHER)
    try:
        put = yield from retry.ask(steps.PUT)
    except GiveUp as given_up:
        return gave_up(given_up, doubt=True)
    if isinstance(put, Fault):
        if classify(put, steps.PUT) is Verdict.EXISTED:
            return ended(Outcome.CONFLICT, put, _other_value(wanted))
        return ended(Outcome.REJECTED, put)
    if not put.current:  # the service had it already, and moves no stage then
        found = yield from retry.ask(steps.READ_CURRENT)
        if not isinstance(found, Found) or found.version_id != wanted:
            message = f"version {wanted} was there already, and is not current: choose another VersionId"
            return answered(Outcome.CONFLICT, message=message)
    return answered(Outcome.UPDATED, request_id=put.request_id)


def confirm(
    subject: Subject, retry: RetryState, asked_at: Sending, *, owned: bool
) -> Procedure[Earlier | Ending | Aborted]:
    """Tell whether the version that an earlier run may have written is there and ours.

    The item is the definition as it was then; a generated value is known no more, and proves nothing.
    `asked_at` is now. `owned`: the secret itself is known to be ours. What is found is on disk when this
    returns: the next doubt is about another version. Where only a time speaks against its being ours, it is
    unknown, and the doubt stays.
    """
    try:
        found = yield from retry.ask(steps.READ_VERSION)
    except GiveUp as given_up:
        return gave_up(given_up, doubt=retry.in_doubt)
    if isinstance(found, Fault):
        if classify(found) is Verdict.NOT_FOUND:
            yield DropDoubt(asked_at)
            return Earlier.NOT_OURS
        return ended(Outcome.REJECTED, found, doubt=True)
    since, created = retry.doubt_since, found.created
    young = created is not None and (since is None or not created.before(since))
    same = found.version_id == subject.version_id and (found.same_value or subject.generated)
    ours = same and (owned or young)
    made = None if owned or created is None else created.service  # of the version: its first is the secret's
    if ours:
        yield MarkHeld(subject.version_id, asked_at, made)
        return Earlier.OURS
    if same and (created is None or since is None or not created.surely_before(since)):
        return Earlier.UNKNOWN
    yield DropDoubt(asked_at)
    return Earlier.NOT_OURS


def _there(found: Found, wanted: str) -> Ending:
    if found.same_value:
        return answered(Outcome.UPDATED)  # by an earlier run, whose answer was lost
    return answered(Outcome.CONFLICT, message=_other_value(wanted))


def _other_value(wanted: str) -> str:
    return (
        f"version {wanted} exists with another value, and a version's value cannot be changed: "
        "choose another VersionId"
    )
