"""CancelKeyDeletion (API metadata, SDK 3.3.1): takes a key out of its delete window; it is enabled then."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "CancelKeyDeletion"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Which key."""

    key_id: str

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
