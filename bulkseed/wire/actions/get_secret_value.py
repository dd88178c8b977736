"""GetSecretValue (API metadata, SDK 3.3.1): the value of one version, by default ACSCurrent."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup, SecretValue
from bulkseed.wire.actions.codec import Document, Parameters, call, listed
from bulkseed.wire.message import Call

ACTION = "GetSecretValue"
GROUP = QuotaGroup.READ


@dataclass(slots=True)  # not frozen: made for every request, and that would take twice as long
class Request(Parameters):
    """`secret_name` may be an ARN. `dry_run` never succeeds: it answers DryRunOperationError at best."""

    secret_name: str
    version_id: str | None = None
    version_stage: str | None = None
    fetch_extended_config: bool | None = None
    dry_run: bool | None = None
    recipient: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(slots=True)  # likewise
class Reply(Document):
    """The value and its version. Times are ``yyyy-MM-ddTHH:mm:ssZ``."""

    request_id: str
    secret_data: SecretValue
    version_id: str
    secret_name: str | None = None
    secret_data_type: str | None = None
    secret_type: str | None = None
    version_stages: tuple[str, ...] = listed("VersionStage")
    create_time: str | None = None
    automatic_rotation: str | None = None
    extended_config: str | None = None
    last_rotation_date: str | None = None
    next_rotation_date: str | None = None
    rotation_interval: str | None = None
