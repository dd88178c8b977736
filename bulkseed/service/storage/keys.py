"""Customer master keys: their records, and which of them may protect a secret.

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
from bulkseed.service.storage.envelope import Vault
from bulkseed.service.storage.store import Store
from bulkseed.wire.fault import fault, invalid_parameter

SERVICE_CREATOR = "SecretsManager"
SYMMETRIC = frozenset({"Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128", "Aliyun_SM4"})
UNUSABLE = {"Disabled": "Rejected.Disabled", "PendingDeletion": "Rejected.PendingDeletion"}

_COLUMNS = "id, spec, usage, state, creator, created, description, instance_id, tags, delete_at"


@dataclass(slots=True)
class Key:
    """A key without its material. Times are epoch seconds."""

    id: str
    spec: str
    usage: str
    state: str
    creator: str
    created: float
    description: str | None = None
    instance_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    delete_at: float | None = None


class Keys:
    """The account's keys; records that were read are kept in memory."""

    def __init__(self, store: Store, vault: Vault, account: Account) -> None:
        self._store = store
        self._vault = vault
        self._account = account
        self._known: dict[str, Key] = {}
        self._service_keys: dict[str | None, str] = {}

    def get(self, id_or_arn: str) -> Key | None:
        """Return a key."""
        key_id = self._account.key_id(id_or_arn)
        key = self._known.get(key_id)
        if key is None:
            key = next(self.select("WHERE id = ?", key_id), None)
            if key is not None:
                self._known[key_id] = key
        return key

    def select(self, where: str, *parameters: Any) -> Iterator[Key]:
        """Return keys; `where` is a clause of our own, never text of a caller."""
        for row in self._store.read(f"SELECT {_COLUMNS} FROM keys {where}", *parameters):  # noqa: S608 - see above
            key = Key(*row)
            key.tags = orjson.loads(row[8])
            yield key

    def create(self, key: Key) -> Key:
        """Store a new key with fresh material."""
        self._store.write(
            f"INSERT INTO keys ({_COLUMNS}, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - ours
            *(key.id, key.spec, key.usage, key.state, key.creator, key.created, key.description),
            *(key.instance_id, orjson.dumps(key.tags).decode(), key.delete_at, self._vault.new_cmk(key.id)),
        )
        self._known[key.id] = key
        return key

    def save(self, key: Key) -> None:
        """Store what can change of a key: state, deletion, tags."""
        self._store.write(
            "UPDATE keys SET state = ?, delete_at = ?, tags = ? WHERE id = ?",
            *(key.state, key.delete_at, orjson.dumps(key.tags).decode(), key.id),
        )

    def remove(self, key: Key) -> None:
        """Delete a key for good: what it protects cannot be opened any more."""
        self._store.write("DELETE FROM data_keys WHERE key_id = ?", key.id)
        self._store.write("DELETE FROM keys WHERE id = ?", key.id)
        self._vault.forget()
        self.forget()

    def for_secret(self, id_or_arn: str | None, instance_id: str | None, now: float) -> Key | Fault:
        """Return the key that is to protect a new secret, or why it may not."""
        key = self._service_key(instance_id, now) if id_or_arn is None else self.get(id_or_arn)
        if key is None:
            return fault("Forbidden.ResourceNotFound")
        if key.spec not in SYMMETRIC:
            return invalid_parameter("EncryptionKeyId", "The key is not symmetric.")
        if key.instance_id != instance_id:
            return invalid_parameter("EncryptionKeyId", "It belongs to another KMS instance.")
        return self.refusal(key.id) or key

    def refusal(self, key_id: str) -> Fault | None:
        """Return the fault that using a key in its present state is answered with, if any."""
        key = self.get(key_id)
        if key is None:
            return fault("Forbidden.KeyNotFound")
        code = UNUSABLE.get(key.state)
        return None if code is None else fault(code)

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
                    id=str(uuid.uuid4()),
                    spec="Aliyun_AES_256",
                    usage="ENCRYPT/DECRYPT",
                    state="Enabled",
                    creator=SERVICE_CREATOR,
                    created=now,
                    description="created by Secrets Manager for secrets without a key of their own",
                    instance_id=instance_id,
                )
            )
        self._service_keys[instance_id] = key.id
        return key
