"""Sealing: a master key wraps the CMKs, a CMK wraps its data key, a data key seals values (AES-256-GCM).

Every seal is bound to what it is for (the associated data names account, region, secret, version), so rows
that are swapped on disk do not open. Unwrapped keys are kept in memory only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bulkseed.errors import UsageError
from bulkseed.service.access.account import Account
from bulkseed.service.storage.store import Store

_NONCE = 12
_KEY = 32


class TamperedError(Exception):
    """Something sealed does not open: it was changed, or moved to another place."""


class Vault:
    """Seals and opens, with the keys that `store` holds wrapped."""

    def __init__(self, store: Store, master: bytes, account: Account) -> None:
        self._store = store
        self._master = AESGCM(master)
        self._scope = (account.id, account.region)
        self._cmks: dict[str, AESGCM] = {}
        self._data_keys: dict[int, AESGCM] = {}
        self._data_key_of: dict[str, int] = {}
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

    def new_cmk(self, key_id: str) -> bytes:
        """Return fresh key material for a CMK, wrapped."""
        return _seal(self._master, os.urandom(_KEY), self._aad("key", key_id))

    def seal(self, key_id: str, identity: Sequence[str], text: str) -> tuple[int, bytes]:
        """Seal a value under the data key of a CMK; return the data key's id and the sealed bytes."""
        number = self._data_key_of.get(key_id) or self._find_data_key(key_id)
        return number, _seal(self._data_keys[number], text.encode(), self._aad(*identity))

    def open(self, data_key: int, identity: Sequence[str], sealed: bytes) -> str:
        """Open a value.

        Raises:
            TamperedError: it is not what was sealed for this identity.
        """
        if data_key not in self._data_keys:
            row = self._store.read("SELECT key_id, sealed FROM data_keys WHERE id = ?", data_key).fetchone()
            if row is None:
                raise TamperedError
            self._data_keys[data_key] = AESGCM(
                _open(self._cmk(row[0]), row[1], self._aad("data key", row[0]))
            )
        return _open(self._data_keys[data_key], sealed, self._aad(*identity)).decode()

    def wrap(self, key_id: str, plaintext: bytes, context: str) -> bytes:
        """Encrypt under the CMK itself (GenerateDataKey)."""
        return _seal(self._cmk(key_id), plaintext, self._aad("data", key_id, context))

    def forget(self) -> None:
        """Drop unwrapped keys: after a rollback, when a stored key may be gone."""
        self._cmks.clear()
        self._data_keys.clear()
        self._data_key_of.clear()

    def _find_data_key(self, key_id: str) -> int:
        row = self._store.read(
            "SELECT id, sealed FROM data_keys WHERE key_id = ? ORDER BY id DESC LIMIT 1", key_id
        ).fetchone()
        aad = self._aad("data key", key_id)
        if row is None:
            plain = os.urandom(_KEY)
            sealed = _seal(self._cmk(key_id), plain, aad)
            number = self._store.write(
                "INSERT INTO data_keys (key_id, sealed) VALUES (?, ?)", key_id, sealed
            ).lastrowid
            assert number is not None  # noqa: S101 - an INSERT has a row id
        else:
            number, plain = row[0], _open(self._cmk(key_id), row[1], aad)
        self._data_keys[number] = AESGCM(plain)
        self._data_key_of[key_id] = number
        return number

    def _cmk(self, key_id: str) -> AESGCM:
        cmk = self._cmks.get(key_id)
        if cmk is None:
            row = self._store.read("SELECT sealed FROM keys WHERE id = ?", key_id).fetchone()
            if row is None:
                raise TamperedError
            cmk = self._cmks[key_id] = AESGCM(_open(self._master, row[0], self._aad("key", key_id)))
        return cmk


def _seal(key: AESGCM, plaintext: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, plaintext, aad)


def _open(key: AESGCM, sealed: bytes, aad: bytes) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], aad)
    except (InvalidTag, ValueError):
        raise TamperedError from None
