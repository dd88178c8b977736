"""RotateSecret (API metadata, SDK 3.3.1): rotates a managed secret now."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "RotateSecret"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """The new version's id; one that exists already is ignored and answered with success."""

    secret_name: str
    version_id: str

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """What was rotated."""

    request_id: str
    arn: str | None = None
    secret_name: str | None = None
    version_id: str | None = None
