"""The local KMS, sans-IO: a request and the time in, a response out.

The order of checks lives here: form of the request, signature and nonce, action and version, quota,
parameters, permission, handler. Which handler serves which action is the table `SERVED`. Nothing is on disk
before `commit`: the shells reply only after it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from bulkseed.model import Fault, SecretValue
from bulkseed.service.context import Context, Service
from bulkseed.service.handlers import deletion
from bulkseed.service.rotation import Job
from bulkseed.service.served import SERVED
from bulkseed.service.storage.marks import TamperedError
from bulkseed.wire.actions.codec import Document
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import Item, read_items
from bulkseed.wire.fault import fault, invalid_parameter, respond
from bulkseed.wire.message import API_VERSION, Request, Response
from bulkseed.wire.render import content_type, render
from bulkseed.wire.signing.verify import Caller

log = logging.getLogger(__name__)

BODY_LIMIT = 1 << 20
"""Bytes of a body; the largest legal one is a value and a policy, percent-encoded: about 190 KB."""

TICK = 1.0
"""Seconds between two looks for what is due."""


class Kms:
    """One account's KMS in one region."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._next_tick = 0.0

    @property
    def dirty(self) -> bool:
        """True while an answer that was given is not on disk."""
        return self._service.store.dirty or self._service.authority.dirty

    def commit(self) -> None:
        """Put on disk what the requests since the last commit changed, and which nonces they used.

        Raises:
            OSError: a nonce cannot be written.
            sqlite3.Error: the rest cannot.
        """
        self._service.authority.commit()
        self._service.store.commit()

    def rollback(self) -> None:
        """Undo the requests since the last commit."""
        self._service.rollback()

    def close(self) -> None:
        """Commit and release the data directory."""
        self._service.store.close()
        self._service.authority.close()

    def tick(self, now: float) -> None:
        """Carry out what is due at `now`: planned deletions and rotations.

        Each is a part of its own: what fails is undone and logged, and keeps nothing else from being done.
        """
        service = self._service
        for carry_out in (deletion.delete_due, _rotate_keys, _rotate_secrets):
            try:
                carry_out(service, now)
            except Exception as error:  # noqa: BLE001 - the type only: its text may hold a value
                log.error("what is due cannot be done: %s", type(error).__name__)  # noqa: TRY400 - likewise
                service.forget()

    def take_jobs(self) -> list[Job]:
        """Return the passwords that the shell is to change in real databases, once this is committed."""
        return self._service.rotation.take_jobs()

    def finish_job(self, job: Job, now: float, *, changed: bool) -> None:
        """Record what became of a job."""
        self._service.rotation.finish(job.secret_name, now, changed=changed)

    def look(self, action: str, parameters: Mapping[str, str], now: float) -> dict[str, object] | Fault:
        """Answer an action for whoever sits in front of the service: no signature, no quota.

        Only actions that read may be asked for.
        """
        asked = ACTIONS[action].request.decode(parameters)
        if isinstance(asked, Fault):
            return asked
        owner = Caller("", self._service.account.id, action, API_VERSION, "", now)
        context = Context(self._service, owner, parameters, new_request_id(), now, now)
        answer = SERVED[action].handler(context, asked)
        return answer if isinstance(answer, Fault) else answer.encode()

    def usage(self, steady: float) -> list[dict[str, object]]:
        """Return what each quota group let through and refused in each of the 60 seconds up to `steady`."""
        return self._service.quota.usage(steady)

    def secret_of(self, access_key_id: str) -> SecretValue | None:
        """Return the secret of an access key that the service accepts."""
        return self._service.authority.secret_of(access_key_id)

    def handle(self, request: Request, now: float, steady: float | None = None) -> Response:
        """Answer one request at `now` (epoch seconds).

        `steady` is the time of a clock that nobody sets; without it, `now` is taken for one.
        """
        steady = now if steady is None else steady
        if steady >= self._next_tick:
            self._next_tick = steady + TICK
            self.tick(now)
        sent = _read_parameters(request)
        if isinstance(sent, Fault):
            return self._refuse(sent, "JSON")
        parameters = sent.parameters
        format = parameters.get("Format", "JSON").upper()  # noqa: A001 - the parameter's name in the API
        if format not in ("JSON", "XML"):
            return self._refuse(invalid_parameter("Format"), "JSON")
        request_id = new_request_id()
        try:
            answer = self._answer(request, sent, request_id, now, steady)
        except TamperedError:
            answer = fault("InternalFailure", "A stored record fails its integrity check.")
        if isinstance(answer, Fault):
            return self._refuse(answer, format)
        try:
            headers = {"content-type": content_type(format), "x-acs-request-id": request_id}
            return Response(200, headers, render(answer.encode(), format))
        except ValueError:
            return self._refuse(invalid_parameter("Format", "XML cannot carry this reply."), "XML")

    def _answer(
        self, request: Request, sent: Sent, request_id: str, now: float, steady: float
    ) -> Document | Fault:
        service, parameters = self._service, sent.parameters
        caller = service.authority.admit(request, sent.query, sent.form, now)
        if isinstance(caller, Fault):
            return caller
        if caller.version != API_VERSION:
            return fault("InvalidVersion")
        action = ACTIONS.get(caller.action)
        if action is None:
            return fault("InvalidAction.NotFound")
        if service.quota.take(action.group, steady) is not None:
            return fault("Rejected.Throttling")
        asked = action.request.decode(parameters)
        if isinstance(asked, Fault):
            return asked
        context = Context(service, caller, parameters, request_id, now, steady)
        handler, resources = SERVED[caller.action]
        if caller.access_key_id in service.policies.users and not all(
            context.may(caller.action, resource) for resource in resources(context, asked)
        ):
            return fault("Forbidden.NoPermission")
        if getattr(asked, "recipient", None) is not None:
            return fault("UnsupportedOperation", "Recipients are not supported.")
        answer = handler(context, asked)
        if not isinstance(answer, Fault) and getattr(asked, "dry_run", None):
            return fault("DryRunOperationError")
        return answer

    def _refuse(self, refusal: Fault, format: str) -> Response:  # noqa: A002 - the parameter's name in the API
        named = Fault(refusal.code, refusal.status, refusal.message, new_request_id(), refusal.retry_after)
        return respond(named, format)


def _rotate_keys(service: Service, now: float) -> None:
    service.keys.rotate_due(now)


def _rotate_secrets(service: Service, now: float) -> None:
    service.rotation.rotate_due(now)


def body_too_large() -> Fault:
    """Return the fault for a body over `BODY_LIMIT`, which the shells need not read to the end."""
    return fault("ParseRequestParameterException", f"The body has more than {BODY_LIMIT} bytes.")


def _random_digits() -> Iterator[str]:
    while True:  # one call of the kernel for 256 ids
        digits = os.urandom(4096).hex()
        for start in range(0, len(digits), 32):
            yield digits[start : start + 32]


class _Random(threading.local):
    """Digits for each thread: a generator belongs to one, and services may run in several."""

    def __init__(self) -> None:
        self.digits = _random_digits()


_random = _Random()


def new_request_id() -> str:
    """Return a request id in the form of a UUID."""
    text = next(_random.digits)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Sent(NamedTuple):
    """The parameters of a request: all by name, and those of the URL and of the body as they were sent."""

    parameters: dict[str, str]
    query: list[Item]
    form: list[Item]


def _read_parameters(request: Request) -> Sent | Fault:
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
    query, form = read_items(request.query), read_items(request.body)
    if query is None or form is None:
        return fault("ParseRequestParameterException", "Query or body is not percent-encoded UTF-8.")
    parameters = {name: value for name, value, _ in (*query, *form)}
    if len(parameters) != len(query) + len(form):
        return fault("ParseRequestParameterException", "A parameter is given twice.")
    return Sent(parameters, query, form)


@lru_cache(maxsize=64)  # a client sends the same one in every request
def _is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
