"""Talking to the local KMS: without any I/O, and with the vendor's SDK."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import uuid
from dataclasses import dataclass, field
from typing import Any

from alibabacloud_kms20160120.client import Client
from alibabacloud_tea_openapi.models import Config

from bulkseed.model import Credentials, Fault, NoReply, SecretValue, Target
from bulkseed.service.build import build_kms
from bulkseed.service.kms import Kms
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_secret, get_secret_value, put_secret_value
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.message import Call, Response
from bulkseed.wire.signing.verify import SIGNATURES

NOW = 1_800_000_000.0
UNLIMITED: dict[str, Any] = {"create_qps": 0, "read_qps": 0, "manage_qps": 0}


@dataclass
class Desk:
    """A service and its root caller, with a clock that stands still unless a test moves it."""

    options: ServiceOptions = field(default_factory=lambda: ServiceOptions(**UNLIMITED))
    signature: str = "acs3"
    now: float = NOW
    kms: Kms = field(init=False)
    credentials: Credentials = field(init=False)

    def __post_init__(self) -> None:
        self.kms, self.credentials = build_kms(self.options)
        self._nonces = itertools.count()
        self._name = uuid.uuid4().hex  # a nonce is used once, also after a restart

    def __del__(self) -> None:
        if hasattr(self, "kms"):
            with contextlib.suppress(sqlite3.ProgrammingError):  # the test has closed it
                self.kms.close()

    def send(self, call: Call, credentials: Credentials | None = None) -> Response:
        """Sign a call now, and serve it."""
        signer = SIGNATURES[self.signature]("kms.test", credentials or self.credentials)
        return self.kms.handle(signer.sign(call, self.now, f"{self._name}-{next(self._nonces)}"), self.now)

    def ask(self, request: Any, credentials: Credentials | None = None) -> Any:
        """Return the reply to a request, or the fault."""
        call = request.encode()
        answer = ACTIONS[call.action].reply.read(self.send(call, credentials))
        assert not isinstance(answer, NoReply)
        return answer

    def code(self, request: Any, credentials: Credentials | None = None) -> str | None:
        """Return the code of the fault that a request is answered with, None for success."""
        answer = self.ask(request, credentials)
        return answer.code if isinstance(answer, Fault) else None


def sdk(target: Target, signature: str = "acs3") -> Client:
    """Return the vendor's client for a target; it serves sync and async calls."""
    assert isinstance(target.credentials, Credentials)
    scheme, _, host = target.endpoint.partition("://")
    config = Config(
        endpoint=host,
        protocol=scheme,
        region_id=target.region,
        access_key_id=target.credentials.access_key_id,
        access_key_secret=target.credentials.access_key_secret.reveal(),
    )
    if signature == "rpc1":
        config.signature_algorithm = "v2"
    return Client(config)


def create(name: str = "name", value: str = "value", **more: Any) -> create_secret.Request:
    """Return a CreateSecret with few words."""
    return create_secret.Request(name, more.pop("version_id", "v1"), SecretValue(value), **more)


def put(version: str, value: str, name: str = "name", **more: Any) -> put_secret_value.Request:
    """Return a PutSecretValue with few words."""
    return put_secret_value.Request(name, version, SecretValue(value), **more)


def value_of(desk: Desk, name: str = "name", **which: Any) -> str:
    """Return a value."""
    reply = desk.ask(get_secret_value.Request(name, **which))
    assert isinstance(reply, get_secret_value.Reply), reply
    return reply.secret_data.reveal()
