"""Values of managed secrets: what is stored when one is created, and what a rotation makes next.

A version holds one account (SDK 3.3.1, GetSecretValue): ``{"AccountName", "AccountPassword"}`` for Rds, Redis
and PolarDB, ``{"AccessKeyId", "AccessKeySecret", "GenerateTimestamp"}`` for RAMCredentials, and what was sent
for ECS. DoubleUsers has two accounts that take turns; the second one is made by the first rotation, unless it
was given (CreateSecret page).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from bulkseed.service.passwords import LETTERS_AND_DIGITS, ROTATION_CLASSES, random_password
from bulkseed.service.storage.specs import SPECS
from bulkseed.wire.encoding import timestamp
from bulkseed.wire.validation.secret_types import json_object

_ACCESS_KEY_SIZES = {"AccessKeyId": 24, "AccessKeySecret": 30}


def first_values(kind: str, config: Mapping[str, Any], data: str, now: float) -> tuple[str, str | None]:
    """Return the values of ACSCurrent and of ACSPrevious (None without one) of a new secret."""
    if kind in ("Redis", "PolarDB"):
        name = config["AccountName"]
        return _text(_fresh(name)), _text(_fresh(config.get("CloneAccountName") or clone_of(name)))
    if kind == "RAMCredentials":
        return _text({**_object(data)["AccessKeys"][0], "GenerateTimestamp": timestamp(now)}), None
    if kind == "Rds":
        first, *others = _object(data)["Accounts"]
        double = config.get("SecretSubType") == "DoubleUsers"
        return _text(first), _text(others[0]) if double and others else None
    return data, None


def next_value(kind: str, config: Mapping[str, Any], current: str, previous: str | None, now: float) -> str:
    """Return the value that a rotation puts in force."""
    value = _object(current)
    if kind == "RAMCredentials":
        key = {name: random_password(LETTERS_AND_DIGITS, size) for name, size in _ACCESS_KEY_SIZES.items()}
        return _text({**key, "GenerateTimestamp": timestamp(now)})
    if kind == "ECS":
        fresh = _key_pair() if "PrivateKey" in value else {"Password": random_password(ROTATION_CLASSES)}
        return _text({**value, **fresh})
    name = value["AccountName"]
    if config.get("SecretSubType") == "DoubleUsers":
        name = (
            _object(previous)["AccountName"] if previous else config.get("CloneAccountName") or clone_of(name)
        )
    return _text(_fresh(name))


def accounts_of(data: str) -> tuple[str, ...]:
    """Return the names of the accounts in the value that an Rds secret is created with."""
    return tuple(account["AccountName"] for account in _object(data)["Accounts"])


def clone_of(name: str) -> str:
    """Return the name of the second account (CreateSecret page: CloneAccountName)."""
    return f"{name}_clone"


def _key_pair() -> dict[str, str]:
    """Return a new pair for SSH: ``ssh-rsa …`` and PEM (SDK 3.3.1, GetSecretValue)."""
    private = load_der_private_key(SPECS["RSA_2048"].make(), None, unsafe_skip_rsa_key_validation=True)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return {"PublicKey": public.decode(), "PrivateKey": pem.decode()}


def _fresh(name: str) -> dict[str, str]:
    return {"AccountName": name, "AccountPassword": random_password(ROTATION_CLASSES)}


def _object(text: str) -> dict[str, Any]:
    return json_object(text) or {}


def _text(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
