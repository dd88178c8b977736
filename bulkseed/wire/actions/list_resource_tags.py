"""ListResourceTags (API metadata, SDK 3.3.1): the tags of one key."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "ListResourceTags"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`key_id` may be an ARN or an alias."""

    key_id: str

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class KeyTag(Document):
    """One tag of a key."""

    key_id: str
    tag_key: str
    tag_value: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The tags."""

    request_id: str
    tags: tuple[KeyTag, ...] = listed("Tag")
