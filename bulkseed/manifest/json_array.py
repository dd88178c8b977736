r"""A JSON array of objects, however it is laid out, one item in memory at a time.

It is cut into items here and each is decoded like a JSON line. A streaming parser would do, but the usual one
(yajl, under ijson) turns the escape ``\ud800`` into a question mark without a word: no way to treat a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bulkseed.manifest.json_lines import decode
from bulkseed.manifest.lines import MAX_BYTES, TOO_LONG, Item, Unreadable

# Everything up to the next bracket that is not inside a string; between items, up to the next comma too.
_INSIDE = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}\[\]]*+)*+[{}\[\]]', re.DOTALL)
_BETWEEN = re.compile(rb'[^"{}\[\],]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}\[\],]*+)*+[{}\[\],]', re.DOTALL)

_NOT_AN_ARRAY = Unreadable("is not a JSON array: for one object a line use --format jsonl")


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield the items, numbered from 1."""
    stream = iter(blocks)
    rest = b""
    while not rest and (block := next(stream, b"")):
        rest = block.lstrip()
    if rest[:1] != b"[":
        yield 1, _NOT_AN_ARRAY
        return

    number = 0
    start = position = depth = 1  # of the item, of the search, of the brackets
    while depth:
        found = (_BETWEEN if depth == 1 else _INSIDE).match(rest, position)
        if found is None:
            if len(rest) - start > MAX_BYTES:
                yield number + 1, TOO_LONG
                return
            if not (block := next(stream, b"")):
                yield number + 1, Unreadable("the array is cut off or has an unclosed string")
                return
            rest, position, start = rest[start:] + block, position - start, 0
            continue
        position = found.end()
        match rest[position - 1 : position]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
        if depth == 0 or (depth == 1 and rest[position - 1 : position] == b","):
            item = rest[start : position - 1]
            start = position
            if item.strip() or depth or number:
                number += 1
                yield number, decode(item)
    if rest[position - 1 : position] != b"]" or rest[position:].strip() or any(b.strip() for b in stream):
        yield number + 1, Unreadable("the array has something after its end")
