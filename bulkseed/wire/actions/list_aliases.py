"""ListAliases (API metadata, SDK 3.3.1): the aliases of the account and region, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "ListAliases"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Pages hold 1 to 100 aliases."""

    page_number: int | None = None
    page_size: int | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class AliasEntry(Document):
    """One alias of a page."""

    alias_name: str
    alias_arn: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """One page."""

    request_id: str
    total_count: int
    page_number: int | None = None
    page_size: int | None = None
    aliases: tuple[AliasEntry, ...] = listed("Alias")
