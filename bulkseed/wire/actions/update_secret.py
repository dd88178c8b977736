"""UpdateSecret (API metadata, SDK 3.3.1): changes the description, or the custom data of a managed secret."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.wire.actions.codec import Document, Parameters, call, named
from bulkseed.wire.message import Call, QuotaGroup

ACTION = "UpdateSecret"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`custom_data` is a JSON object as text; what is absent stays."""

    secret_name: str
    description: str | None = None
    custom_data: str | None = named("ExtendedConfig.CustomData")

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
    secret_name: str | None = None
