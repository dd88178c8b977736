"""GetPublicKey (API metadata, SDK 3.3.1): the public key of a version of an asymmetric key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "GetPublicKey"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """A version of an asymmetric key."""

    key_id: str
    key_version_id: str
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The public key, in PEM form."""

    request_id: str
    key_id: str
    key_version_id: str
    public_key: str
