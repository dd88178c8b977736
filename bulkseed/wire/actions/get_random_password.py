"""GetRandomPassword (API metadata, SDK 3.3.1): a random password, which is not kept."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "GetRandomPassword"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """8 to 128 characters (default 32) of four classes, each of which occurs unless told otherwise."""

    password_length: int | None = None
    exclude_characters: str | None = None
    exclude_lowercase: bool | None = None
    exclude_uppercase: bool | None = None
    exclude_numbers: bool | None = None
    exclude_punctuation: bool | None = None
    require_each_included_type: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The password; it never prints."""

    request_id: str
    random_password: SecretValue
