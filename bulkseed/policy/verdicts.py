"""Error code → verdict. Every rule about what an answer means for a run is a row of `RULES`.

First match wins; the last row always matches. Codes decide; the status only where a code is missing or
unknown: ``Rejected.ResourceExist`` and ``Rejected.ResourceInDeleteWindow`` are both 409 and mean opposites.
Sources: the CreateSecret, PutSecretValue and RestoreSecret pages, the KMS common error list, the API
gateway's lists (2024-06).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, NamedTuple

from bulkseed.model import Fault, NoReply
from bulkseed.policy.steps import PUT, RESTORE, Step


class Verdict(Enum):
    """What an answer means for the definition and for the run."""

    EXISTED = auto()  # the name is taken by a secret that is there
    IN_DELETE_WINDOW = auto()  # the name is taken by a secret that is to be deleted
    NOT_SCHEDULED = auto()  # the secret is not, or no longer, to be deleted
    NOT_FOUND = auto()  # what was asked for, or something that the definition refers to, is not there
    NO_PERMISSION = auto()  # these credentials may not do this
    NO_ROOM = auto()  # this secret takes no more versions
    INVALID = auto()  # a parameter does not have its form
    RETRY = auto()  # this attempt failed; another may not
    THROTTLED = auto()  # too fast; sending slows down and the attempt is repeated
    CLOCK = auto()  # our clock is off: correct it, retry once, then abort
    REJECT = auto()  # refused for good, this definition only
    ABORT = auto()  # every later call would fail too


class VerdictRule(NamedTuple):
    """A code (``*`` at the end matches any rest; None any code), a status (None: any), and the verdict.

    With a `step` the rule holds for its answers only.
    """

    code: str | None
    status: range | None
    verdict: Verdict
    step: Step[Any] | None = None


_ANY_5XX = range(500, 600)
_429 = range(429, 430)

RULES: tuple[VerdictRule, ...] = (
    VerdictRule("Rejected.ResourceExist", None, Verdict.EXISTED),
    VerdictRule("Rejected.ResourceInDeleteWindow", None, Verdict.IN_DELETE_WINDOW),
    VerdictRule("Rejected.ResourceInUse", None, Verdict.NOT_SCHEDULED, RESTORE),
    VerdictRule("Forbidden.ResourceNotFound", None, Verdict.NOT_FOUND),
    VerdictRule("Forbidden.KeyNotFound", None, Verdict.NOT_FOUND),
    VerdictRule("Forbidden.NoPermission", None, Verdict.NO_PERMISSION),
    VerdictRule("InvalidParameter", None, Verdict.INVALID),
    VerdictRule("Rejected.Throttling", None, Verdict.THROTTLED),
    VerdictRule("Throttling*", None, Verdict.THROTTLED),
    VerdictRule("Rejected.LimitExceeded", None, Verdict.NO_ROOM, PUT),
    VerdictRule("Rejected.LimitExceeded", None, Verdict.ABORT),
    VerdictRule("Rejected.ShareQuotaExceedLimit", None, Verdict.ABORT),
    VerdictRule("InvalidAccessKeyId*", None, Verdict.ABORT),
    VerdictRule("InvalidAccessKeySecret", None, Verdict.ABORT),
    VerdictRule("SignatureDoesNotMatch", None, Verdict.ABORT),
    VerdictRule("IncompleteSignature", None, Verdict.ABORT),
    VerdictRule("InvalidSecurityToken*", None, Verdict.ABORT),
    VerdictRule("MissingSecurityToken", None, Verdict.ABORT),
    VerdictRule("UnsupportedOperation", None, Verdict.ABORT),
    VerdictRule("InvalidAction.NotFound", None, Verdict.ABORT),
    VerdictRule("InvalidVersion", None, Verdict.ABORT),
    VerdictRule("Forbidden.AccessKey*", None, Verdict.ABORT),
    VerdictRule("Forbidden.KmsServiceNotEnabled", None, Verdict.ABORT),
    VerdictRule("Forbidden.ProhibitedByRiskControl", None, Verdict.ABORT),
    VerdictRule("Forbidden.InDebt*", None, Verdict.ABORT),
    VerdictRule("SignatureNonceUsed", None, Verdict.RETRY),
    VerdictRule("IllegalTimestamp", None, Verdict.CLOCK),
    VerdictRule("InvalidTimeStamp*", None, Verdict.CLOCK),
    VerdictRule("InternalFailure", None, Verdict.RETRY),
    VerdictRule("ServiceUnavailableTemporary", None, Verdict.RETRY),
    VerdictRule("Source.Throttled", None, Verdict.THROTTLED),
    VerdictRule("Source.Unavailable", None, Verdict.RETRY),
    VerdictRule("Source.Credentials", None, Verdict.ABORT),
    VerdictRule("Source.Certificate", None, Verdict.ABORT),
    VerdictRule("Source.*", None, Verdict.REJECT),
    VerdictRule(None, _429, Verdict.THROTTLED),
    VerdictRule(None, _ANY_5XX, Verdict.RETRY),
    VerdictRule("Unreadable", None, Verdict.RETRY),
    VerdictRule(None, None, Verdict.REJECT),
)


def _matches(rule: VerdictRule, fault: Fault, step: Step[Any] | None) -> bool:
    if rule.step is not None and rule.step is not step:
        return False
    if rule.status is not None and fault.status not in rule.status:
        return False
    if rule.code is None:
        return True
    if rule.code.endswith("*"):
        return fault.code.startswith(rule.code.removesuffix("*"))
    return fault.code == rule.code


def known_part(code: str) -> str | None:
    """Return what a rule knows of a code, which says nothing but our own text; None if no rule knows it."""
    for rule in RULES:
        known = (rule.code or "").removesuffix("*")
        if known and (code == known or (rule.code != known and code.startswith(known))):
            return known
    return None


def classify(answer: Fault | NoReply, step: Step[Any] | None = None) -> Verdict:
    """Return the verdict on an answer to `step` that is no success. Never raises; unknown is no success."""
    if isinstance(answer, NoReply):
        return Verdict.ABORT if answer.fatal else Verdict.RETRY
    return next(rule.verdict for rule in RULES if _matches(rule, answer, step))


def as_existing(answer: Fault) -> Fault:
    """Return what CreateSecret would say of a name that was in its delete window and was restored."""
    return Fault("Rejected.ResourceExist", 409, request_id=answer.request_id)


def maybe_applied(answer: Fault | NoReply) -> bool:
    """Tell whether the service may have carried the request out although it did not say so.

    A 5xx can come after the commit, and an answer that is no KMS error (a proxy's page) says nothing of it.
    Only a 4xx with a code says that nothing was done.
    """
    if isinstance(answer, NoReply):
        return answer.maybe_applied
    is_kms = 400 <= answer.status < 500 and not answer.code.startswith("HTTP") and answer.code != "Unreadable"
    return not is_kms
