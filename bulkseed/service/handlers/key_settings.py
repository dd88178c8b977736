"""What can be changed of a key, and its versions: description, tags, deletion protection, rotation."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.ciphers import usable
from bulkseed.service.handlers.pagination import Page
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.specs import SPECS
from bulkseed.wire.actions import (
    create_key_version,
    describe_key_version,
    list_key_versions,
    list_resource_tags,
    set_deletion_protection,
    update_key_description,
    update_rotation_policy,
)
from bulkseed.wire.actions.list_key_versions import KeyVersion
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.fault import fault, invalid_parameter, missing_parameter
from bulkseed.wire.validation.parameters import rotation_seconds

DESCRIPTION_MAX = 8_192  # API metadata
ROTATION_SECONDS = range(7 * 86_400, 730 * 86_400 + 1)  # UpdateRotationPolicy page
VERSION_SECONDS = 7 * 86_400  # CreateKeyVersion page: the least between two versions
VERSIONS_MAX = 50  # CreateKeyVersion page


def describe(
    context: Context, asked: update_key_description.Request, /
) -> update_key_description.Reply | Fault:
    """Change the description."""
    if len(asked.description) > DESCRIPTION_MAX:
        return invalid_parameter("Description")
    key = live(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    key.description = asked.description
    context.service.keys.save(key)
    return update_key_description.Reply(context.request_id)


def protect(
    context: Context, asked: set_deletion_protection.Request, /
) -> set_deletion_protection.Reply | Fault:
    """Keep a key from being deleted, or let it go."""
    name = asked.protected_resource_arn or asked.key_id
    if name is None:
        return missing_parameter("ProtectedResourceArn")
    key = live(context, name)
    if isinstance(key, Fault):
        return key
    on = asked.enable_deletion_protection
    key.protection = (asked.deletion_protection_description or "") if on else None
    context.service.keys.save(key)
    return set_deletion_protection.Reply(context.request_id)


def set_rotation(
    context: Context, asked: update_rotation_policy.Request, /
) -> update_rotation_policy.Reply | Fault:
    """Switch automatic rotation on, with an interval from now, or off."""
    key = usable(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    refusal = plan_rotation(key, asked.enable_automatic_rotation, asked.rotation_interval, context.now)
    if refusal is not None:
        return refusal
    context.service.keys.save(key)
    return update_rotation_policy.Reply(context.request_id)


def plan_rotation(key: Key, on: bool, interval: str | None, now: float) -> Fault | None:
    """Set when a key rotates, or return why it cannot."""
    if not on:
        key.rotation_seconds = key.next_rotation = None
        return None
    if not SPECS[key.spec].rotates:
        return fault("UnsupportedOperation", "Only symmetric keys rotate.")
    if not interval:
        return missing_parameter("RotationInterval")
    seconds = rotation_seconds(interval)
    if seconds not in ROTATION_SECONDS:
        return invalid_parameter("RotationInterval", "It must be between 7 and 730 days.")
    key.rotation_seconds, key.next_rotation = seconds, now + (seconds or 0)
    return None


def list_tags(context: Context, asked: list_resource_tags.Request, /) -> list_resource_tags.Reply | Fault:
    """Return the tags of a key."""
    key = context.service.keys.find(asked.key_id)
    if isinstance(key, Fault):
        return key
    found = tuple(list_resource_tags.KeyTag(key.id, name, value) for name, value in key.tags.items())
    return list_resource_tags.Reply(context.request_id, found)


def list_versions(context: Context, asked: list_key_versions.Request, /) -> list_key_versions.Reply | Fault:
    """Return one page of the versions of a key."""
    page = Page.read(asked.page_number, asked.page_size, default=10)
    if isinstance(page, Fault):
        return page
    key = context.service.keys.find(asked.key_id)
    if isinstance(key, Fault):
        return key
    found = [_entry(key, *version) for version in context.service.keys.versions(key)]
    return list_key_versions.Reply(
        context.request_id, len(found), page.number, page.size, tuple(page.cut(found))
    )


def describe_version(
    context: Context, asked: describe_key_version.Request, /
) -> describe_key_version.Reply | Fault:
    """Return one version of a key."""
    key = context.service.keys.find(asked.key_id)
    if isinstance(key, Fault):
        return key
    created = dict(context.service.keys.versions(key)).get(asked.key_version_id)
    if created is None:
        return fault("Forbidden.KeyVersionNotFound")
    return describe_key_version.Reply(context.request_id, _entry(key, asked.key_version_id, created))


def create_version(
    context: Context, asked: create_key_version.Request, /
) -> create_key_version.Reply | Fault:
    """Make a further version of an asymmetric key; symmetric ones rotate by their policy."""
    key = usable(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    if not key.spec.startswith(("RSA_", "EC_")):
        return fault("UnsupportedOperation", "Only asymmetric keys get versions this way.")
    versions = context.service.keys.versions(key)
    if context.now - versions[0][1] < VERSION_SECONDS:
        return fault("Rejected.LimitExceeded", "The version before was made less than seven days ago.")
    if len(versions) >= VERSIONS_MAX:
        return fault("Rejected.LimitExceeded", f"The key has {VERSIONS_MAX} versions.")
    context.service.keys.add_version(key, context.now)
    return create_key_version.Reply(context.request_id, _entry(key, key.version, context.now))


def live(context: Context, key_id: str) -> Key | Fault:
    """Return a key that is not planned to be deleted."""
    key = context.service.keys.find(key_id)
    if isinstance(key, Key) and key.state == "PendingDeletion":
        return fault("Rejected.PendingDeletion")
    return key


def _entry(key: Key, version: str, created: float) -> KeyVersion:
    return KeyVersion(key.id, version, timestamp(created))
