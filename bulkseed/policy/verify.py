"""One definition's way from the manifest to what the service has: read its version and compare in memory.

Rules that live here: what is identical, differs, is missing or cannot be read. A record of them is kept in
the outcomes of a ledger, where only `IDENTICAL` and `PRESENT`, a version whose value was generated and not
kept, are settled: a resumed verify looks at everything else again.
"""

from __future__ import annotations

from bulkseed.model import Fault, Outcome, Verified
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import READ_VERSION, Aborted, Ending, GiveUp, Procedure, Subject, ended
from bulkseed.policy.verdicts import Verdict, classify

_ABSENT = {
    Verdict.NOT_FOUND: "the service has no such secret, or not this version of it",
    Verdict.IN_DELETE_WINDOW: "it is scheduled for deletion",
}


def verified(outcome: Outcome | Verified, code: str | None) -> Verified:
    """Return what a row of a verify's ledger means."""
    if outcome is Outcome.CONFLICT:
        return Verified.DIFFERS if code is None else Verified.MISSING
    return _PLAIN.get(outcome, Verified.UNREADABLE)


_PLAIN: dict[Outcome | Verified, Verified] = {
    Outcome.IDENTICAL: Verified.IDENTICAL,
    Outcome.EXISTING: Verified.PRESENT,
    Outcome.INVALID: Verified.INVALID,
    Outcome.PENDING: Verified.PENDING,
}


def verify(_rules: Rules, subject: Subject, retry: RetryState) -> Procedure[Ending | Aborted]:
    """Read a definition's version back and compare. See `bulkseed.policy.steps` for the protocol."""
    try:
        found = yield from retry.ask(READ_VERSION)
    except GiveUp as given_up:
        if given_up.abort:
            return Aborted(given_up.answer)
        return ended(Outcome.EXHAUSTED, given_up.answer)
    if isinstance(found, Fault):
        absent = _ABSENT.get(classify(found))
        return ended(Outcome.REJECTED if absent is None else Outcome.CONFLICT, found, absent)
    if found.version_id == subject.version_id:
        if found.same_value:
            return Ending(Outcome.IDENTICAL, status=200)
        if subject.generated:
            return Ending(Outcome.EXISTING, message="has a generated value, which was not kept", status=200)
    return Ending(Outcome.CONFLICT, message="the service has another value", status=200)
