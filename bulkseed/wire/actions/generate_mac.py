"""GenerateMac (SDK 3.3.1): a message authentication code."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "GenerateMac"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`message` is Base64."""

    key_id: str
    algorithm: str
    message: SecretValue
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The code, Base64."""

    request_id: str
    key_id: str
    algorithm: str
    mac: str
