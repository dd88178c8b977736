"""How a definition is compared with what the service has. See `bulkseed.policy.steps` for the protocol.

Rules that live here: what is identical, present (its value was generated and not kept), differs, is behind
(there, and not in this version), is missing or cannot be read. What the service rotated is as it was made.
"""

from __future__ import annotations

from bulkseed.model import Fault, Verified
from bulkseed.policy.advice import GENERATED_NOT_IN_FORCE, NOT_IN_FORCE
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import (
    READ_CURRENT,
    READ_VERSION,
    Aborted,
    Ending,
    Found,
    GiveUp,
    Procedure,
    Subject,
    answered,
    ended,
)
from bulkseed.policy.verdicts import Verdict, classify

_ABSENT = {
    Verdict.NOT_FOUND: "the service has no such secret, or not this version of it",
    Verdict.IN_DELETE_WINDOW: "it is scheduled for deletion",
}


def verify(_rules: Rules, subject: Subject, retry: RetryState) -> Procedure[Ending | Aborted]:
    """Read a definition's version back and compare. See `bulkseed.policy.steps` for the protocol."""
    current = None
    try:
        found = yield from retry.ask(READ_VERSION)
        if isinstance(found, Fault) and classify(found) is Verdict.NOT_FOUND:
            current = yield from retry.ask(READ_CURRENT)
    except GiveUp as given_up:
        if given_up.abort:
            return Aborted(given_up.answer)
        return ended(Verified.UNREADABLE, given_up.answer)
    if isinstance(current, Found):
        if current.version_id != subject.version_id:
            message = f"the service has version {current.told}, and not this one"
            return answered(Verified.BEHIND, message=message)
        found = current  # it was put in between
    if isinstance(found, Fault):
        absent = _ABSENT.get(classify(found))
        return ended(Verified.UNREADABLE if absent is None else Verified.MISSING, found, absent)
    if found.rotated:
        return answered(Verified.IDENTICAL, message=f"the service has rotated it since, to {found.told}")
    if found.version_id == subject.version_id and (found.same_value or subject.generated):
        if not found.in_force:
            told = NOT_IN_FORCE if found.same_value else GENERATED_NOT_IN_FORCE
            return answered(Verified.DIFFERS, message=told)
        if found.same_value:
            return answered(Verified.IDENTICAL)
        return answered(Verified.PRESENT, message="has a generated value, which was not kept")
    return answered(Verified.DIFFERS, message="the service has another value")
