"""Lines out of blocks, with a bound on what one definition may take of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAX_BYTES = 1024 * 1024
"""The largest definition that the API accepts, every character escaped, stays below 0.7 MiB."""

MAX_DEPTH = 64
"""Levels of arrays and objects within a parameter, where Python code goes through them."""


class Unreadable(NamedTuple):
    """What a reader yields in place of an object that it could not decode: why, in our words."""

    reason: str


TOO_LONG = Unreadable(f"is longer than {MAX_BYTES} bytes, more than any definition can take")

Item = tuple[int, object]
"""What a format's reader yields: line (or item) counted from 1, and the decoded object or `Unreadable`."""


def split_lines(blocks: Iterable[bytes], newline: bytes = b"\n") -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, without its newline.

    Of a line longer than `MAX_BYTES` there is only a beginning, which is longer than that too. The last line
    is what follows the last newline: often nothing.
    """
    for first, text in whole_lines(blocks, newline):
        yield from enumerate(text.split(newline), first)


def whole_lines(blocks: Iterable[bytes], newline: bytes = b"\n") -> Iterator[tuple[int, bytes]]:
    """Yield the lines of each block together, without the last newline, with the number of the first."""
    number = 1
    rest = b""
    skipping = False  # the rest of a line whose beginning was given
    for block in blocks:
        text, ended, rest = (rest + block).rpartition(newline)
        if skipping and ended:
            _, ended, text = text.partition(newline)
            skipping = False
        if ended:
            yield number, text
            number += text.count(newline) + 1
        if skipping:
            rest = b""
        elif len(rest) > MAX_BYTES:
            yield number, rest
            number += 1
            rest, skipping = b"", True
    if not skipping:
        yield number, rest
