"""UntagResource (API metadata, SDK 3.3.1): takes tags from one secret or key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "UntagResource"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Exactly one resource; `tag_keys` is a JSON array as text, or a list with commas."""

    tag_keys: str
    secret_name: str | None = None
    key_id: str | None = None
    certificate_id: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
