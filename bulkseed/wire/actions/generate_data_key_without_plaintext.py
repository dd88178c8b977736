"""GenerateDataKeyWithoutPlaintext (API metadata, SDK 3.3.1): a fresh data key, sealed under a CMK."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "GenerateDataKeyWithoutPlaintext"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`key_spec` is AES_256 or AES_128, unless `number_of_bytes` (1 to 1,024) is given."""

    key_id: str
    key_spec: str | None = None
    number_of_bytes: int | None = None
    encryption_context: str | None = None
    dry_run: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The sealed data key, Base64; Decrypt opens it."""

    request_id: str
    key_id: str
    key_version_id: str
    ciphertext_blob: str
