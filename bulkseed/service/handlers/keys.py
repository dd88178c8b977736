"""The actions of keys: create, describe, list, use, disable, and the delete window of keys.

What the state of a key allows is a table on "Impact of CMK status on API operations".
"""

from __future__ import annotations

from dataclasses import replace

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.generic_secrets import read_tags
from bulkseed.service.handlers.filters import where
from bulkseed.service.handlers.key_settings import DESCRIPTION_MAX, plan_rotation
from bulkseed.service.handlers.pagination import Page
from bulkseed.service.handlers.secrets import INSTANCE_ID
from bulkseed.service.storage.keys import SERVICE_CREATOR, Key
from bulkseed.service.storage.specs import SPECS
from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_key,
    describe_key,
    disable_key,
    enable_key,
    list_keys,
    schedule_key_deletion,
)
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import broken_rule, fault, invalid_parameter
from bulkseed.wire.validation.parameters import parameter_problems

WINDOW_DAYS = range(7, 367)  # ScheduleKeyDeletion page
DAY = 86_400

FILTERS = {  # SDK 3.3.1; the text is SQL in front of a list of values
    "KeyState": "state IN ({})",
    "KeySpec": "spec IN ({})",
    "KeyUsage": "usage IN ({})",
    "ProtectionLevel": "'SOFTWARE' IN ({})",
    "CreatorType": f"iif(creator = '{SERVICE_CREATOR}', 'Service', 'User') IN ({{}})",
    "DKMSInstanceId": "instance_id IN ({})",
    "keyId": "id IN ({})",
    "AliasName": "EXISTS (SELECT 1 FROM aliases AS a WHERE a.key_id = keys.id AND a.name IN ({}))",
    "Creator": "creator IN ({})",
    "TagKey": "EXISTS (SELECT 1 FROM json_each(tags) AS t WHERE t.key IN ({}))",
    "TagValue": "EXISTS (SELECT 1 FROM json_each(tags) AS t WHERE t.value IN ({}))",
}


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
    if len(asked.description or "") > DESCRIPTION_MAX:
        return invalid_parameter("Description")
    if asked.dkms_instance_id is not None and not INSTANCE_ID.fullmatch(asked.dkms_instance_id):
        return fault("Forbidden.DKMSInstanceNotFound")
    for problem in parameter_problems("Tags", asked.tags) if asked.tags else ():
        return broken_rule("Tags", problem)
    for problem in parameter_problems("Policy", asked.policy) if asked.policy else ():
        return broken_rule("Policy", problem)
    key = Key(
        spec=spec,
        usage=usage,
        creator=context.caller.account,
        created=context.now,
        description=asked.description,
        instance_id=asked.dkms_instance_id,
        tags=read_tags(asked.tags),
        policy=asked.policy,
    )
    if asked.enable_automatic_rotation:
        refusal = plan_rotation(key, True, asked.rotation_interval, context.now)
        if refusal is not None:
            return refusal
    return create_key.Reply(context.request_id, _metadata(context, context.service.keys.create(key)))


def describe(context: Context, asked: describe_key.Request, /) -> describe_key.Reply | Fault:
    """Describe a key in any state."""
    key = _find(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    metadata = replace(
        _metadata(context, key),
        deletion_protection="Disabled" if key.protection is None else "Enabled",
        deletion_protection_description=key.protection or None,
    )
    return describe_key.Reply(context.request_id, metadata)


def list_all(context: Context, asked: list_keys.Request, /) -> list_keys.Reply | Fault:
    """Return one page of the keys, oldest first."""
    page = Page.read(asked.page_number, asked.page_size, default=10)
    if isinstance(page, Fault):
        return page
    filters = where(asked.filters, FILTERS)
    if filters is None:
        return invalid_parameter("Filters")
    condition, parameters = filters
    keys = list(context.service.keys.select(f"{condition} ORDER BY created, id", *parameters))
    arn = context.service.account.key_arn
    return list_keys.Reply(
        request_id=context.request_id,
        total_count=len(keys),
        page_number=page.number,
        page_size=page.size,
        keys=tuple(list_keys.KeyEntry(key.id, arn(key.id)) for key in page.cut(keys)),
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
    key = context.service.keys.find(asked.key_id)
    if isinstance(key, Key) and key.protection is not None:
        return fault("Rejected.StateModifiedFailed", "The key is protected against deletion.")
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
        return fault("Rejected.StateModifiedFailed")
    key.state, key.delete_at = state, delete_at
    context.service.keys.save(key)
    return None


def _find(context: Context, key_id: str) -> Key | Fault:
    return context.service.keys.find(key_id)


def _rotation_state(key: Key) -> str:
    """Tell whether a key rotates; what is not enabled waits with that (CreateKey page)."""
    if not key.rotation_seconds:
        return "Disabled"
    return "Enabled" if key.state == "Enabled" else "Suspended"


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
        automatic_rotation=_rotation_state(key),
        rotation_interval=f"{key.rotation_seconds}s" if key.rotation_seconds else None,
        last_rotation_date=timestamp(key.last_rotation or key.created),
        next_rotation_date=timestamp(key.next_rotation) if key.next_rotation else None,
    )
