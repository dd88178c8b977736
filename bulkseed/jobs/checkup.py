"""What can be known of a target before anything is written: who we are there, its clock, permissions, room.

Only reads are asked for, of a name that cannot exist: whoever may read is told that it is not there. Whether
a caller may write cannot be asked without writing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from bulkseed.client.caller import sts_endpoint
from bulkseed.client.operations import Operation, question
from bulkseed.engine.ask import Questioner, open_questioner
from bulkseed.errors import CredentialsError, ServiceError
from bulkseed.humanize import duration, masked
from bulkseed.jobs.caller import check_caller
from bulkseed.jobs.check_result import CheckResult, State
from bulkseed.model import Credentials, Fault, Target
from bulkseed.policy.advice import advice
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.moments import MARGIN
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.transport.endpoint import CONNECT_TIMEOUT, Endpoint, parse_endpoint
from bulkseed.wire.actions import (
    describe_secret,
    get_kms_instance_quota_infos,
    get_secret_value,
    list_secret_version_ids,
    list_secrets,
)
from bulkseed.wire.identifiers import account_of

CLOCK_TOLERANCE = 15 * 60.0
"""Seconds by which a request's time may differ: the gateway refuses it after that (IllegalTimestamp)."""

RETRY = RetryPolicy(max_attempts=2, budget=10.0)
"""Whoever asks for a checkup does not want to wait for an outage to end."""


_LIST = question(list_secrets.GROUP, list_secrets.Request, list_secrets.Reply.read)
_DESCRIBE = question(describe_secret.GROUP, describe_secret.Request, describe_secret.Reply.read)
_VALUE = question(get_secret_value.GROUP, get_secret_value.Request, get_secret_value.Reply.read)
_VERSIONS = question(
    list_secret_version_ids.GROUP, list_secret_version_ids.Request, list_secret_version_ids.Reply.read
)
_ROOM = question(
    get_kms_instance_quota_infos.GROUP,
    get_kms_instance_quota_infos.Request,
    get_kms_instance_quota_infos.Reply.read,
)
NEEDED_BY = {
    list_secrets.ACTION: "plan --online, apply --recreate",
    get_secret_value.ACTION: "verify, --on-exists verify, and after a lost reply",
    describe_secret.ACTION: "rollback, ledger audit --online",
    list_secret_version_ids.ACTION: "rollback, --on-exists update",
}
WRITES = "kms:CreateSecret, kms:PutSecretValue, kms:DeleteSecret and kms:RestoreSecret"


async def check_target(
    target: Target, prefix: str = "", sts: str | None = None
) -> AsyncIterator[CheckResult]:
    """Look at everything, in the order in which a request meets it; stop where nothing after it can work.

    `prefix`: what the names begin with that the caller's policy allows. `sts`: where STS is, if not at the
    environment's.

    Raises:
        UsageError: the target's endpoint makes no sense.
    """
    endpoint = parse_endpoint(target.endpoint, target.ca_file)
    reached = await _reach(endpoint)
    yield reached
    if reached.state is State.PROBLEM:
        return
    try:
        yield await _credentials(target)
        async with open_questioner(target, RETRY) as service:
            where = sts or sts_endpoint(os.environ)
            async for result in _ask(service, prefix, check_caller(target, where)):
                yield result
    except CredentialsError as error:
        yield CheckResult("credentials", State.PROBLEM, str(error))
    except ServiceError as error:
        yield CheckResult("service", State.PROBLEM, str(error))


async def _reach(endpoint: Endpoint) -> CheckResult:
    about = "network"
    if endpoint.proxy is not None:
        proxy = f"{endpoint.proxy.host}:{endpoint.proxy.port}"
        return CheckResult(
            about, State.NOTE, f"requests go through the proxy {proxy}; NO_PROXY says what does not"
        )
    opening = asyncio.open_connection(endpoint.url.host, endpoint.url.port, ssl=endpoint.tls)
    began = time.monotonic()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, writer = await opening
    except ssl.SSLCertVerificationError as error:
        why = f"{endpoint.address} shows a certificate that is not trusted: {error.verify_message}"
        return CheckResult(
            about, State.PROBLEM, why, "--ca-file FILE trusts a certificate authority of your own"
        )
    except ssl.SSLError as error:
        return CheckResult(
            about, State.PROBLEM, f"{endpoint.address} does not speak TLS as we do: {error.reason}"
        )
    except socket.gaierror:
        what = f"the name {endpoint.host} does not resolve"
        return CheckResult(about, State.PROBLEM, what, "check --endpoint, --region and this machine's DNS")
    except TimeoutError:
        what = f"{endpoint.address} does not answer within {CONNECT_TIMEOUT:g} s"
        return CheckResult(about, State.PROBLEM, what, "check firewalls, and HTTPS_PROXY if there is a proxy")
    except OSError as error:
        what = f"{endpoint.address} cannot be reached: {error.strerror or type(error).__name__}"
        return CheckResult(about, State.PROBLEM, what, "check --endpoint, and whether the service runs there")
    took = time.monotonic() - began
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    plain = "" if endpoint.tls is not None else ", without TLS"
    return CheckResult(about, State.OK, f"{endpoint.address} answers in {1000 * took:.0f} ms{plain}")


async def _credentials(target: Target) -> CheckResult:
    found = target.credentials
    if not isinstance(found, Credentials):
        found = await asyncio.get_running_loop().run_in_executor(None, found.fetch)
        where = "the provider chain"
    else:
        where = "the environment"
    text = f"{masked(found.access_key_id)} from {where}"
    if found.security_token is None:
        return CheckResult("credentials", State.OK, f"{text}; they do not expire")
    if found.expires_at is None:
        return CheckResult("credentials", State.NOTE, f"{text}, temporary; when they expire was not told")
    left = found.expires_at - time.time()
    if left <= 0:
        return CheckResult("credentials", State.PROBLEM, f"{text}, expired", "fetch new ones")
    return CheckResult("credentials", State.OK, f"{text}, temporary, good for {duration(left)}")


async def _ask(
    service: Questioner, prefix: str, caller: AsyncIterator[CheckResult]
) -> AsyncIterator[CheckResult]:
    listed = await service.ask(_LIST, list_secrets.Request(page_number=1, page_size=1))
    yield CheckResult("service", State.OK, "accepts our signature")
    yield _clock(service)
    known = False
    async for told in caller:
        known = known or told.about == "account"
        yield told
    if not known and not isinstance(listed, Fault) and listed.secret_list:
        name = listed.secret_list[0].secret_name
        described = await service.ask(_DESCRIBE, describe_secret.Request(name))
        account = None if isinstance(described, Fault) else account_of(described.arn or "")
        if account:
            yield CheckResult("account", State.OK, account)
    nobody = f"{prefix}bulkseed-doctor-{secrets.token_hex(16)}"
    asked: list[tuple[str, Operation[Any, Any], object]] = [
        (get_secret_value.ACTION, _VALUE, get_secret_value.Request(nobody)),
        (describe_secret.ACTION, _DESCRIBE, describe_secret.Request(nobody)),
        (list_secret_version_ids.ACTION, _VERSIONS, list_secret_version_ids.Request(nobody)),
    ]
    yield _may(list_secrets.ACTION, listed if isinstance(listed, Fault) else None)
    for action, operation, request in asked:
        answer = await service.ask(operation, request)
        refused = isinstance(answer, Fault) and classify(answer) is not Verdict.NOT_FOUND
        yield _may(action, answer if refused else None)
    yield CheckResult(
        "permission",
        State.NOTE,
        f"{WRITES} were not asked for: only a write shows whether it is allowed",
        "bulkseed manual credentials has a policy for each command",
    )
    yield await _room(service)


def _clock(service: Questioner) -> CheckResult:
    ahead = service.time.ahead
    if ahead is None:
        return CheckResult("clock", State.NOTE, "the service did not tell its time")
    if abs(ahead) < MARGIN:
        return CheckResult("clock", State.OK, f"within {MARGIN:g} s of the service's")
    text = f"{duration(abs(ahead))} {'behind' if ahead > 0 else 'ahead of'} the service's"
    if abs(ahead) < CLOCK_TOLERANCE:
        return CheckResult("clock", State.WARNING, text, "synchronise this machine's clock (NTP)")
    return CheckResult(
        "clock", State.WARNING, f"{text}; requests are dated by its time", "synchronise it (NTP)"
    )


def _may(action: str, refused: Fault | None) -> CheckResult:
    needed = NEEDED_BY[action]
    if refused is None:
        return CheckResult("permission", State.OK, f"kms:{action} ({needed})")
    if classify(refused) is Verdict.NO_PERMISSION:
        text = f"kms:{action} is missing, for {needed}"
        return CheckResult(
            "permission", State.WARNING, text, f"grant kms:{action}, or give --prefix as in the policy"
        )
    told = advice(refused.code)
    return CheckResult(
        "permission", State.WARNING, f"kms:{action}: {refused.code}: {told.meaning}", told.action
    )


async def _room(service: Questioner) -> CheckResult:
    reply = await service.ask(_ROOM, get_kms_instance_quota_infos.Request(None, "secret"))
    if isinstance(reply, Fault):
        action = get_kms_instance_quota_infos.ACTION
        grant = f"grant kms:{action}" if classify(reply) is Verdict.NO_PERMISSION else None
        return CheckResult("room", State.NOTE, f"not told ({reply.code})", grant)
    for info in reply.kms_instance_quota_infos:
        if info.resource_type == "secret":
            left = max(0, info.resource_quota - info.used_quantity)
            text = f"{info.used_quantity:,} of {info.resource_quota:,} secrets used, {left:,} left"
            return CheckResult("room", State.OK if left else State.WARNING, text)
    return CheckResult("room", State.NOTE, "not told")
