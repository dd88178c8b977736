"""DescribeSecret (API metadata, SDK 3.3.1): everything about a secret but its value."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, listed, named
from bulkseed.wire.message import Call

ACTION = "DescribeSecret"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Tags are returned on demand only."""

    secret_name: str
    fetch_tags: bool | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Tag(Document):
    """One tag of a secret or key."""

    tag_key: str
    tag_value: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The metadata. `owing_service` is spelled like that in the API."""

    request_id: str
    secret_name: str
    arn: str | None = None
    secret_type: str | None = None
    description: str | None = None
    encryption_key_id: str | None = None
    dkms_instance_id: str | None = named("DKMSInstanceId")
    create_time: str | None = None
    update_time: str | None = None
    planned_delete_time: str | None = None
    tags: tuple[Tag, ...] = listed("Tag")
    owing_service: str | None = None
    automatic_rotation: str | None = None
    extended_config: str | None = None
    last_rotation_date: str | None = None
    next_rotation_date: str | None = None
    rotation_interval: str | None = None
