"""DeleteAlias (API metadata, SDK 3.3.1): takes an alias away; its key stays."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "DeleteAlias"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`alias_name` starts with ``alias/``."""

    alias_name: str

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Done."""

    request_id: str
