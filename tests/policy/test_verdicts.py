"""The verdict table: reviewable without reading code, with negative rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.model import Fault, NoReply
from bulkseed.policy.steps import CREATE, DELETE, PUT, RESTORE
from bulkseed.policy.verdicts import (
    RULES,
    Verdict,
    VerdictRule,
    _matches,
    classify,
    known_part,
    maybe_applied,
)
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Response

EXPECTED = [
    ("Rejected.ResourceExist", 409, Verdict.EXISTED),
    ("Rejected.ResourceExist", 400, Verdict.EXISTED),
    ("Rejected.ResourceInDeleteWindow", 409, Verdict.IN_DELETE_WINDOW),
    ("Rejected.Throttling", 429, Verdict.THROTTLED),
    ("Throttling", 400, Verdict.THROTTLED),
    ("Throttling.User", 503, Verdict.THROTTLED),
    ("HTTP429", 429, Verdict.THROTTLED),
    ("Rejected.LimitExceeded", 400, Verdict.ABORT),
    ("Rejected.ShareQuotaExceedLimit", 400, Verdict.ABORT),
    ("InvalidAccessKeyId.NotFound", 404, Verdict.ABORT),
    ("InvalidAccessKeyId", 403, Verdict.ABORT),
    ("SignatureDoesNotMatch", 403, Verdict.ABORT),
    ("IncompleteSignature", 400, Verdict.ABORT),
    ("InvalidSecurityToken.Expired", 400, Verdict.ABORT),
    ("UnsupportedOperation", 400, Verdict.ABORT),
    ("InvalidAccessKeySecret", 400, Verdict.ABORT),
    ("MissingSecurityToken", 400, Verdict.ABORT),
    ("InvalidAction.NotFound", 404, Verdict.ABORT),
    ("InvalidVersion", 400, Verdict.ABORT),
    ("Forbidden.AccessKeyDisabled", 403, Verdict.ABORT),
    ("Forbidden.ProhibitedByRiskControl", 403, Verdict.ABORT),
    ("Source.Throttled", 0, Verdict.THROTTLED),
    ("Source.Unavailable", 0, Verdict.RETRY),
    ("Source.Credentials", 0, Verdict.ABORT),
    ("Source.Certificate", 0, Verdict.ABORT),
    ("Source.NotFound", 0, Verdict.REJECT),
    ("Forbidden.KmsServiceNotEnabled", 403, Verdict.ABORT),
    ("Forbidden.InDebtOverdue", 403, Verdict.ABORT),
    ("SignatureNonceUsed", 400, Verdict.RETRY),
    ("IllegalTimestamp", 400, Verdict.CLOCK),
    ("InvalidTimeStamp.Expired", 400, Verdict.CLOCK),
    ("InvalidTimeStamp.Format", 400, Verdict.CLOCK),
    ("InternalFailure", 500, Verdict.RETRY),
    ("ServiceUnavailableTemporary", 503, Verdict.RETRY),
    ("SerivceUnvailableTemporary", 503, Verdict.RETRY),  # the metadata's own spelling
    ("HTTP502", 502, Verdict.RETRY),
    ("Forbidden.NoPermission", 403, Verdict.NO_PERMISSION),
    ("InvalidParameter", 400, Verdict.INVALID),
    ("Forbidden.ResourceNotFound", 404, Verdict.NOT_FOUND),
    ("Forbidden.KeyNotFound", 404, Verdict.NOT_FOUND),
    ("Rejected.ResourceInUse", 409, Verdict.REJECT),
    ("MissingParameter", 400, Verdict.REJECT),
    # Not what they look like:
    ("HTTP409", 409, Verdict.REJECT),
    ("Unreadable", 409, Verdict.RETRY),
    ("Unreadable", 429, Verdict.THROTTLED),
    ("Rejected.ResourceExistNot", 409, Verdict.REJECT),
    ("rejected.resourceexist", 409, Verdict.REJECT),
    ("Throttlin", 400, Verdict.REJECT),
    ("Created", 200, Verdict.REJECT),
    ("OK", 200, Verdict.REJECT),
    ("", 404, Verdict.REJECT),
]


@pytest.mark.parametrize(("code", "status", "verdict"), EXPECTED)
def test_each_code_has_its_verdict(code: str, status: int, verdict: Verdict) -> None:
    """The documented codes mean what the documents say; look-alikes do not."""
    assert classify(Fault(code, status)) is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (428, Verdict.REJECT),
        (429, Verdict.THROTTLED),
        (430, Verdict.REJECT),
        (499, Verdict.REJECT),
        (500, Verdict.RETRY),
        (599, Verdict.RETRY),
        (600, Verdict.REJECT),
    ],
)
def test_a_status_decides_where_a_code_is_unknown(status: int, verdict: Verdict) -> None:
    """429 alone is too fast, and every 5xx may pass."""
    assert classify(Fault("Odd", status)) is verdict


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("InternalFailure", "InternalFailure"),
        ("InternalFailure.More", None),
        ("Throttling", "Throttling"),
        ("Throttling.User", "Throttling"),
        ("Forbidden.InDebt.now", "Forbidden.InDebt"),
        ("Odd", None),
        ("", None),
    ],
)
def test_what_a_rule_knows_of_a_code_is_our_own_text(code: str, known: str | None) -> None:
    """A service's text may be anything."""
    assert known_part(code) == known


def test_every_rule_is_told_above() -> None:
    """A new row of the table has one here; those of one step have theirs below."""
    told = {(code, status) for code, status, _ in EXPECTED}
    deciding = {next(rule for rule in RULES if _matches(rule, Fault(*fault), None)) for fault in told}
    assert {rule for rule in RULES if rule.step is None} <= deciding


def test_some_codes_mean_something_else_for_one_step() -> None:
    """A full quota of secrets stops a run; a secret that takes no more versions does not."""
    full, in_use = Fault("Rejected.LimitExceeded", 400), Fault("Rejected.ResourceInUse", 409)
    assert classify(full, CREATE) is Verdict.ABORT
    assert classify(full, PUT) is Verdict.NO_ROOM
    assert classify(in_use, RESTORE) is Verdict.NOT_SCHEDULED
    assert classify(in_use, DELETE) is Verdict.REJECT


def test_the_last_rule_takes_everything() -> None:
    """No answer falls through the table."""
    assert RULES[-1] == VerdictRule(None, None, Verdict.REJECT)


@given(status=st.integers(100, 999), body=st.binary(max_size=300), retry_after=st.text(max_size=20))
def test_every_reply_has_a_verdict(status: int, body: bytes, retry_after: str) -> None:
    """Any status and body is read as a fault with a verdict, and unknown is never success."""
    fault = decode_fault(Response(status, {"x-acs-retry-after": retry_after}, body))
    assert classify(fault) in Verdict


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (NoReply("connection refused", maybe_applied=False), False),
        (NoReply("connection reset", maybe_applied=True), True),
        (Fault("InternalFailure", 500), True),
        (Fault("HTTP502", 502), True),
        (Fault("HTTP404", 404), True),
        (Fault("Rejected.Throttling", 429), False),
        (Fault("Rejected.ResourceExist", 409), False),
        (Fault("Odd", 399), True),
        (Fault("Odd", 400), False),
        (Fault("Odd", 499), False),
        (Fault("Odd", 500), True),
    ],
)
def test_doubt_arises_only_where_the_service_may_have_acted(answer: Fault | NoReply, expected: bool) -> None:
    """A refusal by the service leaves no doubt; silence, a 5xx or a proxy's page does."""
    assert maybe_applied(answer) is expected


def test_a_fatal_loss_ends_the_run() -> None:
    """A certificate that does not verify is not retried."""
    assert classify(NoReply("certificate", maybe_applied=False, fatal=True)) is Verdict.ABORT
