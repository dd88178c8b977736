"""Changing what is not a value: UpdateSecret, TagResource, UntagResource."""

from __future__ import annotations

import orjson

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.generic_secrets import read_tags
from bulkseed.service.handlers.key_settings import live
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.store import StoredSecret
from bulkseed.wire.actions import tag_resource, untag_resource, update_secret
from bulkseed.wire.fault import broken_rule, fault, invalid_parameter
from bulkseed.wire.validation import limits
from bulkseed.wire.validation.parameters import parameter_problems
from bulkseed.wire.validation.secret_types import json_object


def update(context: Context, asked: update_secret.Request, /) -> update_secret.Reply | Fault:
    """Change the description, or the custom data of a managed secret."""
    secret = context.find_live(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    if asked.description is not None:
        secret.description = asked.description
    if asked.custom_data is not None:
        if secret.type == "Generic":
            return invalid_parameter("ExtendedConfig.CustomData", "A Generic secret has none.")
        config = _with_custom_data(secret, asked.custom_data)
        if config is None:
            return invalid_parameter("ExtendedConfig.CustomData")
        secret.extended_config = config
    secret.updated = context.now
    context.service.store.save_secret(secret)
    return update_secret.Reply(context.request_id, secret.name)


def tag(context: Context, asked: tag_resource.Request, /) -> tag_resource.Reply | Fault:
    """Add or replace tags of a secret or key."""
    for problem in parameter_problems("Tags", asked.tags):
        return broken_rule("Tags", problem)
    resource = _resource(context, asked.secret_name, asked.key_id, asked.certificate_id)
    if isinstance(resource, Fault):
        return resource
    tags = resource.tags | read_tags(asked.tags)
    if len(tags) > limits.TAGS_MAX:
        return invalid_parameter("Tags", f"There would be more than {limits.TAGS_MAX}.")
    retag(context, resource, tags)
    return tag_resource.Reply(context.request_id)


def untag(context: Context, asked: untag_resource.Request, /) -> untag_resource.Reply | Fault:
    """Take tags from a secret or key; tags that are not there do not matter."""
    keys = _read_keys(asked.tag_keys)
    if keys is None:
        return invalid_parameter("TagKeys")
    resource = _resource(context, asked.secret_name, asked.key_id, asked.certificate_id)
    if isinstance(resource, Fault):
        return resource
    retag(context, resource, {key: value for key, value in resource.tags.items() if key not in keys})
    return untag_resource.Reply(context.request_id)


def _resource(
    context: Context, secret_name: str | None, key_id: str | None, certificate_id: str | None
) -> StoredSecret | Key | Fault:
    given = [name for name in (secret_name, key_id, certificate_id) if name is not None]
    if len(given) != 1:
        return fault("InvalidParameter", "Exactly one of SecretName, KeyId and CertificateId is needed.")
    if secret_name is not None:
        return context.find_live(secret_name)
    if key_id is not None:
        return live(context, key_id)
    return fault("Forbidden.ResourceNotFound")  # there are no certificates here


def retag(context: Context, resource: StoredSecret | Key, tags: dict[str, str]) -> None:
    """Replace the tags of a resource."""
    resource.tags = tags
    if isinstance(resource, Key):
        context.service.keys.save(resource)
    else:
        resource.updated = context.now
        context.service.store.save_secret(resource)


def _read_keys(text: str) -> set[str] | None:
    """Read a JSON array or a list with commas: the pages show both."""
    if not text.startswith("["):
        return {key.strip() for key in text.split(",")}
    try:
        keys = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return set(keys) if all(isinstance(key, str) for key in keys) else None


def _with_custom_data(secret: StoredSecret, text: str) -> str | None:
    """Return the configuration with other custom data; None if that is not allowed."""
    custom, config = json_object(text), json_object(secret.extended_config or "")
    if custom is None or config is None or len(custom) > limits.CUSTOM_DATA_MAX_PAIRS:
        return None
    changed = orjson.dumps({**config, "CustomData": custom}).decode()
    return changed if len(changed) <= limits.EXTENDED_CONFIG_MAX_CHARACTERS else None
