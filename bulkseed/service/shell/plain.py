"""Reading a whole plain request, as nearly every client sends it, straight from its bytes.

What is not plain is None here, and aiohttp's to read: bodies in chunks, more than one request or less than
one, HTTP/1.0, ``Expect``, anything but printable ASCII in the head.
"""

from __future__ import annotations

import re

from bulkseed.wire.message import Request

_METHODS = {b"GET": "GET", b"POST": "POST"}
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([!-~](?:[ -~\t]*[!-~])?|)[ \t]*")
_SPECIAL = frozenset(("transfer-encoding", "expect", "upgrade", "content-encoding", "trailer", "te"))
_REPEATED = frozenset(
    ("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent")
).union(("x-acs-action", "x-acs-date", "x-acs-version"))
"""Names whose lines come again and again, and hold nothing secret: they are read once."""
_KNOWN_LIMIT = 1024
_known: dict[bytes, tuple[str, str]] = {}
_names: dict[bytes, str] = {}
"""Names of headers as they were sent, and in lower case."""


def read_plain(data: bytes) -> Request | None:
    """Return the request if `data` is exactly one, whole and plain."""
    head, blank, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, _, rest = first.partition(b" ")
    target, _, version = rest.partition(b" ")
    if not (blank and method in _METHODS and version == b"HTTP/1.1" and _visible(target)):
        return None
    path, _, query = target.decode().partition("?")
    if path != "/":
        return None
    headers: dict[str, str] = {}
    for line in lines:
        item = _known.get(line) or _read_line(line)
        if item is None:
            return None
        headers[item[0]] = item[1]
    if len(headers) != len(lines) or "host" not in headers or not _SPECIAL.isdisjoint(headers):
        return None
    length = headers.get("content-length", "0")
    if not (length.isdigit() and len(length) <= 6 and int(length) == len(body)):
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return Request(_METHODS[method], query, headers, body)


def _visible(text: bytes) -> bool:
    """Tell whether there is nothing but printable ASCII, blanks included: the fastest way to see it."""
    return text.isascii() and text.decode().isprintable()


def _read_line(line: bytes) -> tuple[str, str] | None:
    known, _, text = line.partition(b": ")
    name = _names.get(known)
    if name is not None and name not in _REPEATED and _visible(text) and text == text.strip():
        return name, text.decode()
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    item = match[1].decode().lower(), match[2].decode()
    if len(_names) < _KNOWN_LIMIT and len(match[1]) < 64:
        _names[match[1]] = item[0]
    if item[0] in _REPEATED and len(line) < 512:
        if len(_known) >= _KNOWN_LIMIT:
            _known.clear()  # the date is another one every second
        _known[line] = item
    return item
