"""Reading a whole plain request, as nearly every client sends it, straight from its bytes.

What is not plain is None here, and aiohttp's to read: bodies in chunks, more than one request or less than
one, HTTP/1.0, ``Expect``, anything but printable ASCII in the head.
"""

from __future__ import annotations

import re

from bulkseed.wire.message import Request

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([!-~](?:[ -~\t]*[!-~])?|)[ \t]*")
_SPECIAL = frozenset(("transfer-encoding", "expect", "upgrade", "content-encoding", "trailer", "te"))
_REPEATED = frozenset(
    ("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent")
).union(("x-acs-action", "x-acs-date", "x-acs-version"))
"""Names whose lines come again and again, and hold nothing secret: they are read once."""
_KNOWN_LIMIT = 1024
_known: dict[bytes, tuple[str, str]] = {}
_names: dict[bytes, str] = {}
"""Names of the other headers as they were sent, and in lower case."""


def read_plain(data: bytes) -> Request | None:
    """Return the request if `data` is exactly one, whole and plain."""
    head, blank, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    if not (blank and first.endswith(b" HTTP/1.1") and first.isascii()):
        return None
    method, _, target = first[:-9].decode().partition(" ")
    path, _, query = target.partition("?")
    if method not in ("GET", "POST") or path != "/" or " " in query or not query.isprintable():
        return None
    headers: dict[str, str] = {}
    for line in lines:
        item = _known.get(line) or _read_line(line)
        if item is None:
            return None
        headers[item[0]] = item[1]
    if len(headers) != len(lines) or "host" not in headers:
        return None
    length = headers.get("content-length", "0")
    if not (length.isdigit() and len(length) <= 6 and int(length) == len(body)):
        return None
    return Request(method, query, headers, body)


def _read_line(line: bytes) -> tuple[str, str] | None:
    before, _, after = line.partition(b": ")
    name = _names.get(before)
    if name is not None and after.isascii():
        text = after.decode()
        if text.isprintable() and text == text.strip():  # the fastest way to see that it is plain
            return name, text
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    name, text = item = match[1].decode().lower(), match[2].decode()
    if name in _SPECIAL or (name == "connection" and text.lower() != "keep-alive"):
        return None
    if name not in _REPEATED:
        if len(_names) < _KNOWN_LIMIT and len(name) < 64:
            _names[match[1]] = name
    elif len(line) < 512:
        if len(_known) >= _KNOWN_LIMIT:
            _known.clear()  # the date is another one every second
        _known[line] = item
    return item
