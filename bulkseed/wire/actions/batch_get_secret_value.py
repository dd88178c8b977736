"""BatchGetSecretValue (SDK 3.3.1): the values of up to 20 secrets."""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import QuotaGroup
from bulkseed.wire.actions import get_secret_value
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call

ACTION = "BatchGetSecretValue"
GROUP = QuotaGroup.READ


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    """`secrets_list` is JSON text: ``[{"SecretName": ..., "VersionId": ..., "VersionStage": ...}]``."""

    secrets_list: str

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(frozen=True, slots=True)
class BatchError(Document):
    """Why one secret could not be read."""

    code: str
    http_status: int
    message: str
    secret_name: str


@dataclass(frozen=True, slots=True)
class Reply(Document):
    """What could be read, and why the rest could not."""

    request_id: str
    secret_values: tuple[get_secret_value.Reply, ...] = ()
    errors: tuple[BatchError, ...] = ()
