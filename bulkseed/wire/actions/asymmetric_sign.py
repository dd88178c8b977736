"""AsymmetricSign (API metadata, SDK 3.3.1): signs a digest."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "AsymmetricSign"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`digest` is Base64, made with the algorithm's hash."""

    key_id: str
    key_version_id: str
    algorithm: str
    digest: str
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The signature, Base64."""

    request_id: str
    key_id: str
    key_version_id: str
    value: str
