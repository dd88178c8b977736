"""GetKmsInstanceQuotaInfos (SDK 3.3.1): how many secrets and keys there may be, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "GetKmsInstanceQuotaInfos"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`resource_type` is key, secret, qps or vpc."""

    kms_instance_id: str | None = None
    resource_type: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class QuotaInfo(Document):
    """The quota of one type and how much of it is used."""

    resource_type: str
    resource_quota: int
    used_quantity: int


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The quotas asked for."""

    request_id: str
    kms_instance_id: str | None = None
    kms_instance_quota_infos: tuple[QuotaInfo, ...] = ()
