"""CreateKey (API metadata, SDK 3.3.1): a customer master key of the account and region."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions.codec import Document, Parameters, call, named
from bulkseed.wire.actions.describe_key import KeyMetadata
from bulkseed.wire.message import Call

ACTION = "CreateKey"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """Without a spec the key is Aliyun_AES_256; `tags` is a JSON array as text."""

    dkms_instance_id: str | None = named("DKMSInstanceId")
    description: str | None = None
    key_spec: str | None = None
    key_usage: str | None = None
    origin: str | None = None
    protection_level: str | None = None
    tags: str | None = None
    enable_automatic_rotation: bool | None = None
    rotation_interval: str | None = None
    policy: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The new key."""

    request_id: str
    key_metadata: KeyMetadata
