"""ListKeys (API metadata, SDK 3.3.1): the keys of the account and region, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "ListKeys"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`filters` is JSON text: ``[{"Key":"KeyState","Values":["Enabled"]}]``; pages hold 1 to 100 keys."""

    filters: str | None = None
    page_number: int | None = None
    page_size: int | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class KeyEntry(Document):
    """One key of a page."""

    key_id: str
    key_arn: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """One page."""

    request_id: str
    total_count: int
    page_number: int | None = None
    page_size: int | None = None
    keys: tuple[KeyEntry, ...] = listed("Key")
