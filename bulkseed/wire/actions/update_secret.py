"""UpdateSecret (API metadata, SDK 3.3.1): changes the description, or the custom data of a managed secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import orjson

from bulkseed.model import Fault, QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, may_be_empty, named
from bulkseed.wire.message import Call

_CUSTOM = "ExtendedConfig.CustomData."
ACTION = "UpdateSecret"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """What is absent stays; an empty description clears it.

    `custom_data` is a JSON object as text. SDK 3.3.1 sends a parameter for each of its keys instead
    (``ExtendedConfig.CustomData.<key>``), which is read, too.
    """

    secret_name: str
    description: str | None = may_be_empty()
    custom_data: str | None = named("ExtendedConfig.CustomData")

    @classmethod
    def decode(cls, parameters: Mapping[str, str]) -> Self | Fault:
        """Read the request, with custom data in either form."""
        pairs = {
            name.removeprefix(_CUSTOM): text for name, text in parameters.items() if name.startswith(_CUSTOM)
        }
        if pairs:
            text = orjson.dumps(pairs).decode()
            parameters = {**parameters, _CUSTOM.removesuffix("."): text}
        return super(Request, cls).decode(parameters)

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
    secret_name: str | None = None
