"""CreateKeyVersion (API metadata, SDK 3.3.1): a further version of an asymmetric key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.actions.list_key_versions import KeyVersion
from bulkseed.wire.message import Call

ACTION = "CreateKeyVersion"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`key_id` may be an ARN or an alias."""

    key_id: str

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The new version."""

    request_id: str
    key_version: KeyVersion
