"""CreateSecret requests by what they ask for beside name and value: many ask for the same."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from bulkseed.model import Fault
from bulkseed.service.access.account import Account
from bulkseed.service.generic_secrets import SecretFields, fields_of
from bulkseed.service.handlers.secrets import INSTANCE_ID
from bulkseed.wire.actions import create_secret
from bulkseed.wire.validation.parameters import create_secret_problems

_NAMES = (
    "VersionId",
    "Description",
    "Tags",
    "SecretDataType",
    "SecretType",
    "EncryptionKeyId",
    "DKMSInstanceId",
)
_ODD = ("Policy", "ExtendedConfig", "EnableAutomaticRotation", "RotationInterval")
_LIMIT = 1024
_TEXT_LIMIT = 1024  # characters of a plan that is kept


class CreatePlan(NamedTuple):
    """A plan, and the reply's pieces: up to the request id, after it, between the names, after them."""

    fields: SecretFields
    reply: tuple[str, str, str, str]

    def body(self, request_id: str, name: str) -> bytes:
        """Return the reply's document."""
        start, arn, between, end = self.reply
        return f"{start}{request_id}{arn}{name}{between}{name}{end}".encode()


class Plans:
    """Makes plans for an account, each once."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._known: dict[tuple[str | None, ...], CreatePlan | None] = {}

    def of(self, parameters: Mapping[str, str]) -> CreatePlan | None:
        """Return the plan of a CreateSecret with these parameters, None if it is no plain one."""
        get = parameters.get
        for name in _ODD:
            if name in parameters:
                return None
        key = tuple([get(name) for name in _NAMES])
        try:
            return self._known[key]
        except KeyError:
            plan = self._make(dict(zip(_NAMES, key, strict=True)))
        if sum(len(text) for text in key if text) <= _TEXT_LIMIT:
            if len(self._known) >= _LIMIT:
                self._known.clear()
            self._known[key] = plan
        return plan

    def _make(self, given: Mapping[str, str | None]) -> CreatePlan | None:
        # A name and a value that are right: those of each request are looked at when it comes.
        parameters = {name: text for name, text in given.items() if text is not None}
        parameters |= {"SecretName": "name", "SecretData": "value"}
        if (parameters.get("SecretType") or "Generic") != "Generic" or create_secret_problems(parameters):
            return None
        asked = create_secret.Request.decode(parameters)
        if isinstance(asked, Fault):
            return None
        if asked.dkms_instance_id is not None and not INSTANCE_ID.fullmatch(asked.dkms_instance_id):
            return None
        return CreatePlan(fields_of(asked), self._reply(asked))

    def _reply(self, asked: create_secret.Request) -> tuple[str, str, str, str]:
        here = uuid.uuid4().hex  # stands for what differs
        reply = create_secret.Reply(
            request_id=here,
            arn=self._account.secret_arn(here),
            secret_name=here,
            version_id=asked.version_id,
            secret_type="Generic",  # noqa: S106  # a word of the API
            dkms_instance_id=asked.dkms_instance_id,
        )
        start, arn, between, end = orjson.dumps(reply.encode()).decode().split(here)
        return start, arn, between, end
