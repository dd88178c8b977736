"""UntagResources (API metadata, SDK 3.3.1): takes tags from up to 50 secrets or keys."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, numbered
from bulkseed.wire.message import Call

ACTION = "UntagResources"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`all` counts only without keys, and takes every tag."""

    resource_type: str
    resource_id: tuple[str, ...] = numbered()
    tag_key: tuple[str, ...] = numbered()
    all: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
