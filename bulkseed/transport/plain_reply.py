"""Reads a whole reply whose head is plain, as nearly all are, in half the time of a parser.

Plain is what one pattern fits: HTTP/1.1, a final status, one Content-Length, at most one Date, a connection
that stays open, ASCII, no other header that says anything about body or connection. Everything else is for
aiohttp's parser, and so is a reply that comes in parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bulkseed.wire.message import Response

_LONGEST = 4096
"""Bytes of a head. A parser refuses very long ones, and very many headers: it decides what that is."""

# What begins with C, D, P, T or U may say something about body or connection, but for these.
_OTHERS = (
    rb"(?:(?:[ABE-OQ-SV-Zabe-oq-sv-z][!#$%&'*+.^_`|~0-9A-Za-z-]*+|[Cc]ontent-[Tt]ype):[\t -~]*+\r\n"
    rb"|[Cc]onnection: [Kk]eep-[Aa]live\r\n){0,32}+"
)
_LENGTH = rb"[Cc]ontent-[Ll]ength: ([0-9]{1,7})\r\n"
_DATE = rb"[Dd]ate: ([A-Za-z0-9,: +-]*[A-Za-z0-9])\r\n"
_BOTH = b"(?:" + _DATE + _OTHERS + _LENGTH + b"|" + _LENGTH + b"(?:" + _OTHERS + _DATE + b")?)"
_STATUS = rb"HTTP/1\.1 (200|[4-9][0-9][0-9]) [\t -~]*+\r\n"
_HEAD = re.compile(_STATUS + _OTHERS + _BOTH + _OTHERS + rb"\r\n")


class PlainHeaders(Mapping[str, str]):
    """The headers of a plain head by their lower-case names; all but the Date are read when asked for."""

    __slots__ = ("_date", "_fields", "_head")

    def __init__(self, head: bytes, date: bytes | None) -> None:
        self._head = head
        self._date = date
        self._fields: dict[str, str] | None = None

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # texts only
        """Return a header."""
        if name == "date":
            return default if self._date is None else self._date.decode()
        return self._read().get(name, default)

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> dict[str, str]:
        if self._fields is None:
            self._fields = {}
            for line in self._head.decode().split("\r\n")[1:-2]:
                name, _, text = line.partition(":")
                self._fields.setdefault(name.lower(), text.strip(" \t"))  # the first counts, as of the parser
        return self._fields


def read_plain(data: bytes) -> Response | None:
    """Return the response that `data` is from its first byte to its last; None: the parser has to look."""
    found = _HEAD.match(data, 0, _LONGEST)
    if found is None:
        return None
    status, date, length, other_length, other_date = found.groups()
    end = found.end()
    if len(data) != end + int(length or other_length):
        return None
    return Response(int(status), PlainHeaders(data[:end], date or other_date), data[end:])
