"""SetDeletionProtection (API metadata, SDK 3.3.1): keeps a key from being deleted, or lets it go."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "SetDeletionProtection"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """The key is named by its ARN, or by its id."""

    enable_deletion_protection: bool
    protected_resource_arn: str | None = None
    key_id: str | None = None
    deletion_protection_description: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
