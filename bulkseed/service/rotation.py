"""Rotation of managed secrets: now, when due, and after a crash.

A rotation has two steps. `begin` makes a new password and stores it, sealed, as a version that nobody sees
yet; `finish` makes it ACSCurrent. Between the two, the shell changes the password in the database, if the
instance is mapped to a real one; otherwise the instance is simulated and both steps happen at once. Whatever
stops in between is taken up again with the same password, so that database and secret agree in the end.

SingleUser resets the account's password. DoubleUsers resets the account of ACSPrevious and switches the two
(CreateSecret page): of a new secret, the first account is ACSCurrent's, the second ACSPrevious's.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import orjson

from bulkseed.model import Fault, SecretValue
from bulkseed.service.access.quota import Window
from bulkseed.service.passwords import LETTERS_AND_DIGITS, ROTATION_CLASSES, random_password
from bulkseed.service.storage.envelope import TamperedError, Vault
from bulkseed.service.storage.keys import Keys
from bulkseed.service.storage.stages import VERSIONS_KEPT, make_room, move_stage
from bulkseed.service.storage.store import CURRENT, PREVIOUS, Secret, Store, Version
from bulkseed.wire.fault import fault
from bulkseed.wire.validation.secret_types import json_object

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
CALLS_PER_HOUR = 50  # API metadata: RotateSecret


@dataclass(frozen=True, slots=True)
class Job:
    """One password to change in a real database; `asked`: a caller waits for it."""

    secret_name: str
    instance_id: str
    account: str
    password: SecretValue
    asked: bool


@dataclass(slots=True)
class Rotation:
    """Rotates the secrets of a store; `real` are the instances that stand for real databases."""

    store: Store
    vault: Vault
    keys: Keys
    real: Collection[str] = ()
    calls: Window = field(default_factory=lambda: Window(CALLS_PER_HOUR, 3600.0))
    jobs: list[Job] = field(default_factory=list)
    running: set[str] = field(default_factory=set)

    def begin(self, secret: Secret, version_id: str, now: float, *, asked: bool) -> Fault | None:
        """Rotate `secret` to a new version, or say why that is impossible.

        A rotation that was left unfinished goes on with its password under the new version id.
        """
        if refusal := self.keys.refusal(secret.key_id):
            return refusal
        try:
            value = self._unfinished(secret) or self._next_value(secret)
        except TamperedError:
            return fault("InternalFailure", "The stored value fails its integrity check.")
        assert secret.id is not None  # noqa: S101 - it is stored
        number, sealed = self.vault.seal(secret.key_id, (secret.name, version_id, "text"), value)
        self.store.add_version(Version(secret.id, version_id, "text", number, sealed, now))
        secret.rotating_to, secret.next_rotation = version_id, now
        self.store.save_secret(secret)
        instance = instance_of(secret)
        if secret.type == "Rds" and instance in self.real:
            account = _account(value)
            name, password = account["AccountName"], SecretValue(account["AccountPassword"])
            self.running.add(secret.name)
            self.jobs.append(Job(secret.name, instance, name, password, asked))
        else:
            log.warning("rotation of %s: instance %s is simulated", secret.name, instance)
            self.finish(secret.name, now, changed=True)
        return None

    def rotate_due(self, now: float) -> None:
        """Begin what is due, and take up again what a failure or a crash left unfinished."""
        for secret in list(self.store.secrets("WHERE next_rotation <= ? AND delete_at IS NULL", now)):
            if secret.name in self.running:
                continue
            if self.begin(secret, secret.rotating_to or uuid.uuid4().hex, now, asked=False):
                self._invalidate(secret, now)

    def finish(self, name: str, now: float, *, changed: bool) -> None:
        """Put the new version in force, or keep the old one and try again later."""
        self.running.discard(name)
        secret = self.store.secret(name)
        if secret is None or secret.rotating_to is None:
            return
        if not changed:
            self._invalidate(secret, now)
            return
        stages = dict(secret.stages)
        move_stage(stages, CURRENT, secret.rotating_to)
        make_room(self.store, secret, stages, VERSIONS_KEPT)
        seconds = secret.rotation_seconds
        secret.stages, secret.rotating_to, secret.updated = stages, None, now
        secret.rotation_state = "Enabled" if seconds else "Disabled"
        secret.last_rotation, secret.next_rotation = now, now + seconds if seconds else None
        self.store.save_secret(secret)

    def take_jobs(self) -> list[Job]:
        """Return the jobs that have come up since the last call."""
        jobs, self.jobs = self.jobs, []
        return jobs

    def forget(self) -> None:
        """Drop what a rollback may have undone; what is stored is found again when it is due.

        A job that runs twice sets the same password twice.
        """
        self.running.clear()
        self.jobs.clear()

    def _invalidate(self, secret: Secret, now: float) -> None:
        secret.rotation_state = "Invalid"
        secret.next_rotation = now + RETRY_SECONDS
        self.store.save_secret(secret)

    def _unfinished(self, secret: Secret) -> str | None:
        if secret.rotating_to is None:
            return None
        value = self._open(secret, secret.rotating_to)
        self.store.remove_version(secret, secret.rotating_to)
        return value

    def _next_value(self, secret: Secret) -> str:
        current = json_object(self._open(secret, secret.stages[CURRENT])) or {}
        config = json_object(secret.extended_config or "") or {}
        if secret.type == "Rds" and config.get("SecretSubType") == "DoubleUsers":
            return orjson.dumps({"Accounts": [self._other_account(secret, current) | _fresh()]}).decode()
        return orjson.dumps(_renewed(secret.type, current, config)).decode()

    def _other_account(self, secret: Secret, current: dict[str, Any]) -> dict[str, str]:
        """Return the account that ACSPrevious refers to."""
        previous = secret.stages.get(PREVIOUS)
        if previous is None:
            accounts = current["Accounts"]
            return dict(accounts[1] if len(accounts) > 1 else accounts[0])
        return _account(self._open(secret, previous))

    def _open(self, secret: Secret, version_id: str) -> str:
        version = self.store.version(secret, version_id)
        if version is None:
            raise TamperedError
        return self.vault.open(version.data_key, (secret.name, version.id, version.data_type), version.sealed)


def instance_of(secret: Secret) -> str:
    """Return the id of the instance whose account a secret manages."""
    config = json_object(secret.extended_config or "") or {}
    ids = (config.get(name) for name in ("DBInstanceId", "DBClusterId", "InstanceId"))
    return next((str(instance) for instance in ids if instance), secret.type)


def _account(value: str) -> dict[str, str]:
    accounts: list[dict[str, str]] = (json_object(value) or {})["Accounts"]
    return dict(accounts[0])


def _fresh() -> dict[str, str]:
    return {"AccountPassword": random_password(ROTATION_CLASSES)}


def _renewed(kind: str, current: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return the next value of a secret; for types other than Rds this is a simulation."""
    if kind == "Rds":
        first, *others = current["Accounts"]
        return {"Accounts": [first | _fresh(), *others]}
    if kind == "RAMCredentials":
        sizes = {"AccessKeyId": 24, "AccessKeySecret": 30}
        key = {name: random_password(LETTERS_AND_DIGITS, size) for name, size in sizes.items()}
        return {"AccessKeys": [key]}
    if kind == "ECS":
        secret_field = "PrivateKey" if "PrivateKey" in current else "Password"
        return current | {secret_field: random_password(ROTATION_CLASSES)}
    return {"AccountName": config.get("AccountName"), **_fresh()}
