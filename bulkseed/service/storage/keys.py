"""Customer master keys: their records, versions and aliases, and which of them may protect a secret.

A secret without `EncryptionKeyId` is sealed under a key that the service makes for the account and region
(CreateSecret page), one per KMS instance, because key and secret must belong to the same one (API metadata).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from bulkseed.model import Fault
from bulkseed.service.access.account import Account
from bulkseed.service.storage.envelope import Envelope
from bulkseed.service.storage.specs import ENCRYPT, SPECS, SYMMETRIC
from bulkseed.service.storage.store import Store
from bulkseed.wire.fault import fault, invalid_parameter

SERVICE_CREATOR = "SecretsManager"
UNUSABLE = {"Disabled": "Rejected.Disabled", "PendingDeletion": "Rejected.PendingDeletion"}

_COLUMNS = (
    *("id", "spec", "usage", "state", "creator", "created", "version", "description", "instance_id", "tags"),
    *("policy", "delete_at", "rotation_seconds", "next_rotation", "last_rotation", "protection"),
)
_SELECT = f"SELECT {', '.join(_COLUMNS)}, mark FROM keys "  # noqa: S608  # the names above
_INSERT = f"INSERT INTO keys ({', '.join(_COLUMNS)}, mark) VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"  # noqa: S608  # likewise
_UPDATE = f"UPDATE keys SET {', '.join(f'{c} = ?' for c in _COLUMNS)}, mark = ? WHERE id = ?"  # noqa: S608  # likewise


@dataclass(slots=True)
class Key:
    """A key without its material. Times are epoch seconds.

    `version` is the primary version. `protection` is the reason against deletion, None without protection.
    """

    spec: str
    usage: str
    creator: str
    created: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "Enabled"
    version: str = field(default_factory=lambda: str(uuid.uuid4()))
    description: str | None = None
    instance_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    policy: str | None = None
    delete_at: float | None = None
    rotation_seconds: int | None = None
    next_rotation: float | None = None
    last_rotation: float | None = None
    protection: str | None = None


class Keys:
    """The account's keys; records that were read are kept in memory."""

    def __init__(self, store: Store, envelope: Envelope, account: Account) -> None:
        self._store = store
        self._envelope = envelope
        self._account = account
        self._known: dict[str, Key] = {}
        self._service_keys: dict[str | None, str] = {}

    def resolve(self, id_arn_or_alias: str) -> str:
        """Return the key id that a caller means; an alias that is bound to no key stays as it is."""
        name = self._account.alias_name(id_arn_or_alias)
        if not name.startswith("alias/"):
            return self._account.key_id(id_arn_or_alias)
        return self.alias(name) or name

    def get(self, id_arn_or_alias: str) -> Key | None:
        """Return a key."""
        key = self._known.get(id_arn_or_alias)
        if key is not None:
            return key
        key_id = self.resolve(id_arn_or_alias)
        key = self._known.get(key_id) or next(self.select("WHERE id = ?", key_id), None)
        if key is not None:
            self._known[key_id] = key
        return key

    def find(self, id_arn_or_alias: str) -> Key | Fault:
        """Return a key, or the fault that tells which name does not exist."""
        key = self.get(id_arn_or_alias)
        if key is not None:
            return key
        alias = self._account.alias_name(id_arn_or_alias).startswith("alias/")
        return fault("Forbidden.AliasNotFound" if alias else "Forbidden.KeyNotFound")

    def select(self, where: str, *parameters: Any) -> Iterator[Key]:
        """Return keys; `where` is a clause of our own, never text of a caller."""
        for row in self._store.read(_SELECT + where, *parameters):
            key = Key(**dict(zip(_COLUMNS, row[:-1], strict=True)))
            key.tags = orjson.loads(row[_COLUMNS.index("tags")])
            self._store.marks.check(row[-1], *_marked(key))
            yield key

    def create(self, key: Key) -> Key:
        """Store a new key with fresh material."""
        self._store.write(_INSERT, *self._values(key))
        self._envelope.add_material(key.id, key.version, SPECS[key.spec].make(), key.created)
        self._known[key.id] = key
        return key

    def save(self, key: Key) -> None:
        """Store the changes of a key."""
        self._store.write(_UPDATE, *self._values(key), key.id)

    def add_version(self, key: Key, now: float) -> None:
        """Give a key fresh material, under which it encrypts from now on; older ciphertexts still open."""
        key.version = str(uuid.uuid4())
        self._envelope.add_material(key.id, key.version, SPECS[key.spec].make(), now)
        key.last_rotation = now
        if key.rotation_seconds:
            key.next_rotation = now + key.rotation_seconds
        self.save(key)

    def alias(self, name: str) -> str | None:
        """Return the id of the key that an alias is bound to."""
        row = self._store.read("SELECT key_id FROM aliases WHERE name = ?", name).fetchone()
        return None if row is None else row[0]

    def set_alias(self, name: str, key_id: str | None) -> None:
        """Bind an alias to a key, or take it away."""
        if key_id is None:
            self._store.write("DELETE FROM aliases WHERE name = ?", name)
        else:
            self._store.write("INSERT OR REPLACE INTO aliases VALUES (?, ?)", name, key_id)

    def aliases(self, key_id: str | None = None) -> list[tuple[str, str]]:
        """Return names and key ids of all aliases, or of those of a key."""
        sql = "SELECT name, key_id FROM aliases WHERE ? IS NULL OR key_id = ? ORDER BY name"
        return self._store.read(sql, key_id, key_id).fetchall()

    def versions(self, key: Key) -> list[tuple[str, float]]:
        """Return ids and creation times of a key's versions, newest first."""
        sql = "SELECT id, created FROM key_versions WHERE key_id = ? ORDER BY created DESC, id"
        return self._store.read(sql, key.id).fetchall()

    def key_of_version(self, version: str) -> Key | None:
        """Return the key that a version belongs to."""
        row = self._store.read("SELECT key_id FROM key_versions WHERE id = ?", version).fetchone()
        return None if row is None else self.get(row[0])

    def remove(self, key: Key) -> None:
        """Delete a key for good: what it protects cannot be opened any more."""
        self._store.write("DELETE FROM keys WHERE id = ?", key.id)
        self._store.scrub()
        self._envelope.forget()
        self.forget()

    def for_secret(self, id_arn_or_alias: str | None, instance_id: str | None, now: float) -> Key | Fault:
        """Return the key that is to protect a new secret, or why it may not."""
        if id_arn_or_alias is None:
            key: Key | None = self._service_key(instance_id, now)
        else:
            key = self.get(id_arn_or_alias)
        if key is None:
            return fault("Forbidden.ResourceNotFound")
        if key.spec not in SYMMETRIC:
            return invalid_parameter("EncryptionKeyId", "The key is not symmetric.")
        if key.instance_id != instance_id:
            return invalid_parameter("EncryptionKeyId", "It belongs to another KMS instance.")
        return self.refusal(key.id) or key

    def ready_for_secret(self, key_id: str | None, instance_id: str | None) -> Key | None:
        """Return the key that is to protect a new secret, if it is at hand; None: ask `for_secret`."""
        if key_id is None:
            key_id = self._service_keys.get(instance_id)
        key = None if key_id is None else self._known.get(key_id)
        if key is None or key.state in UNUSABLE or key.spec not in SYMMETRIC:
            return None
        return key if key.instance_id == instance_id else None

    def refusal(self, key_id: str) -> Fault | None:
        """Return the fault that using a key in its present state is answered with, if any."""
        key = self.get(key_id)
        if key is None:
            return fault("Forbidden.KeyNotFound")
        code = UNUSABLE.get(key.state)
        return None if code is None else fault(code)

    def rotate_due(self, now: float) -> None:
        """Give fresh material to the keys whose rotation is due."""
        for key in list(self.select("WHERE next_rotation <= ? AND state = 'Enabled'", now)):
            with self._store.savepoint():
                self.add_version(self._known.setdefault(key.id, key), now)

    def forget(self) -> None:
        """Read records anew: after a rollback."""
        self._known.clear()
        self._service_keys.clear()

    def _service_key(self, instance_id: str | None, now: float) -> Key | None:
        key_id = self._service_keys.get(instance_id)
        if key_id is not None:
            return self.get(key_id)
        key = next(self.select("WHERE creator = ? AND instance_id IS ?", SERVICE_CREATOR, instance_id), None)
        if key is None:
            key = self.create(
                Key(
                    spec="Aliyun_AES_256",
                    usage=ENCRYPT,
                    creator=SERVICE_CREATOR,
                    created=now,
                    description="created by Secrets Manager for secrets without a key of their own",
                    instance_id=instance_id,
                )
            )
        self._service_keys[instance_id] = key.id
        return key

    def _values(self, key: Key) -> tuple[Any, ...]:
        values = [getattr(key, column) for column in _COLUMNS]
        values[_COLUMNS.index("tags")] = orjson.dumps(key.tags).decode()
        return (*values, self._store.marks.of(*_marked(key)))


def _marked(k: Key) -> tuple[str | float | None, ...]:
    delete_at = None if k.delete_at is None else float(k.delete_at)  # as SQLite gives it back
    fixed = (k.id, k.spec, k.usage, k.creator, k.instance_id)
    return (*fixed, k.state, k.version, k.policy, delete_at, k.protection)
