"""GenerateDataKey (API metadata, SDK 3.3.1): a fresh data key, plain and sealed under a CMK."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "GenerateDataKey"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`key_spec` is AES_256 or AES_128, unless `number_of_bytes` (1 to 1,024) is given."""

    key_id: str
    key_spec: str | None = None
    number_of_bytes: int | None = None
    encryption_context: str | None = None
    dry_run: bool | None = None
    recipient: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The data key, Base64; it never prints."""

    request_id: str
    key_id: str
    key_version_id: str
    plaintext: SecretValue
    ciphertext_blob: str
