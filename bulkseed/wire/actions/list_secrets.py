"""ListSecrets (API metadata, SDK 3.3.1): the secrets of the account and region, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.actions.describe_secret import Tag
from bulkseed.wire.message import Call

ACTION = "ListSecrets"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`filters` is JSON text: ``[{"Key":"SecretName","Values":["..."]}]``; pages hold 1 to 100 secrets."""

    filters: str | None = None
    fetch_tags: bool | None = None
    page_number: int | None = None
    page_size: int | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Secret(Document):
    """One secret of a page."""

    secret_name: str
    secret_type: str | None = None
    create_time: str | None = None
    update_time: str | None = None
    planned_delete_time: str | None = None
    owing_service: str | None = None
    tags: tuple[Tag, ...] = listed("Tag")


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """One page."""

    request_id: str
    total_count: int
    page_number: int | None = None
    page_size: int | None = None
    secret_list: tuple[Secret, ...] = listed("Secret")
