"""The actions of keys: create, describe, list, use, disable, and the delete window of keys."""

from __future__ import annotations

import base64
import os

from bulkseed.model import Fault, SecretValue
from bulkseed.service.context import Context
from bulkseed.service.handlers.pagination import Page
from bulkseed.service.handlers.secrets import INSTANCE_ID
from bulkseed.service.storage.keys import SERVICE_CREATOR, Key
from bulkseed.service.storage.specs import SPECS, SYMMETRIC
from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_key,
    describe_key,
    disable_key,
    enable_key,
    generate_data_key,
    list_keys,
    schedule_key_deletion,
)
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import fault, invalid_parameter
from bulkseed.wire.validation.parameters import parameter_problems

DESCRIPTION_MAX = 8_192  # API metadata
DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}
DATA_KEY_BYTES_MAX = 1_024  # API metadata
WINDOW_DAYS = range(7, 367)  # ScheduleKeyDeletion page
DAY = 86_400


def create(context: Context, asked: create_key.Request, /) -> create_key.Reply | Fault:
    """Create a key; material that is imported is not supported."""
    spec = asked.key_spec or "Aliyun_AES_256"
    if spec not in SPECS:
        return invalid_parameter("KeySpec")
    usage = asked.key_usage or SPECS[spec].usages[0]
    if usage not in SPECS[spec].usages:
        return invalid_parameter("KeyUsage")
    if asked.origin not in (None, "Aliyun_KMS"):
        return fault("UnsupportedOperation")
    if asked.description is not None and len(asked.description) > DESCRIPTION_MAX:
        return invalid_parameter("Description")
    if asked.dkms_instance_id is not None and not INSTANCE_ID.fullmatch(asked.dkms_instance_id):
        return fault("Forbidden.DKMSInstanceNotFound")
    for problem in parameter_problems("Tags", asked.tags) if asked.tags else ():
        return invalid_parameter("Tags", f"It {problem}.")
    key = context.service.keys.create(
        Key(
            spec=spec,
            usage=usage,
            creator=context.caller.account,
            created=context.now,
            description=asked.description,
            instance_id=asked.dkms_instance_id,
            tags=context.read_tags(asked.tags),
        )
    )
    return create_key.Reply(context.request_id, _metadata(context, key))


def describe(context: Context, asked: describe_key.Request, /) -> describe_key.Reply | Fault:
    """Describe a key in any state."""
    key = _find(context, asked.key_id)
    return key if isinstance(key, Fault) else describe_key.Reply(context.request_id, _metadata(context, key))


def list_all(context: Context, asked: list_keys.Request, /) -> list_keys.Reply | Fault:
    """Return one page of the keys, oldest first."""
    page = Page.read(asked.page_number, asked.page_size, default=10)
    if isinstance(page, Fault):
        return page
    keys = list(context.service.keys.select("ORDER BY created, id"))
    arn = context.service.account.key_arn
    return list_keys.Reply(
        request_id=context.request_id,
        total_count=len(keys),
        page_number=page.number,
        page_size=page.size,
        keys=tuple(list_keys.KeyEntry(key.id, arn(key.id)) for key in page.cut(keys)),
    )


def generate(context: Context, asked: generate_data_key.Request, /) -> generate_data_key.Reply | Fault:
    """Return a fresh data key, plain and sealed under the key."""
    size = asked.number_of_bytes or DATA_KEY_BYTES.get(asked.key_spec or "AES_256")
    if size is None:
        return invalid_parameter("KeySpec")
    if size > DATA_KEY_BYTES_MAX or asked.number_of_bytes == 0:
        return invalid_parameter("NumberOfBytes")
    key = _find(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    if key.spec not in SYMMETRIC:
        return fault("UnsupportedOperation")
    if refusal := context.service.keys.refusal(key.id):
        return refusal
    plaintext = os.urandom(size)
    sealed = context.service.vault.encrypt(key.version, plaintext, asked.encryption_context or "")
    return generate_data_key.Reply(
        request_id=context.request_id,
        key_id=key.id,
        key_version_id=key.version,
        plaintext=SecretValue(base64.b64encode(plaintext).decode()),
        ciphertext_blob=base64.b64encode(sealed).decode(),
    )


def disable(context: Context, asked: disable_key.Request, /) -> disable_key.Reply | Fault:
    """Disable a key: what it protects cannot be read until it is enabled again."""
    changed = _set_state(context, asked.key_id, "Disabled")
    return changed or disable_key.Reply(context.request_id)


def enable(context: Context, asked: enable_key.Request, /) -> enable_key.Reply | Fault:
    """Enable a key."""
    changed = _set_state(context, asked.key_id, "Enabled")
    return changed or enable_key.Reply(context.request_id)


def schedule_deletion(
    context: Context, asked: schedule_key_deletion.Request, /
) -> schedule_key_deletion.Reply | Fault:
    """Plan the deletion of a key, which makes it unusable at once."""
    if asked.pending_window_in_days not in WINDOW_DAYS:
        return invalid_parameter("PendingWindowInDays")
    when = context.now + asked.pending_window_in_days * DAY
    changed = _set_state(context, asked.key_id, "PendingDeletion", when)
    return changed or schedule_key_deletion.Reply(context.request_id)


def cancel_deletion(
    context: Context, asked: cancel_key_deletion.Request, /
) -> cancel_key_deletion.Reply | Fault:
    """Take a key out of its delete window; it is enabled then."""
    key = _find(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    if key.state != "PendingDeletion":
        return fault("Rejected.StateModifiedFailed")
    key.state, key.delete_at = "Enabled", None
    context.service.keys.save(key)
    return cancel_key_deletion.Reply(context.request_id)


def _set_state(context: Context, key_id: str, state: str, delete_at: float | None = None) -> Fault | None:
    key = _find(context, key_id)
    if isinstance(key, Fault):
        return key
    if key.creator == SERVICE_CREATOR:
        return fault("Forbidden.NoPermission", "The key belongs to Secrets Manager.")
    if key.state == "PendingDeletion":
        return fault("Rejected.PendingDeletion")
    key.state, key.delete_at = state, delete_at
    context.service.keys.save(key)
    return None


def _find(context: Context, key_id: str) -> Key | Fault:
    return context.service.keys.find(key_id)


def _metadata(context: Context, key: Key) -> describe_key.KeyMetadata:
    return describe_key.KeyMetadata(
        key_id=key.id,
        arn=context.service.account.key_arn(key.id),
        key_state=key.state,
        key_spec=key.spec,
        key_usage=key.usage,
        origin="Aliyun_KMS",
        protection_level="SOFTWARE",
        creator=key.creator,
        creation_date=timestamp(key.created),
        delete_date=timestamp(key.delete_at) if key.delete_at is not None else None,
        description=key.description or "",
        dkms_instance_id=key.instance_id,
        primary_key_version=key.version,
        automatic_rotation="Disabled",
        deletion_protection="Disabled",
    )
