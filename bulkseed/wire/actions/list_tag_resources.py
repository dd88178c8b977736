"""ListTagResources (API metadata, SDK 3.3.1): the tags of secrets or keys."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed, numbered
from bulkseed.wire.actions.tag_resources import TagPair
from bulkseed.wire.message import Call

ACTION = "ListTagResources"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Without resources it lists all that have tags; `tag` keeps those that have each of these."""

    resource_type: str
    resource_id: tuple[str, ...] = numbered()
    tag: tuple[TagPair, ...] = numbered()
    next_token: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class TagResource(Document):
    """One tag of one resource."""

    resource_id: str
    resource_type: str
    tag_key: str
    tag_value: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The tags; `next_token` asks for more."""

    request_id: str
    tag_resources: tuple[TagResource, ...] = listed("TagResource")
    next_token: str | None = None
