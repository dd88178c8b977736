"""TagResources (API metadata, SDK 3.3.1): adds or replaces tags of up to 50 secrets or keys."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, numbered
from bulkseed.wire.message import Call

ACTION = "TagResources"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class TagPair(Parameters):
    """One tag: ``Tag.N.Key`` and ``Tag.N.Value``."""

    key: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`resource_type` is secret or key; a resource is named by its name or id."""

    resource_type: str
    resource_id: tuple[str, ...] = numbered()
    tag: tuple[TagPair, ...] = numbered()

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
