"""Managed secrets: what each `SecretType` other than Generic demands of its name, configuration and value.

One row of `MANAGED` per type (source: SDK 3.3.1 docstring of CreateSecretRequest), for `parameters.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from bulkseed.wire.validation import limits


@dataclass(frozen=True, slots=True)
class ManagedType:
    """The demands of one type.

    `required` names text fields of ExtendedConfig; `allowed` limits the words of some. `value_fields` are the
    text fields of the value, by SecretSubType ("" = every one), inside a list called `value_list` if it has
    one. No value fields: the value is `$Auto`.
    """

    sub_types: tuple[str, ...]
    required: tuple[str, ...]
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    value_list: str | None = None
    value_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


MANAGED: dict[str, ManagedType] = {
    "Rds": ManagedType(
        sub_types=("SingleUser", "DoubleUsers"),
        required=("DBInstanceId",),
        value_list="Accounts",
        value_fields={"": ("AccountName", "AccountPassword")},
    ),
    "Redis": ManagedType(
        sub_types=("DoubleUsers",),
        required=("InstanceId", "RegionId", "AccountName", "CloneAccountName", "AccountPrivilege"),
    ),
    "RAMCredentials": ManagedType(
        sub_types=("RamUserAccessKey",),
        required=("UserName",),
        value_list="AccessKeys",
        value_fields={"": ("AccessKeyId", "AccessKeySecret")},
    ),
    "ECS": ManagedType(
        sub_types=("Password", "SSHKey"),
        required=("RegionId", "InstanceId"),
        value_fields={
            "Password": ("UserName", "Password"),
            "SSHKey": ("UserName", "PublicKey", "PrivateKey"),
        },
    ),
    "PolarDB": ManagedType(
        sub_types=("DoubleUsers",),
        required=("RegionId", "DBClusterId", "DBType", "AccountName"),
        allowed={"DBType": ("MySQL", "PostgreSQL"), "AccountType": ("Normal",)},
    ),
}


def created_name(name: str, kind: str | None, extended_config: str | None) -> str:
    """Return the name under which the service files the secret: for RAMCredentials it generates one."""
    if kind == "RAMCredentials" and name == limits.AUTO:
        config = json_object(extended_config or "")
        user = config.get("UserName") if config else None
        if isinstance(user, str):
            return limits.NAME_RAM_PREFIX + user
    return name


def requested_name(name: str, kind: str | None) -> str:
    """Return the name to ask for, so that the secret is filed under `name`; undoes `created_name`."""
    return limits.AUTO if kind == "RAMCredentials" else name


def name_problem(kind: str, name: str) -> str | None:
    """Return what is wrong with the name of a secret of this type beyond its characters, or None."""
    if kind == "RAMCredentials":
        return None if name == limits.AUTO else f"must be {limits.AUTO} for a RAMCredentials secret"
    if name == limits.AUTO:
        return f"may be {limits.AUTO} only for a RAMCredentials secret"
    if kind == "ECS":
        if not name.startswith(limits.NAME_ECS_PREFIX):
            return f"must start with {limits.NAME_ECS_PREFIX} for an ECS secret"
    elif kind != "PolarDB" and name.startswith(limits.NAME_RESERVED_PREFIX):
        return f"must not start with {limits.NAME_RESERVED_PREFIX}"
    return None


def config_problems(managed: ManagedType, config: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with the ExtendedConfig of a managed secret."""
    if config.get("SecretSubType") not in managed.sub_types:
        yield f"SecretSubType must be {one_of(managed.sub_types)}"
    for key in managed.required:
        value = config.get(key)
        if not (isinstance(value, str) and value):
            yield f"{key} is missing or not a text"
    for key, words in managed.allowed.items():
        if key in config and config[key] not in words:
            yield f"{key} must be {one_of(words)}"
    clone, account = config.get("CloneAccountName"), config.get("AccountName")
    if clone is not None and isinstance(account, str) and clone != f"{account}_clone":
        yield "CloneAccountName must be AccountName followed by _clone"
    custom = config.get("CustomData", {})
    if not isinstance(custom, dict) or len(custom) > limits.CUSTOM_DATA_MAX_PAIRS:
        yield f"CustomData must be a JSON object of at most {limits.CUSTOM_DATA_MAX_PAIRS} pairs"


def value_problem(managed: ManagedType, sub_type: object, data: str) -> str | None:
    """Return what is wrong with the value of a managed secret, in words that do not tell it, or None."""
    if not managed.value_fields:
        return None if data == limits.AUTO else f"must be {limits.AUTO} for this SecretType"
    fields = managed.value_fields.get("") or managed.value_fields.get(str(sub_type))
    if fields is None:
        return None  # SecretSubType is wrong and already reported
    value = json_object(data)
    items: Any = [value]
    if value is not None and managed.value_list:
        items = value.get(managed.value_list)
    if isinstance(items, list) and items and all(_has_texts(item, fields) for item in items):
        return None
    shape = "{" + ",".join(f'"{name}":"…"' for name in fields) + "}"
    if managed.value_list:
        shape = f'{{"{managed.value_list}":[{shape}]}}'
    return f"must have the form {shape}"


def holds_value(kind: str | None, sent: str, found: str) -> bool:
    """Tell whether `found`, the value of a version, is what a secret was created with from `sent`.

    A version of a managed secret holds one account of those that were sent (SDK 3.3.1, GetSecretValue). A
    `$Auto` value is made by the service, so that whatever is found is what was asked for.
    """
    managed = MANAGED.get(kind or "Generic")
    if managed is None or sent == found:
        return sent == found
    if not managed.value_fields:
        return sent == limits.AUTO
    value, account = json_object(sent) or {}, json_object(found) or {}
    if managed.value_list is None:
        return bool(value) and value == account
    fields, accounts = managed.value_fields[""], value.get(managed.value_list)
    return isinstance(accounts, list) and any(
        isinstance(made, dict) and all(name in account and made.get(name) == account[name] for name in fields)
        for made in accounts
    )


def json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that `text` is, or None."""
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def one_of(words: tuple[str, ...]) -> str:
    """Return "a, b or c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _has_texts(item: object, fields: tuple[str, ...]) -> bool:
    return isinstance(item, dict) and all(isinstance(text := item.get(name), str) and text for name in fields)
