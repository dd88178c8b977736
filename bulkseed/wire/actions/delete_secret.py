"""DeleteSecret (API metadata, SDK 3.3.1): after a window of 7 to 30 days, or at once when forced.

The pages say that the two options exclude each other, but Terraform always sends both: both are accepted.
"""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "DeleteSecret"
GROUP = QuotaGroup.CREATE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Which secret, and how much time there is to restore it (default 30 days)."""

    secret_name: str
    force_delete_without_recovery: bool | None = None
    recovery_window_in_days: int | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """When the secret is deleted for good."""

    request_id: str
    secret_name: str | None = None
    planned_delete_time: str | None = None
