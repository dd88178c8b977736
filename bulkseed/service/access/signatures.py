"""Who may call: access keys, and nonces that are used once.

Permissions of RAM users are in `policies.py`; the signatures themselves in `bulkseed.wire.signing.verify`.
"""

from __future__ import annotations

from collections.abc import Mapping

from bulkseed.model import Fault, SecretValue
from bulkseed.service.access.nonces import Nonces
from bulkseed.wire.encoding import Item
from bulkseed.wire.fault import fault
from bulkseed.wire.message import Request
from bulkseed.wire.signing.verify import AccessKey, Caller, verify


class Authority:
    """Accepts requests that are signed with one of `keys`, each nonce once."""

    def __init__(self, keys: Mapping[str, AccessKey], nonces: Nonces) -> None:
        self._keys = keys
        self._nonces = nonces

    def secret_of(self, access_key_id: str) -> SecretValue | None:
        """Return the secret of one of the keys."""
        key = self._keys.get(access_key_id)
        return None if key is None else key.secret

    def key_of(self, access_key_id: str) -> AccessKey | None:
        """Return one of the keys."""
        return self._keys.get(access_key_id)

    def first_use(self, access_key_id: str, nonce: str, sent_at: float, now: float) -> bool:
        """Remember a nonce; False if it was used before (`Nonces.first_use`)."""
        return self._nonces.first_use(access_key_id, nonce, sent_at, now)

    def admit(self, request: Request, query: list[Item], form: list[Item], now: float) -> Caller | Fault:
        """Return who calls, or why the request is refused."""
        caller = verify(request, query, form, self._keys.get, now)
        if isinstance(caller, Caller) and not self._nonces.first_use(
            caller.access_key_id, caller.nonce, caller.timestamp, now
        ):
            return fault("SignatureNonceUsed")
        return caller

    @property
    def dirty(self) -> bool:
        """True while the nonce of a request is not on disk."""
        return self._nonces.dirty

    def commit(self) -> None:
        """Put the nonces on disk; one write serves a group of requests."""
        self._nonces.write()

    def close(self) -> None:
        """Close the nonces' files."""
        self._nonces.close()
