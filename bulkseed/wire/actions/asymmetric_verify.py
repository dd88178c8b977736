"""AsymmetricVerify (API metadata, SDK 3.3.1): checks a signature."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "AsymmetricVerify"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`digest` and the signature `value` are Base64."""

    key_id: str
    key_version_id: str
    algorithm: str
    digest: str
    value: str
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """`value` tells whether the signature fits."""

    request_id: str
    key_id: str
    key_version_id: str
    value: bool
