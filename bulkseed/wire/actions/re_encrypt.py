"""ReEncrypt (API metadata, SDK 3.3.1): moves a ciphertext under another key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "ReEncrypt"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """The source's context must be the one that the ciphertext was made with.

    What a public key sealed needs the source's key, version and algorithm instead.
    """

    ciphertext_blob: str
    destination_key_id: str
    source_encryption_context: str | None = None
    destination_encryption_context: str | None = None
    source_key_id: str | None = None
    source_key_version_id: str | None = None
    source_encryption_algorithm: str | None = None
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The new ciphertext, Base64, and which key and version opened the old one."""

    request_id: str
    key_id: str
    key_version_id: str
    ciphertext_blob: str
