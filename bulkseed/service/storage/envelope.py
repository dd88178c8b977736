"""Sealing (AES-256-GCM): a master key wraps the material of CMKs, a CMK data keys, a data key seals values.

Every seal is bound to what it is for: the associated data names account, region, secret, generation and
version. So rows that are swapped on disk do not open, and neither does a row of a secret that was deleted and
made again. Unwrapped keys are kept in memory only. A data key seals at most 2^30 values, far below where
random nonces of 96 bits repeat (NIST SP 800-38D: 2^32).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bulkseed.errors import UsageError
from bulkseed.service.access.account import Account
from bulkseed.service.storage.marks import TamperedError
from bulkseed.service.storage.randomness import random_bytes
from bulkseed.service.storage.store import Store

SEALS_MAX = 2**30
SEALS_STEP = 2**20
"""Seals are counted on disk in steps: a step that is begun counts as used up after a restart."""

_NONCE = 12
_KEY = 32
_BLOB_FORMAT = b"\1"


class Envelope:
    """Seals and opens, with the keys that `store` holds wrapped."""

    def __init__(self, store: Store, master: bytes, account: Account) -> None:
        self._store = store
        self._master = AESGCM(master)
        self._scope = (account.id, account.region)
        self._material: dict[str, bytes] = {}
        self._data_keys: dict[int, AESGCM] = {}
        self._data_key_of: dict[str, int] = {}
        self._seals_left: dict[str, int] = {}
        self._check_master()

    def _check_master(self) -> None:
        row = self._store.read("SELECT value FROM meta WHERE name = 'check'").fetchone()
        if row is None:
            self._store.write(
                "INSERT INTO meta VALUES ('check', ?)", _seal(self._master, b"", self._aad("check"))
            )
            self._store.commit()
            return
        try:
            _open(self._master, row[0], self._aad("check"))
        except TamperedError:
            raise UsageError("the data directory belongs to another account, region or master key") from None

    def _aad(self, *identity: str) -> bytes:
        return orjson.dumps((*self._scope, *identity))

    def add_material(self, key_id: str, version: str, material: bytes, now: float) -> None:
        """Store the material of a version of a CMK, wrapped."""
        sealed = _seal(self._master, material, self._aad("key", key_id, version))
        self._store.write("INSERT INTO key_versions VALUES (?, ?, ?, ?)", version, key_id, now, sealed)

    def material(self, version: str) -> bytes:
        """Return the material of a version of a CMK.

        Raises:
            TamperedError: there is none, or it is not what was stored.
        """
        material = self._material.get(version)
        if material is None:
            row = self._store.read("SELECT key_id, sealed FROM key_versions WHERE id = ?", version).fetchone()
            if row is None:
                raise TamperedError
            material = _open(self._master, row[1], self._aad("key", row[0], version))
            self._material[version] = material
        return material

    def seal(self, key_id: str, key_version: str, identity: Sequence[str], text: str) -> tuple[int, bytes]:
        """Seal a value under the data key of a CMK; return the data key's id and the sealed bytes."""
        left = self._seals_left.get(key_version, 0)
        if not left:
            left = self._next_seals(key_id, key_version)
        self._seals_left[key_version] = left - 1
        number = self._data_key_of[key_version]
        return number, _seal(self._data_keys[number], text.encode(), self._aad(*identity))

    def open(self, data_key: int, identity: Sequence[str], sealed: bytes) -> str:
        """Open a value.

        Raises:
            TamperedError: it is not what was sealed for this identity.
        """
        return _open(self._data_key(data_key), sealed, self._aad(*identity)).decode()

    def encrypt(self, version: str, plaintext: bytes, context: str) -> bytes:
        """Encrypt under a version of a CMK itself; the result names the version."""
        sealed = _seal(AESGCM(self.material(version)), plaintext, self._aad("data", version, context))
        return _BLOB_FORMAT + uuid.UUID(version).bytes + sealed

    def decrypt(self, blob: bytes, context: str) -> bytes:
        """Open what `encrypt` made.

        Raises:
            TamperedError: it is not, or its key or context is another one.
        """
        version = version_of(blob)
        if version is None:
            raise TamperedError
        return _open(AESGCM(self.material(version)), blob[17:], self._aad("data", version, context))

    def forget(self) -> None:
        """Drop unwrapped keys: after a rollback, when a stored key may be gone."""
        self._material.clear()
        self._data_keys.clear()
        self._data_key_of.clear()
        self._seals_left.clear()

    def _next_seals(self, key_id: str, key_version: str) -> int:
        """Choose the data key for the next seals, and count them as used on disk; return how many."""
        row = self._store.read(
            "SELECT id, seals FROM data_keys WHERE key_version = ? ORDER BY id DESC LIMIT 1", key_version
        ).fetchone()
        if row is not None and row[1] + SEALS_STEP <= SEALS_MAX:
            number = row[0]
            self._data_key(number)
            self._store.write("UPDATE data_keys SET seals = seals + ? WHERE id = ?", SEALS_STEP, number)
        else:
            number = self._new_data_key(key_id, key_version)
        self._data_key_of[key_version] = number
        return SEALS_STEP

    def _new_data_key(self, key_id: str, key_version: str) -> int:
        plain = os.urandom(_KEY)
        sealed = _seal(AESGCM(self.material(key_version)), plain, self._aad("data key", key_id, key_version))
        number = self._store.write(
            "INSERT INTO data_keys (key_id, key_version, seals, sealed) VALUES (?, ?, ?, ?)",
            *(key_id, key_version, SEALS_STEP, sealed),
        ).lastrowid
        assert number is not None  # noqa: S101  # an INSERT has a row id
        self._data_keys[number] = AESGCM(plain)
        return number

    def _data_key(self, number: int) -> AESGCM:
        key = self._data_keys.get(number)
        if key is None:
            row = self._store.read(
                "SELECT key_id, key_version, sealed FROM data_keys WHERE id = ?", number
            ).fetchone()
            if row is None:
                raise TamperedError
            aad = self._aad("data key", row[0], row[1])
            key = self._data_keys[number] = AESGCM(_open(AESGCM(self.material(row[1])), row[2], aad))
        return key


def version_of(blob: bytes) -> str | None:
    """Return the version of a CMK that made a ciphertext, None if it is none of ours."""
    return str(uuid.UUID(bytes=blob[1:17])) if blob[:1] == _BLOB_FORMAT and len(blob) >= 17 else None


def _seal(key: AESGCM, plaintext: bytes, aad: bytes) -> bytes:
    nonce = random_bytes(_NONCE)
    return nonce + key.encrypt(nonce, plaintext, aad)


def _open(key: AESGCM, sealed: bytes, aad: bytes) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], aad)
    except (InvalidTag, ValueError):
        raise TamperedError from None
