"""TagResource (API metadata, SDK 3.3.1): adds or replaces tags of one secret or key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "TagResource"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Exactly one resource; `tags` is a JSON array as text."""

    tags: str
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
