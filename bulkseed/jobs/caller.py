"""Telling whose credentials those of a target are."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bulkseed.client.caller import ask_caller
from bulkseed.jobs.check_result import CheckResult, State
from bulkseed.model import Fault, Target
from bulkseed.transport.endpoint import is_public
from bulkseed.wire.caller_identity import CallerIdentity


async def check_caller(target: Target, endpoint: str) -> AsyncIterator[CheckResult]:
    """Tell who signs for a target, and the account that this is in; `endpoint` is that of STS.

    Raises:
        CredentialsError: there are no credentials.
    """
    if not is_public(target.endpoint):
        yield CheckResult("caller", State.NOTE, f"not asked: STS does not know callers of {target.endpoint}")
        return
    answer = await ask_caller(target, endpoint)
    if isinstance(answer, CallerIdentity):
        kind = f" ({answer.identity_type})" if answer.identity_type else ""
        yield CheckResult("caller", State.OK, f"{answer.arn}{kind}")
        yield CheckResult("account", State.OK, answer.account_id)
    else:
        why = answer.code if isinstance(answer, Fault) else answer.reason
        yield CheckResult("caller", State.NOTE, f"not told by {endpoint} ({why})")
