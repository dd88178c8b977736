"""PutSecretValue (API metadata, SDK 3.3.1): a new version of a Generic secret."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "PutSecretValue"
GROUP = QuotaGroup.MANAGE


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`version_stages` is a JSON array as text; without it the version becomes ACSCurrent."""

    secret_name: str
    version_id: str
    secret_data: SecretValue
    secret_data_type: str | None = None
    version_stages: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """The version as stored."""

    request_id: str
    secret_name: str | None = None
    version_id: str | None = None
    version_stages: tuple[str, ...] = listed("VersionStage")
