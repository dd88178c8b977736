"""The local KMS, sans-IO: a request and the time in, a response out.

The order of checks lives here: form of the request, signature and nonce, action and version, quota,
parameters, permission, handler. Which handler serves which action is the table `HANDLERS`. Nothing is on disk
before `commit`: the shells reply only after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from bulkseed.model import Fault
from bulkseed.service.context import Context, Service
from bulkseed.service.handlers import deletion, describe, secrets, versions
from bulkseed.service.handlers import keys as key_actions
from bulkseed.service.handlers import random_password as password_actions
from bulkseed.service.handlers import rotation as rotation_actions
from bulkseed.service.handlers import tags as metadata
from bulkseed.service.rotation import Job
from bulkseed.wire.actions import ACTIONS
from bulkseed.wire.actions.codec import Document
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.fault import fault, invalid_parameter, respond
from bulkseed.wire.message import API_VERSION, Request, Response
from bulkseed.wire.render import content_type, render

BODY_LIMIT = 1 << 20
"""Bytes of a body; the largest legal one is a value and a policy, percent-encoded: about 190 KB."""

TICK = 1.0
"""Seconds between two looks for what is due."""

Handler = Callable[[Context, Any], Document | Fault]

HANDLERS: dict[str, Handler] = {
    "CancelKeyDeletion": key_actions.cancel_deletion,
    "CreateKey": key_actions.create,
    "CreateSecret": secrets.create_secret,
    "DeleteSecret": deletion.delete_secret,
    "DescribeKey": key_actions.describe,
    "DescribeSecret": describe.describe_secret,
    "DisableKey": key_actions.disable,
    "EnableKey": key_actions.enable,
    "GenerateDataKey": key_actions.generate,
    "GetKmsInstanceQuotaInfos": describe.get_kms_instance_quota_infos,
    "GetRandomPassword": password_actions.get_random_password,
    "GetSecretValue": secrets.get_secret_value,
    "ListKeys": key_actions.list_all,
    "ListSecretVersionIds": versions.list_secret_version_ids,
    "ListSecrets": describe.list_secrets,
    "PutSecretValue": secrets.put_secret_value,
    "RestoreSecret": deletion.restore_secret,
    "RotateSecret": rotation_actions.rotate,
    "ScheduleKeyDeletion": key_actions.schedule_deletion,
    "TagResource": metadata.tag,
    "UntagResource": metadata.untag,
    "UpdateSecret": metadata.update,
    "UpdateSecretRotationPolicy": rotation_actions.update_policy,
    "UpdateSecretVersionStage": versions.update_secret_version_stage,
}


class Kms:
    """One account's KMS in one region."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._next_tick = 0.0

    @property
    def dirty(self) -> bool:
        """True while an answer that was given is not on disk."""
        return self._service.store.dirty

    def commit(self) -> None:
        """Put on disk what the requests since the last commit changed."""
        self._service.store.commit()

    def rollback(self) -> None:
        """Undo the requests since the last commit."""
        self._service.rollback()

    def close(self) -> None:
        """Commit and release the data directory."""
        self._service.store.close()

    def tick(self, now: float) -> None:
        """Carry out what is due at `now`: planned deletions and rotations."""
        self._next_tick = now + TICK
        deletion.delete_due(self._service, now)
        self._service.rotation.rotate_due(now)

    def take_jobs(self) -> list[Job]:
        """Return the passwords that the shell is to change in real databases, once this is committed."""
        return self._service.rotation.take_jobs()

    def finish_job(self, job: Job, now: float, *, changed: bool) -> None:
        """Record what became of a job."""
        self._service.rotation.finish(job.secret_name, now, changed=changed)

    def handle(self, request: Request, now: float) -> Response:
        """Answer one request at `now` (epoch seconds)."""
        if now >= self._next_tick:
            self.tick(now)
        parameters = _read_parameters(request)
        if isinstance(parameters, Fault):
            return self._refuse(parameters, "JSON")
        format = parameters.get("Format", "JSON").upper()  # noqa: A001 - the parameter's name in the API
        if format not in ("JSON", "XML"):
            return self._refuse(invalid_parameter("Format"), "JSON")
        answer = self._answer(request, parameters, now)
        if isinstance(answer, Fault):
            return self._refuse(answer, format)
        try:
            return Response(200, {"content-type": content_type(format)}, render(answer.encode(), format))
        except ValueError:
            return self._refuse(invalid_parameter("Format", "XML cannot carry this reply."), "XML")

    def _answer(self, request: Request, parameters: Mapping[str, str], now: float) -> Document | Fault:
        service = self._service
        caller = service.authority.admit(request, parameters, now)
        if isinstance(caller, Fault):
            return caller
        if caller.version != API_VERSION:
            return fault("InvalidVersion")
        action = ACTIONS.get(caller.action)
        if action is None:
            return fault("InvalidAction.NotFound")
        if service.quota.take(action.lane, now) is not None:
            return fault("Rejected.Throttling")
        asked = action.request.decode(parameters)
        if isinstance(asked, Fault):
            return asked
        context = Context(service, caller, parameters, new_request_id(), now)
        secret, key_id = parameters.get("SecretName"), parameters.get("KeyId")
        if not context.may(caller.action, secret=secret, key_id=key_id):
            return fault("Forbidden.NoPermission")
        return HANDLERS[caller.action](context, asked)

    def _refuse(self, refusal: Fault, format: str) -> Response:  # noqa: A002 - the parameter's name in the API
        named = Fault(refusal.code, refusal.status, refusal.message, new_request_id(), refusal.retry_after)
        return respond(named, format)


def body_too_large() -> Fault:
    """Return the fault for a body over `BODY_LIMIT`, which the shells need not read to the end."""
    return fault("ParseRequestParameterException", f"The body has more than {BODY_LIMIT} bytes.")


def new_request_id() -> str:
    """Return a request id in the form of a UUID."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _read_parameters(request: Request) -> dict[str, str] | Fault:
    """Merge query and form body; a name that is given twice has no meaning that both ends agree on."""
    if request.path != "/":
        return fault("InvalidAction.NotFound")
    if request.method not in ("GET", "POST"):
        return fault("UnsupportedHTTPMethod")
    if len(request.body) > BODY_LIMIT:
        return body_too_large()
    if request.body and not _is_form(request.headers.get("content-type", "")):
        return fault(
            "ParseRequestParameterException",
            "The body's content type is not that of a form.",
        )
    query, form = parse_form(request.query), parse_form(request.body)
    if query is None or form is None:
        return fault("ParseRequestParameterException", "Query or body is not percent-encoded UTF-8.")
    parameters = dict(query)
    parameters.update(form)
    if len(parameters) != len(query) + len(form):
        return fault("ParseRequestParameterException", "A parameter is given twice.")
    return parameters


def _is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
