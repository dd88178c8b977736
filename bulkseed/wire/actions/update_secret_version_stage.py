"""UpdateSecretVersionStage (API metadata, SDK 3.3.1): moves a stage to another version, or takes it away."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "UpdateSecretVersionStage"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """At least one of the versions is needed; ACSCurrent and ACSPrevious can only be moved."""

    secret_name: str
    version_stage: str
    move_to_version: str | None = None
    remove_from_version: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
    secret_name: str | None = None
