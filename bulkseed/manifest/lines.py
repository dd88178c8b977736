"""Lines out of blocks, with a bound on what one definition may take of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAX_BYTES = (
    1024 * 1024
)  # the largest definition the API accepts, every character escaped, stays below 0.7 MiB


class Unreadable(NamedTuple):
    """What a reader yields in place of an object that it could not decode: why, in our words."""

    reason: str


TOO_LONG = Unreadable(f"is longer than {MAX_BYTES} bytes, more than any definition can take")

Item = tuple[int, object]
"""What a format's reader yields: line (or item) counted from 1, and the decoded object or `Unreadable`."""


def split_lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line with its number, without its newline; None for one longer than `MAX_BYTES`."""
    number = 0
    rest = b""
    skipping = False
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines and skipping:
            lines[0], skipping = None, False  # type: ignore[call-overload]  # only ever the first
        elif lines and len(lines[0]) > MAX_BYTES:
            lines[0] = None  # type: ignore[call-overload]  # likewise
        for line in lines:
            number += 1
            yield number, line
        if skipping or len(rest) > MAX_BYTES:
            rest, skipping = b"", True
    if skipping:
        yield number + 1, None
    elif rest:
        yield number + 1, rest
