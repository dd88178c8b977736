"""What RAM users may do. The root caller may do everything.

Two kinds of policies count (overview of secret policies): those of the caller, which a file gives, and those
of a secret or key, which the API sets. A caller may do what one of them allows and none of them denies.

    {"users": [{"name": "ci", "access_key_id": "...", "access_key_secret": "...",
                "allow": [{"action": ["kms:CreateSecret", "kms:Get*"],
                           "resource": "acs:kms:*:*:secret/ci/*"}],
                "deny": [{"action": "kms:DeleteSecret", "resource": "*"}]}]}

A user with `security_token` (and `expires_at`, epoch seconds) stands for a temporary key. ``*`` is the only
wildcard (RAM: policy elements). Conditions are not evaluated: a statement with one denies, and never allows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from bulkseed.errors import UsageError
from bulkseed.model import SecretValue
from bulkseed.wire.signing.verify import AccessKey


@dataclass(frozen=True, slots=True)
class Statement:
    """Allows or denies actions on resources; both are patterns."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User:
    """A RAM user: name, access key and statements."""

    name: str
    key: AccessKey
    statements: tuple[Statement, ...]

    @property
    def principal(self) -> str:
        """Return how the policy of a secret or key names this user."""
        return f"acs:ram::{self.key.account}:user/{self.name}"


@dataclass(frozen=True, slots=True)
class Policies:
    """The RAM users by access key id; whoever is not among them is the root caller."""

    users: Mapping[str, User] = field(default_factory=dict)

    def allow(self, access_key_id: str, action: str, resource: str, policy: str | None = None) -> bool:
        """Tell whether a caller may do `action` (``kms:<Action>``) on `resource` (an ARN).

        `policy` is the one of the secret or key itself, as JSON text.
        """
        user = self.users.get(access_key_id)
        if user is None:
            return True
        decisions = {
            statement.allows
            for statement in user.statements
            if _fits(action, statement.actions) and _fits(resource, statement.resources)
        }
        if policy:
            decisions |= _resource_decisions(policy, user.principal, action)
        return decisions == {True}


@lru_cache(maxsize=1024)
def _resource_decisions(policy: str, principal: str, action: str) -> frozenset[bool]:
    """Return what the statements of a secret's or key's policy say; its form was checked when it was set."""
    decisions = set()
    for statement in orjson.loads(policy)["Statement"]:
        actions, principals = statement["Action"], statement["Principal"].get("RAM", [])
        if _fits(action, _listed(actions)) and _fits(principal, _listed(principals)):
            allows = statement["Effect"] == "Allow"
            if not (allows and statement.get("Condition")):
                decisions.add(allows)
    return frozenset(decisions)


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))


def _fits(text: str, patterns: tuple[str, ...]) -> bool:
    return any(_pattern(pattern).fullmatch(text) for pattern in patterns)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def read_policies(path: Path, account: str) -> Policies:
    """Read a policies file.

    Raises:
        UsageError: it cannot be read, has another shape, or says something twice.
    """
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_unique)
        users = [_read_user(user, account) for user in _fields(document, {"users"})["users"]]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except _PolicyError as error:
        raise UsageError(f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} is not a policies file ({type(error).__name__})") from None
    by_id = {user.key.id: user for user in users}
    if len(by_id) != len(users):
        raise UsageError(f"{path}: two users have the same access_key_id")
    return Policies(by_id)


class _PolicyError(Exception):
    """What is wrong with a policies file, in words without any of its values."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _PolicyError("a key is given twice in one object")
    return document


def _fields(document: Mapping[str, Any], known: set[str]) -> Mapping[str, Any]:
    if unknown := document.keys() - known:
        raise _PolicyError(f"unknown: {', '.join(sorted(unknown))}; known here: {', '.join(sorted(known))}")
    return document


def _read_user(user: Mapping[str, Any], account: str) -> User:
    known = {"name", "access_key_id", "access_key_secret", "security_token", "expires_at", "allow", "deny"}
    _fields(user, known)
    token, expires_at = user.get("security_token"), user.get("expires_at")
    if expires_at is not None and type(expires_at) not in (int, float):
        raise TypeError
    key = AccessKey(
        id=_text(user["access_key_id"]),
        secret=SecretValue(_text(user["access_key_secret"])),
        account=account,
        security_token=None if token is None else SecretValue(_text(token)),
        expires_at=expires_at,
    )
    statements = [_read_statement(statement, allows=True) for statement in user.get("allow", [])]
    statements += [_read_statement(statement, allows=False) for statement in user.get("deny", [])]
    return User(_text(user.get("name", key.id)), key, tuple(statements))


def _read_statement(statement: Mapping[str, Any], *, allows: bool) -> Statement:
    _fields(statement, {"action", "resource"})
    return Statement(allows, _texts(statement["action"]), _texts(statement["resource"]))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(item) for item in (value if isinstance(value, list) else [value]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
