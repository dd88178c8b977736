r"""A JSON array of objects, however it is laid out, one item in memory at a time.

It is cut into items here and each is decoded like a JSON line. A streaming parser would do, but the usual one
(yajl, under ijson) turns the escape ``\ud800`` into a question mark without a word: no way to treat a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bulkseed.manifest.formats.exact_json import decode
from bulkseed.manifest.formats.lines import MAX_BYTES, TOO_LONG, Item, Unreadable

# Everything up to the next bracket that is not inside a string; between items, up to the next comma too.
_INSIDE = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}\[\]]*+)*+[{}\[\]]', re.DOTALL)
_BETWEEN = re.compile(rb'[^"{}\[\],]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}\[\],]*+)*+[{}\[\],]', re.DOTALL)

_NO_ARRAY = Unreadable("is not a JSON array")
_ONE_OBJECT = Unreadable(
    "is not a JSON array: give --format jsonl for one object a line, put [ and ] around a single definition; "
    "a map of names and values is a source: bulkseed apply flat:THIS.json"
)


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield the items, numbered from 1."""
    for number, item in enumerate(_cut(blocks), 1):
        yield number, item if isinstance(item, Unreadable) else decode(item)


def _cut(blocks: Iterable[bytes]) -> Iterator[bytes | Unreadable]:
    stream = iter(blocks)
    text = next(stream, b"").lstrip()
    while not text and (block := next(stream, b"")):
        text = block.lstrip()
    if text[:1] != b"[":
        yield _ONE_OBJECT if text[:1] == b"{" else _NO_ARRAY
        return

    start = position = depth = 1  # of the item, of the search, of the brackets
    first = True
    while depth:
        found = (_BETWEEN if depth == 1 else _INSIDE).match(text, position)
        if found is None:
            block = next(stream, b"")
            if not block or len(text) - start > MAX_BYTES:
                if depth == 1 and not block and text[start:].strip():
                    yield text[start:]  # complete, only the array is not
                yield TOO_LONG if block else Unreadable("the array is cut off or has an unclosed string")
                return
            text, position, start = text[start:] + block, position - start, 0
            continue
        position = found.end()
        end = text[position - 1 : position]
        if end in b"{[":
            depth += 1
        elif end in b"}]":
            depth -= 1
        if not depth or (depth == 1 and end == b","):
            item, start = text[start : position - 1], position
            if item.strip() or depth or not first:
                yield item
            first = False
    if end != b"]" or text[position:].strip() or any(block.strip() for block in stream):
        yield Unreadable("the array does not end with a single ]")
