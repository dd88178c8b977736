"""What a sample is made from: one call, and where it goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bulkseed.model import SecretValue
from bulkseed.wire.actions.codec import shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.message import Call

KEY_ID = "ALIBABA_CLOUD_ACCESS_KEY_ID"
KEY_SECRET = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"  # noqa: S105  # the name of a variable
TOKEN = "ALIBABA_CLOUD_SECURITY_TOKEN"  # noqa: S105  # likewise


def secret_parameters(action: str) -> frozenset[str]:
    """Return the wire names of an action's parameters that are secret."""
    return frozenset(f.wire for f in shape(ACTIONS[action].request) if f.kind is SecretValue)


@dataclass(frozen=True, slots=True)
class Sketch:
    """A call's public parameters, the names of its secret ones, and the service that it is for.

    `signature` is ``acs3`` or ``rpc1``; `temporary`: the access key comes with a security token.
    """

    action: str
    parameters: dict[str, str]
    secrets: tuple[str, ...]
    endpoint: str
    region: str
    signature: str = "acs3"
    temporary: bool = False

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return urlsplit(self.endpoint).scheme

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.endpoint).netloc


def sketch(
    call: Call, endpoint: str, region: str, *, signature: str = "acs3", temporary: bool = False
) -> Sketch:
    """Return what samples of `call` are made from; the values of secret parameters are left behind."""
    given = dict((parse_form(call.query) or []) + (parse_form(call.form) or []))
    secret = secret_parameters(call.action)
    return Sketch(
        call.action,
        {name: text for name, text in given.items() if name not in secret},
        tuple(name for name in given if name in secret),
        endpoint,
        region,
        signature,
        temporary,
    )


def variable(parameter: str) -> str:
    """Return the environment variable of a secret parameter: SecretData's is SECRET_DATA."""
    return snake(parameter).upper()


def snake(parameter: str) -> str:
    """Return a parameter's name in lower case with underscores."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).replace(".", "_").lower()
