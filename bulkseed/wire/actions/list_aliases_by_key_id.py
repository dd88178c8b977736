"""ListAliasesByKeyId (API metadata, SDK 3.3.1): the aliases of one key, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.actions.list_aliases import AliasEntry
from bulkseed.wire.message import Call

ACTION = "ListAliasesByKeyId"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Pages hold 1 to 100 aliases."""

    key_id: str
    page_number: int | None = None
    page_size: int | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """One page."""

    request_id: str
    total_count: int
    page_number: int | None = None
    page_size: int | None = None
    aliases: tuple[AliasEntry, ...] = listed("Alias")
