"""How text travels: percent-encoding, form bodies and timestamps.

Rules that live here ("Request signature" page, V3 signature page):

- The unreserved characters ``A-Z a-z 0-9 - _ . ~`` stay; every other byte of the UTF-8 text becomes ``%XX``
  with upper-case digits. A space is ``%20``, never ``+``. Senders of the vendor's SDK do put ``+`` on the
  wire, so reading takes both.
- Timestamps are ``yyyy-MM-ddTHH:mm:ssZ``, always UTC. Reading takes fractions of a second, too.
"""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

UNRESERVED = (string.ascii_letters + string.digits + "-_.~").encode()
_ESCAPES = [chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in range(256)]
_UNESCAPES = {
    (high + low).encode(): bytes.fromhex(high + low) for high in string.hexdigits for low in string.hexdigits
}
# JavaScript's own format has milliseconds (npm @alicloud/kms-sdk sends it).
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_MANY = 24  # distinct characters to escape, above which one pass beats a replace for each


def percent(text: str) -> str:
    """Percent-encode `text` as the signatures demand.

    Raises:
        ValueError: `text` holds a lone surrogate, so it has no UTF-8 form.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise ValueError("text with a lone surrogate cannot be sent") from None  # the original holds the text
    rest = raw.translate(None, UNRESERVED)
    if not rest:
        return text
    reserved = set(rest)
    if len(raw) != len(text) or len(reserved) > _MANY:
        return "".join([_ESCAPES[byte] for byte in raw])
    if 37 in reserved:  # the percent sign itself first, before others bring new ones
        reserved.remove(37)
        text = text.replace("%", "%25")
    for byte in reserved:
        text = text.replace(chr(byte), _ESCAPES[byte])
    return text


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    """Sort plain parameters by name (code points) and percent-encode them: ``a=b&c=d``."""
    return "&".join([f"{percent(name)}={percent(value)}" for name, value in sorted(parameters)])


class Item(NamedTuple):
    """A parameter as it was read.

    `encoded` is ``name=value`` in the only form that a signature knows; empty where nobody has asked for it:
    ACS3 never does for a body.
    """

    name: str
    value: str
    encoded: str = ""


SHARED = frozenset(
    ("AccessKeyId", "Action", "Description", "DKMSInstanceId", "EncryptionKeyId", "Format", "SecretDataType")
).union(("SecretType", "SignatureMethod", "SignatureVersion", "Tags", "Timestamp", "Version", "VersionId"))
"""Names of parameters that many requests have alike; none of them holds a value."""
_NAMES = {name.encode(): name for name in SHARED.union(("SecretName", "SecretData", "Policy"))}
_NAMED = frozenset(_NAMES.values())
"""Names that are read at a glance."""
_known: dict[bytes, Item] = {}
_KNOWN_LIMIT = 1024


def read_items(raw: bytes | str) -> list[Item] | None:
    """Decode a form body or a query string, in the order sent; None if it is malformed or not UTF-8."""
    try:
        data = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
        return [_known.get(item) or _read_item(item) for item in data.split(b"&") if item]
    except (UnicodeError, KeyError):
        return None


def canonical_items(items: Iterable[Item]) -> str:
    """Return what `canonical_query` does, of what `read_items` gave."""
    return "&".join([item[2] or encode_item(item) for item in sorted(items)])


def parse_form(raw: bytes | str) -> list[tuple[str, str]] | None:
    """Decode likewise, into names and values."""
    items = read_items(raw)
    return None if items is None else [(item.name, item.value) for item in items]


def _read_item(raw: bytes) -> Item:
    before, _, after = raw.partition(b"=")
    name = _NAMES.get(before) or _unescape(before)
    item = Item(name, after.decode() if b"%" not in after and b"+" not in after else _unescape(after))
    if name in SHARED and len(raw) < 512:
        item = item._replace(encoded=encode_item(item))
        if len(_known) >= _KNOWN_LIMIT:
            _known.clear()  # timestamps go by
        _known[raw] = item
    return item


def encode_item(item: Item) -> str:
    """Return ``name=value`` in the only form that a signature knows."""
    name = item.name if item.name in _NAMED else percent(item.name)
    return f"{name}={percent(item.value)}"


def _unescape(raw: bytes) -> str:
    # A slash is most of what names have; whatever else is escaped, it is no part of it.
    raw = raw.replace(b"+", b" ").replace(b"%2F", b"/")
    if b"%" not in raw:
        return raw.decode()
    first, *rest = raw.split(b"%")
    return (first + b"".join([_UNESCAPES[part[:2]] + part[2:] for part in rest])).decode()


@lru_cache(maxsize=64)  # a client sends the same one in every request
def is_form(content_type: str) -> bool:
    """Tell whether a body of this content type is a form."""
    return content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def timestamp(epoch: float) -> str:
    """Format seconds since the epoch; the fraction is cut off."""
    return _timestamp(int(epoch))


@lru_cache(maxsize=256)  # what was made in one second is read together
def _timestamp(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=64)  # the requests of one second share their timestamp
def parse_timestamp(text: str) -> float | None:
    """Parse a timestamp into seconds since the epoch, with or without a fraction; None for any other form."""
    if not _TIMESTAMP.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def read_base64(text: str) -> bytes | None:
    """Decode standard Base64; None if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def write_base64(content: bytes) -> str:
    """Return standard Base64."""
    return base64.b64encode(content).decode()
