"""Decrypt (API metadata, SDK 3.3.1): opens what Encrypt or GenerateDataKey made."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "Decrypt"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """The ciphertext names its key; the context must be the one that it was made with."""

    ciphertext_blob: str
    encryption_context: str | None = None
    dry_run: bool | None = None
    recipient: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The plaintext, Base64; it never prints."""

    request_id: str
    key_id: str
    key_version_id: str
    plaintext: SecretValue
