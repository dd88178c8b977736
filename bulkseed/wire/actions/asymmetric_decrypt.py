"""AsymmetricDecrypt (API metadata, SDK 3.3.1): decrypts with a private key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "AsymmetricDecrypt"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`ciphertext_blob` is Base64."""

    key_id: str
    key_version_id: str
    algorithm: str
    ciphertext_blob: str
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
