"""DescribeKey (API metadata, SDK 3.3.1): a customer master key, without its material."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, named
from bulkseed.wire.message import Call

ACTION = "DescribeKey"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`key_id` may be an ARN."""

    key_id: str

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class KeyMetadata(Document):
    """What is known about a key. Times are ``yyyy-MM-ddTHH:mm:ssZ``."""

    key_id: str
    arn: str | None = None
    key_state: str | None = None
    key_spec: str | None = None
    key_usage: str | None = None
    origin: str | None = None
    protection_level: str | None = None
    creator: str | None = None
    creation_date: str | None = None
    delete_date: str | None = None
    description: str | None = None
    dkms_instance_id: str | None = named("DKMSInstanceId")
    primary_key_version: str | None = None
    automatic_rotation: str | None = None
    rotation_interval: str | None = None
    last_rotation_date: str | None = None
    next_rotation_date: str | None = None
    deletion_protection: str | None = None
    deletion_protection_description: str | None = None


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The key."""

    request_id: str
    key_metadata: KeyMetadata
