"""UpdateSecretRotationPolicy (API metadata, SDK 3.3.1): switches automatic rotation on or off."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "UpdateSecretRotationPolicy"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """An interval is needed to switch it on."""

    secret_name: str
    enable_automatic_rotation: bool
    rotation_interval: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
    secret_name: str | None = None
