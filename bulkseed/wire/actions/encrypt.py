"""Encrypt (API metadata, SDK 3.3.1): encrypts up to 6 KB under a symmetric key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "Encrypt"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`plaintext` is Base64; `encryption_context` is a JSON object of texts."""

    key_id: str
    plaintext: SecretValue
    encryption_context: str | None = None
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The ciphertext, Base64."""

    request_id: str
    key_id: str
    key_version_id: str
    ciphertext_blob: str
