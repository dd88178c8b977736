"""ACS3-HMAC-SHA256 on the straight path: the canonical request is joined from pieces that are known."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

from bulkseed.service.straight.heads import Head
from bulkseed.service.straight.plans import Plans
from bulkseed.service.straight.signed import Metadata, Signed
from bulkseed.wire.encoding import (
    SHARED,
    UNRESERVED,
    Item,
    canonical_items,
    parse_timestamp,
    percent,
    read_items,
)
from bulkseed.wire.message import Request
from bulkseed.wire.signing.acs3 import prepared, signed_names, string_of
from bulkseed.wire.signing.verify import CLOCK_WINDOW, AccessKey

PLACES = ("authorization", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce")
"""Headers that differ from request to request; the last four are signed, and stand in this order there."""
_METADATA_LIMIT = 1024
_METADATA_BYTES = 1024


class KnownMetadata:
    """Queries without their SecretName, as they were read."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._known: dict[tuple[bytes, bytes], Metadata] = {}

    def of(self, before: bytes, after: bytes) -> Metadata | None:
        """Return what stands before and after the name; None where it may hold a value, or is malformed."""
        found = self._known.get((before, after))
        return found or self._read(before, after)

    def _read(self, before: bytes, after: bytes) -> Metadata | None:
        first, last = read_items(before), read_items(after)
        if first is None or last is None or len(before) + len(after) > _METADATA_BYTES:
            return None
        parameters = {item.name: item.value for item in (*first, *last)}
        if len(parameters) != len(first) + len(last) or not parameters.keys() <= SHARED:
            return None
        if parameters.get("Format", "JSON") != "JSON":
            return None
        lower = canonical_items(item for item in (*first, *last) if item.name < "SecretName")
        higher = canonical_items(item for item in (*first, *last) if item.name > "SecretName")
        found = Metadata(
            {item.name: item.value for item in first},
            {item.name: item.value for item in last},
            self._plans.of(parameters),
            f"{lower}{'&' if lower else ''}SecretName=".encode(),
            f"{'&' if higher else ''}{higher}".encode(),
        )
        if len(self._known) >= _METADATA_LIMIT:
            self._known.clear()
        self._known[before, after] = found
        return found


class Acs3Reader:
    """Reads requests with one head, which are signed with one key. `form`: its body is a form, and signed."""

    def __init__(
        self, head: Head, request: Request, key: AccessKey, metadata: KnownMetadata, *, form: bool
    ) -> None:
        self.pattern = head.pattern
        self._groups = head.groups
        self._key = key
        self._form = form
        self._hmac = prepared(key.secret.reveal().encode())
        self._metadata = metadata
        headers = request.headers
        names = signed_names(headers["authorization"]) or ()
        texts, text = [f"{request.method}\n/\n"], "\n"
        for name in names:
            text += f"{name}:"
            if name in PLACES:
                texts.append(text)
                text = ""
            else:
                text += headers[name].strip()
            text += "\n"
        texts.append(f"{text}\n{';'.join(names)}\n")
        self._texts = tuple(text.encode() for text in texts)

    def read(self, head: re.Match[bytes], data: bytes, now: float) -> Signed | None:
        """Return the request, if its signature fits; None: the ordinary path is to look at it."""
        query, length, given, action, digest, date, nonce = head.group(*self._groups)
        body = data[head.end() :]
        if len(body) != int(length or 0) or not (self._form or not body):
            return None
        if sha256(body).hexdigest().encode() != digest:
            return None
        before, found, rest = query.partition(b"SecretName=")
        if not found or (before and before[-1:] != b"&"):
            return None
        encoded, _, after = rest.partition(b"&")
        metadata = self._metadata.of(before, after)
        sent_at = parse_timestamp(date.decode())
        if metadata is None or sent_at is None or abs(now - sent_at) > CLOCK_WINDOW:
            return None
        named = _read_name(encoded)
        if named is None:
            return None
        name, canonical_name = named
        first, after_query, after_action, after_digest, after_date, end = self._texts
        canonical = b"".join(
            (
                *(first, metadata.before, canonical_name, metadata.after, after_query, action),
                *(after_action, digest, after_digest, date, after_date, nonce, end, digest),
            )
        )
        signature = self._hmac.of(string_of(sha256(canonical).hexdigest()))
        if not hmac.compare_digest(signature, given.decode()):
            return None
        form = read_items(body)
        if form is None:
            return None
        value = form[0].value if len(form) == 1 and form[0].name == "SecretData" else None
        if value is None and _repeated(metadata, form):
            return None
        return Signed(self._key, action.decode(), nonce.decode(), sent_at, name, value, metadata, form)


def _read_name(encoded: bytes) -> tuple[str, bytes] | None:
    """Return a name, and how the canonical query has it; None if it is malformed."""
    if not encoded.replace(b"%2F", b"").translate(None, UNRESERVED):
        return encoded.replace(b"%2F", b"/").decode(), encoded  # nearly all names
    items = read_items(b"SecretName=" + encoded)
    return None if items is None else (items[0].value, percent(items[0].value).encode())


def _repeated(metadata: Metadata, form: list[Item]) -> bool:
    names = {item.name for item in form}
    return len(names) != len(form) or not names.isdisjoint(("SecretName", *metadata.first, *metadata.last))


def can_be_known(signed: tuple[str, ...]) -> bool:
    """Tell whether signed headers stand as `Acs3Reader` joins them."""
    places = [name for name in signed if name in PLACES]
    return places == list(PLACES[1:]) and "content-length" not in signed
