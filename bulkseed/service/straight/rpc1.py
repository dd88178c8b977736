"""RPC 1.0 HMAC-SHA1 on the straight path: clients send their parameters in the same order again and again."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping

from bulkseed.service.straight.heads import Head
from bulkseed.service.straight.plans import Plans
from bulkseed.service.straight.signed import Metadata, Signed
from bulkseed.wire.encoding import encode_item, parse_timestamp, read_items
from bulkseed.wire.message import API_VERSION
from bulkseed.wire.signing.rpc1 import read_claim, signature, string_to_sign
from bulkseed.wire.signing.verify import CLOCK_WINDOW, AccessKey

_ORDERS_LIMIT = 256
_NAMES_LIMIT = 1024  # characters of an order that is kept


class Orders:
    """In which order parameters are signed, by the order in which they were sent."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[int, ...] | None] = {}

    def of(self, names: tuple[str, ...]) -> tuple[int, ...] | None:
        """Return the places of all but the signature, sorted by name; None if a name is there twice."""
        try:
            return self._known[names]
        except KeyError:
            pass
        order = None
        if len(set(names)) == len(names):
            signed = [at for at, name in enumerate(names) if name != "Signature"]
            order = tuple(sorted(signed, key=names.__getitem__))
        if sum(map(len, names)) <= _NAMES_LIMIT:
            if len(self._known) >= _ORDERS_LIMIT:
                self._known.clear()
            self._known[names] = order
        return order


class Rpc1Reader:
    """Reads requests with one head. `key_of` finds the keys that may go straight."""

    def __init__(
        self,
        head: Head,
        method: str,
        key_of: Callable[[str], AccessKey | None],
        plans: Plans,
        orders: Orders,
        *,
        form: bool,
    ) -> None:
        self.pattern = head.pattern
        self._groups = head.groups
        self._method = method
        self._key_of = key_of
        self._plans = plans
        self._orders = orders
        self._form = form

    def read(self, head: re.Match[bytes], data: bytes, now: float) -> Signed | None:
        """Return the request, if its signature fits; None: the ordinary path is to look at it."""
        query, length = head.group(*self._groups)
        body = data[head.end() :]
        if len(body) != int(length or 0) or not (self._form or not body):
            return None
        items = read_items(query + b"&" + body)
        if items is None:
            return None
        order = self._orders.of(tuple([item[0] for item in items]))
        if order is None:
            return None
        parameters = {item[0]: item[1] for item in items}
        if not _plain(parameters):
            return None
        claim = read_claim(parameters)
        key = None if claim is None else self._key_of(claim.access_key_id)
        if claim is None or key is None or claim.security_token is not None or not claim.nonce:
            return None
        sent_at = parse_timestamp(claim.timestamp)
        if sent_at is None or abs(now - sent_at) > CLOCK_WINDOW:
            return None
        canonical = "&".join([items[at][2] or encode_item(items[at]) for at in order])
        expected = signature(key.secret.reveal().encode(), string_to_sign(self._method, canonical))
        if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "surrogatepass")):
            return None
        plan = self._plans.of(parameters) if claim.action == "CreateSecret" else None
        metadata = Metadata(parameters, {}, plan)
        name, value = parameters["SecretName"], parameters.get("SecretData")
        return Signed(key, claim.action, claim.nonce, sent_at, name, value, metadata, [])


def _plain(parameters: Mapping[str, str]) -> bool:
    get = parameters.get
    return (
        get("Version") == API_VERSION
        and get("Format", "JSON") == "JSON"
        and "SecretName" in parameters
        and "Signature" in parameters
    )
