"""DescribeRegions (API metadata, SDK 3.3.1): the regions that have KMS."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "DescribeRegions"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Nothing is asked."""

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Region(Document):
    """One region."""

    region_id: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The regions."""

    request_id: str
    regions: tuple[Region, ...] = listed("Region")
