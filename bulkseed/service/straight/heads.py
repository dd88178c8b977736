"""Heads of requests: a client writes the same one again and again, but for a few places.

So a head that was read and accepted in full is kept as a pattern. Whatever fits it is the same request but
for what stands in those places, and need be read and judged there only.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PLACES = {
    "x-acs-action": rb"([A-Za-z]+)",
    "x-acs-content-sha256": rb"([0-9a-f]{64})",
    "x-acs-date": rb"([0-9TZ:.-]+)",
    "x-acs-signature-nonce": rb"([!-~]+)",
    "content-length": rb"([0-9]{1,6})",
}
_SIGNATURE = re.compile(rb"(.*,Signature=)([0-9a-f]{64})")
_LINE = re.compile(rb"([^:]+)(:[ \t]*)(.*?)([ \t]*)")


class Head(NamedTuple):
    """A pattern, and the numbers of its groups: the query and the length, then what a signature asks for."""

    pattern: re.Pattern[bytes]
    groups: tuple[int, ...]


def learn_head(data: bytes, asked: tuple[str, ...]) -> Head | None:
    """Return the head of `data`, a whole plain request as `read_plain` takes it.

    `asked` names the headers whose places differ from request to request: some of `_PLACES`, and
    ``authorization``, which stands for the signature in it. None: one of them has another form.
    """
    first, *lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    target, found, _ = first.partition(b"?")
    written = [re.escape(target) + rb"\?([!-~]*) HTTP/1\.1" if found else re.escape(first) + b"()"]
    numbers = {"query": 1}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        name = match[1].decode().lower()
        place = _place(name, match[3]) if name in asked or name == "content-length" else re.escape(match[3])
        if place is None:
            return None
        if name in asked or name == "content-length":
            numbers[name] = len(numbers) + 1
        written.append(re.escape(match[1] + match[2]) + place + re.escape(match[4]))
    end = rb"\r\n\r\n"
    if "content-length" not in numbers:
        numbers["content-length"] = len(numbers) + 1
        end += b"()"
    if not numbers.keys() >= set(asked):
        return None
    groups = tuple(numbers[name] for name in ("query", "content-length", *asked))
    return Head(re.compile(rb"\r\n".join(written) + end), groups)


def _place(name: str, value: bytes) -> bytes | None:
    if name == "authorization":
        match = _SIGNATURE.fullmatch(value)
        return None if match is None else re.escape(match[1]) + b"([0-9a-f]{64})"
    place = _PLACES[name]
    return place if re.fullmatch(place, value) else None
