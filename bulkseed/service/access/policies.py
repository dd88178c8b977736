"""What RAM users may do: allow statements by action and resource. The root caller may do everything.

    {"users": [{"name": "ci", "access_key_id": "...", "access_key_secret": "...",
                "allow": [{"action": ["kms:CreateSecret", "kms:Get*"],
                           "resource": "acs:kms:*:*:secret/ci/*"}]}]}

A user with `security_token` (and `expires_at`, epoch seconds) stands for a temporary key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson

from bulkseed.errors import UsageError
from bulkseed.model import SecretValue
from bulkseed.wire.signing.verify import AccessKey


@dataclass(frozen=True, slots=True)
class Statement:
    """Allows actions on resources; both are patterns with ``*``."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def allows(self, action: str, resource: str) -> bool:
        """Tell whether this statement covers `action` on `resource`."""
        return any(fnmatchcase(action, pattern) for pattern in self.actions) and any(
            fnmatchcase(resource, pattern) for pattern in self.resources
        )


@dataclass(frozen=True, slots=True)
class Policies:
    """The RAM users: their access keys, and statements by access key id."""

    keys: Mapping[str, AccessKey] = field(default_factory=dict)
    statements: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)

    def allow(self, access_key_id: str, action: str, resource: str) -> bool:
        """Tell whether a caller may do `action` (``kms:<Action>``) on `resource` (an ARN)."""
        statements = self.statements.get(access_key_id)
        return statements is None or any(statement.allows(action, resource) for statement in statements)


def read_policies(path: Path, account: str) -> Policies:
    """Read a policies file.

    Raises:
        UsageError: it cannot be read or has another shape.
    """
    try:
        users = orjson.loads(path.read_bytes())["users"]
        keys = [_read_key(user, account) for user in users]
        statements = [tuple(_read_statement(statement) for statement in user["allow"]) for user in users]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not a policies file ({type(error).__name__})") from None
    ids = [key.id for key in keys]
    return Policies(dict(zip(ids, keys, strict=True)), dict(zip(ids, statements, strict=True)))


def _read_key(user: dict[str, Any], account: str) -> AccessKey:
    token = user.get("security_token")
    return AccessKey(
        id=_text(user["access_key_id"]),
        secret=SecretValue(_text(user["access_key_secret"])),
        account=account,
        security_token=None if token is None else SecretValue(_text(token)),
        expires_at=user.get("expires_at"),
    )


def _read_statement(statement: dict[str, Any]) -> Statement:
    return Statement(_texts(statement["action"]), _texts(statement["resource"]))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(item) for item in (value if isinstance(value, list) else [value]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
