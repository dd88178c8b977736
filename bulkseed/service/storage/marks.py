"""Marks: they authenticate metadata that decides over values, so that a row changed on disk is noticed."""

from __future__ import annotations

import hmac
from hashlib import blake2b

import orjson

from bulkseed.service.access.account import Account

_SIZE = 16

TAMPERED = "A stored record fails its integrity check."
"""What a caller is told."""


class TamperedError(Exception):
    """A stored record is not what was stored: it was changed, or moved to another place."""


class Marks:
    """Makes and checks marks with a key that comes from the master key."""

    def __init__(self, master: bytes, account: Account) -> None:
        scope = f"{account.id}\n{account.region}".encode()
        self._key = blake2b(scope, key=master, digest_size=32, person=b"marks").digest()

    def of(self, *fields: str | float | None) -> bytes:
        """Return the mark of a record."""
        return blake2b(orjson.dumps(fields), key=self._key, digest_size=_SIZE).digest()

    def check(self, mark: bytes, *fields: str | float | None) -> None:
        """Compare a record with its mark.

        Raises:
            TamperedError: they do not fit.
        """
        if not hmac.compare_digest(self.of(*fields), mark):
            raise TamperedError
