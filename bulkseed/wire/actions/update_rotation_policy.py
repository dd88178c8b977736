"""UpdateRotationPolicy (API metadata, SDK 3.3.1): switches the automatic rotation of a key on or off."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "UpdateRotationPolicy"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`rotation_interval` (7 to 730 days) is needed to switch it on."""

    key_id: str
    enable_automatic_rotation: bool
    rotation_interval: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
