"""One definition's way from the manifest to what the service has: read its version and compare in memory.

Rules that live here: what is identical, differs, is missing or cannot be read. A record of them is kept in
the outcomes of a ledger, where only `IDENTICAL` and `PRESENT`, a version whose value was generated and not
kept, are settled: a resumed verify looks at everything else again.
"""

from __future__ import annotations

from enum import StrEnum

from bulkseed.model import Fault, Outcome
from bulkseed.policy.options import Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import Found, GiveUp, Journey, Settled, Step, ended

_ABSENT = {
    "Forbidden.ResourceNotFound": "the service has no such secret, or not this version of it",
    "Rejected.ResourceInDeleteWindow": "it is scheduled for deletion",
}


class Verified(StrEnum):
    """What reading a definition back showed."""

    IDENTICAL = "identical"
    PRESENT = "present"
    DIFFERS = "differs"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    INVALID = "invalid"
    PENDING = "pending"


def verified(outcome: Outcome, code: str | None) -> Verified:
    """Return what a row of a verify's ledger means."""
    if outcome is Outcome.CONFLICT:
        return Verified.DIFFERS if code is None else Verified.MISSING
    return _PLAIN.get(outcome, Verified.UNREADABLE)


_PLAIN = {
    Outcome.IDENTICAL: Verified.IDENTICAL,
    Outcome.EXISTING: Verified.PRESENT,
    Outcome.INVALID: Verified.INVALID,
    Outcome.PENDING: Verified.PENDING,
}


def read_back(_rules: Rules, version_id: str, me: RetryState) -> Journey:
    """Carry one definition through; see `bulkseed.policy.create` for the protocol."""
    try:
        found = yield from me.ask(Step.READ_VERSION)
    except GiveUp as given_up:
        return given_up.end
    if isinstance(found, Fault):
        absent = _ABSENT.get(found.code)
        return ended(Outcome.REJECTED if absent is None else Outcome.CONFLICT, found, absent)
    assert isinstance(found, Found)  # noqa: S101  # a read is answered by Found or Fault
    if found.version_id == version_id:
        if found.same_value:
            return Settled(Outcome.IDENTICAL, status=200)
        if me.generated:
            return Settled(Outcome.EXISTING, message="has a generated value, which was not kept", status=200)
    return Settled(Outcome.CONFLICT, message="the service has another value", status=200)
