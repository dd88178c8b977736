"""The local KMS, sans-IO: a request and the time in, a response out.

The order of checks lives here: form of the request, signature and nonce, action and version, quota,
parameters, permission, handler. Which handler serves which action is the table `SERVED`. Nothing is on disk
before `commit`: the shells reply only after it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

from bulkseed.model import Fault, SecretValue
from bulkseed.service.context import Context, Service
from bulkseed.service.handlers import deletion
from bulkseed.service.request_ids import new_request_id, refuse
from bulkseed.service.rotation import PasswordChange
from bulkseed.service.served import SERVED
from bulkseed.service.storage.marks import TAMPERED, TamperedError
from bulkseed.service.straight.path import Made, StraightPath
from bulkseed.wire.actions.codec import Document
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import Item, is_form, read_items
from bulkseed.wire.fault import fault, invalid_parameter
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
        self._straight = StraightPath(service, self._serve)
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
            except Exception as error:  # noqa: BLE001  # the type only: its text may hold a value
                log.error("what is due cannot be done: %s", type(error).__name__)  # noqa: TRY400  # likewise
                service.forget()

    def take_jobs(self) -> list[PasswordChange]:
        """Return the passwords that the shell is to change in real databases, once this is committed."""
        return self._service.rotation.take_jobs()

    def finish_job(self, job: PasswordChange, now: float, *, changed: bool) -> None:
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

    def answer_straight(self, data: bytes, now: float, steady: float) -> Made | None:
        """Answer `data` if it is a plain request that needs no second look; None: use `handle`."""
        return None if steady >= self._next_tick else self._straight.answer(data, now, steady)

    def learn(self, data: bytes, request: Request, now: float) -> None:
        """Let requests like this one, which `handle` has answered, be answered straight."""
        self._straight.learn(data, request, now)

    def final(self, made: Made) -> Response:
        """Return what is answered, after the commit."""
        return self._straight.final(made)

    def handle(self, request: Request, now: float, steady: float | None = None) -> Response:
        """Answer one request at `now` (epoch seconds).

        `steady` is the time of a clock that nobody sets; without it, `now` is taken for one.
        """
        steady = now if steady is None else steady
        if steady >= self._next_tick:
            self._next_tick = steady + TICK
            self.tick(now)
            self._straight.tick()
        sent = _read_parameters(request)
        if isinstance(sent, Fault):
            return refuse(sent, "JSON")
        parameters = sent.parameters
        format = parameters.get("Format", "JSON").upper()  # noqa: A001  # the parameter's name in the API
        if format not in ("JSON", "XML"):
            return refuse(invalid_parameter("Format"), "JSON")
        caller = self._service.authority.admit(request, sent.query, sent.form, now)
        if isinstance(caller, Fault):
            return refuse(caller, format)
        return self._serve(caller, parameters, now, steady, format)

    def _serve(
        self,
        caller: Caller,
        parameters: Mapping[str, str],
        now: float,
        steady: float,
        format: str = "JSON",  # noqa: A002  # the parameter's name in the API
    ) -> Response:
        """Answer a request whose signature and nonce were accepted."""
        request_id = new_request_id()
        try:
            answer = self._answer(caller, Context(self._service, caller, parameters, request_id, now, steady))
        except TamperedError:
            answer = fault("InternalFailure", TAMPERED)
        if isinstance(answer, Fault):
            return refuse(answer, format)
        try:
            headers = {"content-type": content_type(format), "x-acs-request-id": request_id}
            return Response(200, headers, render(answer.encode(), format))
        except ValueError:
            return refuse(invalid_parameter("Format", "XML cannot carry this reply."), "XML")

    def _answer(self, caller: Caller, context: Context) -> Document | Fault:
        service = self._service
        if caller.version != API_VERSION:
            return fault("InvalidVersion")
        action = ACTIONS.get(caller.action)
        if action is None:
            return fault("InvalidAction.NotFound")
        if service.quota.take(action.group, context.steady) is not None:
            return fault("Rejected.Throttling")
        asked = action.request.decode(context.parameters)
        if isinstance(asked, Fault):
            return asked
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


def _rotate_keys(service: Service, now: float) -> None:
    service.keys.rotate_due(now)


def _rotate_secrets(service: Service, now: float) -> None:
    service.rotation.rotate_due(now)


def body_too_large() -> Fault:
    """Return the fault for a body over `BODY_LIMIT`, which the shells need not read to the end."""
    return fault("ParseRequestParameterException", f"The body has more than {BODY_LIMIT} bytes.")


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
    if request.body and not is_form(request.headers.get("content-type", "")):
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
