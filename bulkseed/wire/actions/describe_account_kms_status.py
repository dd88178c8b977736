"""DescribeAccountKmsStatus (API metadata, SDK 3.3.1): whether the account uses KMS."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "DescribeAccountKmsStatus"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Nothing is asked."""

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """Enabled, NotEnabled, InDebt or Suspended."""

    request_id: str
    account_status: str
