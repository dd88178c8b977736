"""VerifyMac (SDK 3.3.1): checks a message authentication code."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "VerifyMac"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`message` and `mac` are Base64."""

    key_id: str
    algorithm: str
    message: SecretValue
    mac: str
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """`value` tells whether the code fits."""

    request_id: str
    key_id: str
    algorithm: str
    value: bool
