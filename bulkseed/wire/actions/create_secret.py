"""CreateSecret (CreateSecret page, API metadata 2024-06, SDK 3.3.1): a secret and its initial version.

The client's two functions are on the hot path; `Request` and `Reply` are what the service uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import orjson

from bulkseed.model import Created, Fault, NoReply, QuotaGroup, SecretDefinition, SecretValue
from bulkseed.wire.actions.codec import (
    MISMATCHED,
    UNREADABLE,
    Document,
    Parameters,
    call,
    is_fault,
    named,
    same_identity,
)
from bulkseed.wire.encoding import percent
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Call, Response
from bulkseed.wire.validation.secret_types import requested_name

ACTION = "CreateSecret"
GROUP = QuotaGroup.CREATE


@lru_cache(maxsize=256)
def _shared(name: str, text: str) -> str:
    """Encode what is alike in many definitions: tags, key ids, descriptions. Never a value."""
    return f"{name}={percent(text)}"


def encode(definition: SecretDefinition) -> Call:
    """Return the call that creates `definition`; the value and the policy travel in the form body."""
    d = definition
    query = []
    if d.dkms_instance_id is not None:
        query.append(_shared("DKMSInstanceId", d.dkms_instance_id))
    if d.description is not None:
        query.append(_shared("Description", d.description))
    if d.enable_automatic_rotation is not None:
        query.append(f"EnableAutomaticRotation={str(d.enable_automatic_rotation).lower()}")
    if d.encryption_key_id is not None:
        query.append(_shared("EncryptionKeyId", d.encryption_key_id))
    if d.extended_config is not None:
        query.append(f"ExtendedConfig={percent(d.extended_config)}")
    if d.rotation_interval is not None:
        query.append(_shared("RotationInterval", d.rotation_interval))
    if d.data_type is not None:
        query.append(_shared("SecretDataType", d.data_type))
    query.append(f"SecretName={percent(requested_name(d.name, d.secret_type))}")
    if d.secret_type is not None:
        query.append(_shared("SecretType", d.secret_type))
    if d.tags is not None:
        query.append(_shared("Tags", d.tags))
    query.append(_shared("VersionId", d.version_id))
    form = f"SecretData={percent(d.data.reveal())}"
    if d.policy is not None:
        form = f"Policy={percent(d.policy)}&{form}"
    return Call(ACTION, "&".join(query), form)


def decode(response: Response, definition: SecretDefinition | None = None) -> Created | Fault | NoReply:
    """Read the reply. A success that is truncated or names no request is NoReply, never Created.

    Neither is one about another secret or version than `definition`.
    """
    if not 200 <= response.status < 300:
        return decode_fault(response)
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return UNREADABLE
    if response.status != 200 or not isinstance(document, dict):
        return UNREADABLE
    if is_fault(document):
        return decode_fault(response)
    request_id, arn = document.get("RequestId"), document.get("Arn")
    if not isinstance(request_id, str) or not (arn is None or isinstance(arn, str)):
        return UNREADABLE
    if definition is not None and not (
        same_identity(document.get("SecretName"), requested_name(definition.name, definition.secret_type))
        and same_identity(document.get("VersionId"), definition.version_id)
    ):
        return MISMATCHED
    return Created(request_id, arn)


@dataclass(slots=True)  # not frozen: made for every request, and that would take twice as long
class Request(Parameters):
    """The parameters as they were sent; JSON parameters are still text."""

    secret_name: str
    version_id: str
    secret_data: SecretValue
    secret_data_type: str | None = None
    secret_type: str | None = None
    encryption_key_id: str | None = None
    dkms_instance_id: str | None = named("DKMSInstanceId")
    description: str | None = None
    tags: str | None = None
    extended_config: str | None = None
    enable_automatic_rotation: bool | None = None
    rotation_interval: str | None = None
    policy: str | None = None

    def encode(self) -> Call:
        """Return the call."""
        return call(ACTION, self)


@dataclass(slots=True)  # likewise
class Reply(Document):
    """What was created, never the value."""

    request_id: str
    arn: str | None = None
    secret_name: str | None = None
    version_id: str | None = None
    secret_type: str | None = None
    dkms_instance_id: str | None = named("DKMSInstanceId")
    automatic_rotation: str | None = None
    extended_config: str | None = None
    next_rotation_date: str | None = None
    rotation_interval: str | None = None
