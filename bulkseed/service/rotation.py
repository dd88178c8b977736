"""Rotation of managed secrets: now, when due, and after a crash.

A rotation has two steps. `begin` makes a new password and stores it, sealed, as a version that nobody sees
yet; `finish` makes it ACSCurrent. Between the two, the shell changes the password in the database, if the
instance is mapped to a real one; otherwise the instance is simulated and both steps happen at once. Whatever
stops in between is taken up again with the same password, so that database and secret agree in the end.

SingleUser resets the account's password. DoubleUsers resets the account of ACSPrevious, which is made first
if there is none, and switches the two (CreateSecret page). The account that changes passwords in a database
is never rotated itself: that would lock the service out.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkseed.model import Fault, SecretValue
from bulkseed.service.access.quota import Window
from bulkseed.service.managed_values import next_value
from bulkseed.service.storage.envelope import Envelope
from bulkseed.service.storage.keys import Keys
from bulkseed.service.storage.marks import TamperedError
from bulkseed.service.storage.stages import VERSIONS_KEPT, make_room, move_stage
from bulkseed.service.storage.store import CURRENT, PREVIOUS, Store, StoredSecret, Version
from bulkseed.wire.fault import fault
from bulkseed.wire.validation.secret_types import json_object

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """One password to change in a real database.

    An account that does not exist is made if `like` names one whose rights it gets. `asked`: a caller waits.
    """

    secret_name: str
    instance_id: str
    account: str
    password: SecretValue
    like: str | None
    asked: bool


@dataclass(slots=True)
class Rotation:
    """Rotates the secrets of a store.

    `administrators` maps the instances that stand for real databases to the accounts that change passwords in
    them. `calls` limits RotateSecret, None without a ceiling.
    """

    store: Store
    envelope: Envelope
    keys: Keys
    administrators: Mapping[str, str] = field(default_factory=dict)
    calls: Window | None = None
    jobs: list[PasswordChange] = field(default_factory=list)
    running: set[str] = field(default_factory=set)

    def begin(self, secret: StoredSecret, version_id: str, now: float, *, asked: bool) -> Fault | None:
        """Rotate `secret` to a new version, or say why that is impossible.

        A rotation that was left unfinished goes on with its password under the new version id.
        """
        if refusal := self.keys.refusal(secret.key_id):
            return refusal
        config = json_object(secret.extended_config or "") or {}
        try:
            value = self._unfinished(secret) or self._next_value(secret, config, now)
        except TamperedError:
            return fault("InternalFailure", "The stored value fails its integrity check.")
        key = self.keys.get(secret.key_id)
        assert secret.id is not None and key is not None  # noqa: S101, PT018  # stored, and looked at above
        number, sealed = self.envelope.seal(key.id, key.version, secret.identity(version_id, "text"), value)
        self.store.add_version(Version(secret.id, version_id, "text", number, sealed, now))
        secret.rotating_to, secret.next_rotation = version_id, now
        self.store.save_secret(secret)
        instance = instance_of(secret.type, config)
        if secret.type == "Rds" and instance in self.administrators:
            account = json_object(value) or {}
            name, password = account["AccountName"], SecretValue(account["AccountPassword"])
            like = None
            if config.get("SecretSubType") == "DoubleUsers":
                like = (json_object(self._open(secret, secret.stages[CURRENT])) or {})["AccountName"]
            self.running.add(secret.name)
            self.jobs.append(PasswordChange(secret.name, instance, name, password, like, asked))
        else:
            log.warning("rotation of %s: instance %s is simulated", secret.name, instance)
            self.finish(secret.name, now, changed=True)
        return None

    def administers(self, config: Mapping[str, Any], accounts: Collection[str]) -> bool:
        """Tell whether one of `accounts` is the one that changes passwords in the real database."""
        return self.administrators.get(instance_of("Rds", config)) in accounts

    def rotate_due(self, now: float) -> None:
        """Begin what is due, and take up again what a failure or a crash left unfinished."""
        for secret in list(self.store.secrets("WHERE next_rotation <= ? AND delete_at IS NULL", now)):
            if secret.name in self.running:
                continue
            with self.store.savepoint():
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

    def take_jobs(self) -> list[PasswordChange]:
        """Return the jobs that have come up since the last call."""
        jobs, self.jobs = self.jobs, []
        return jobs

    def forget(self) -> None:
        """Drop what a rollback may have undone; what is stored is found again when it is due.

        A job that runs twice sets the same password twice.
        """
        self.running.clear()
        self.jobs.clear()

    def _invalidate(self, secret: StoredSecret, now: float) -> None:
        secret.rotation_state = "Invalid"
        secret.next_rotation = now + RETRY_SECONDS
        self.store.save_secret(secret)

    def _unfinished(self, secret: StoredSecret) -> str | None:
        if secret.rotating_to is None:
            return None
        value = self._open(secret, secret.rotating_to)
        self.store.remove_version(secret, secret.rotating_to)
        return value

    def _next_value(self, secret: StoredSecret, config: Mapping[str, Any], now: float) -> str:
        current = self._open(secret, secret.stages[CURRENT])
        previous = self._open(secret, secret.stages[PREVIOUS]) if PREVIOUS in secret.stages else None
        return next_value(secret.type, config, current, previous, now)

    def _open(self, secret: StoredSecret, version_id: str) -> str:
        version = self.store.version(secret, version_id)
        if version is None:
            raise TamperedError
        return self.envelope.open(
            version.data_key, secret.identity(version.id, version.data_type), version.sealed
        )


def instance_of(kind: str, config: Mapping[str, Any]) -> str:
    """Return the id of the instance whose account a secret manages."""
    ids = (config.get(name) for name in ("DBInstanceId", "DBClusterId", "InstanceId"))
    return next((str(instance) for instance in ids if instance), kind)
