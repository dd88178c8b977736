"""ListKeyVersions (API metadata, SDK 3.3.1): the versions of a key, page by page, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "ListKeyVersions"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Pages hold 1 to 100 versions."""

    key_id: str
    page_number: int | None = None
    page_size: int | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class KeyVersion(Document):
    """One version of a key."""

    key_id: str
    key_version_id: str
    creation_date: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """One page."""

    request_id: str
    total_count: int
    page_number: int | None = None
    page_size: int | None = None
    key_versions: tuple[KeyVersion, ...] = listed("KeyVersion")
