"""Who may call: access keys, and nonces that are used once.

Permissions of RAM users are in `policies.py`; the signatures themselves in `bulkseed.wire.signing.verify`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from bulkseed.model import Fault
from bulkseed.wire.fault import fault
from bulkseed.wire.message import Request
from bulkseed.wire.signing.verify import CLOCK_WINDOW, AccessKey, Caller, verify


class Authority:
    """Accepts requests that are signed with one of `keys`, each nonce once."""

    def __init__(self, keys: Mapping[str, AccessKey]) -> None:
        self._keys = keys
        self._nonces: set[tuple[str, str]] = set()
        self._by_age: deque[tuple[float, tuple[str, str]]] = deque()

    def admit(self, request: Request, parameters: Mapping[str, str], now: float) -> Caller | Fault:
        """Return who calls, or why the request is refused."""
        caller = verify(request, parameters, self._keys.get, now)
        if isinstance(caller, Caller) and caller.nonce is not None and not self._first_use(caller, now):
            return fault("SignatureNonceUsed")
        return caller

    def _first_use(self, caller: Caller, now: float) -> bool:
        """Remember a nonce until its timestamp is too old to be accepted again."""
        by_age = self._by_age
        while by_age and by_age[0][0] < now:
            self._nonces.discard(by_age.popleft()[1])
        nonce = (caller.access_key_id, caller.nonce or "")
        if nonce in self._nonces:
            return False
        self._nonces.add(nonce)
        by_age.append((now + 2 * CLOCK_WINDOW, nonce))  # its timestamp is at most one window ahead of us
        return True
