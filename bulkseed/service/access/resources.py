"""Which resources an action needs permission for, from the request as it was decoded.

Only what the action itself uses counts; any other parameter a caller adds changes no decision. Source of the
resource types: "Use RAM to control access to KMS resources". CreateSecret asks for the secret by its name,
not for the container, so that policies by name can be tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bulkseed.service.context import Context
from bulkseed.service.storage.envelope import version_of
from bulkseed.wire.encoding import read_base64
from bulkseed.wire.validation.secret_types import created_name

Resources = Callable[[Context, Any], tuple[str, ...]]
"""Returns the ARNs, each of which the caller needs permission for."""


def nothing(_context: Context, _asked: Any) -> tuple[str, ...]:
    """Every caller may (DescribeRegions), or the handler asks itself (BatchGetSecretValue, ReEncrypt)."""
    return ()


def container(kind: str) -> Resources:
    """All ``secret``, ``key`` or ``alias`` of the account."""
    return lambda context, _asked: (context.service.account.container(kind),)


def secret(context: Context, asked: Any) -> tuple[str, ...]:
    """One secret."""
    account = context.service.account
    return (account.secret_arn(account.secret_name(asked.secret_name)),)


def new_secret(context: Context, asked: Any) -> tuple[str, ...]:
    """One secret, by the name that it gets."""
    name = created_name(asked.secret_name, asked.secret_type, asked.extended_config)
    return (context.service.account.secret_arn(name),)


def key(context: Context, asked: Any) -> tuple[str, ...]:
    """One key, whichever way it is called."""
    return (_key_arn(context, asked.key_id),)


def alias(context: Context, asked: Any) -> tuple[str, ...]:
    """One alias."""
    account = context.service.account
    return (account.alias_arn(account.alias_name(asked.alias_name)),)


def alias_and_key(context: Context, asked: Any) -> tuple[str, ...]:
    """An alias, and the key that it is to name."""
    return alias(context, asked) + key(context, asked)


def protected_key(context: Context, asked: Any) -> tuple[str, ...]:
    """The key of SetDeletionProtection, which may be named in two ways."""
    return (_key_arn(context, asked.protected_resource_arn or asked.key_id or ""),)


def cipher_key(context: Context, asked: Any) -> tuple[str, ...]:
    """The key that a ciphertext names; every key if it names none."""
    blob = read_base64(asked.ciphertext_blob)
    version = version_of(blob) if blob else None
    found = context.service.keys.key_of_version(version) if version else None
    account = context.service.account
    return (account.container("key") if found is None else account.key_arn(found.id),)


def both_keys(context: Context, asked: Any) -> tuple[str, str]:
    """The key that opens a ciphertext, and the one that it is to be moved to."""
    named = asked.source_key_id
    source = _key_arn(context, named) if named else cipher_key(context, asked)[0]
    return source, _key_arn(context, asked.destination_key_id)


def tagged(context: Context, asked: Any) -> tuple[str, ...]:
    """Everything that TagResource or UntagResource names; the handler refuses more than one."""
    arns = secret(context, asked) if asked.secret_name is not None else ()
    return arns + (key(context, asked) if asked.key_id is not None else ())


def listed(context: Context, asked: Any) -> tuple[str, ...]:
    """Each of the resources that are named by type and id."""
    account = context.service.account
    if not asked.resource_id:
        return (account.container(asked.resource_type),)
    if asked.resource_type == "key":
        return tuple(_key_arn(context, name) for name in asked.resource_id)
    return tuple(account.secret_arn(account.secret_name(name)) for name in asked.resource_id)


def _key_arn(context: Context, name: str) -> str:
    name = context.service.keys.resolve(name)
    account = context.service.account
    return account.alias_arn(name) if name.startswith("alias/") else account.key_arn(name)
