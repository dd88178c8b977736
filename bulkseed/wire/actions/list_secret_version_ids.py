"""ListSecretVersionIds (API metadata, SDK 3.3.1): the versions of a secret, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "ListSecretVersionIds"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Versions that no stage marks are deprecated, and left out unless `include_deprecated`."""

    secret_name: str
    include_deprecated: bool | None = None
    page_number: int | None = None
    page_size: int | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class VersionEntry(Document):
    """One version of a page."""

    version_id: str
    create_time: str | None = None
    version_stages: tuple[str, ...] = listed("VersionStage")


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """One page."""

    request_id: str
    total_count: int
    secret_name: str | None = None
    page_number: int | None = None
    page_size: int | None = None
    version_ids: tuple[VersionEntry, ...] = listed("VersionId")
