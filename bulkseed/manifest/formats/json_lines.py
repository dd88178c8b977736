"""JSON lines: one object a line; blank lines and lines that start with ``#`` are skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from bulkseed.manifest.formats.exact_json import decode
from bulkseed.manifest.formats.line_before import AlikeLines, LineBefore
from bulkseed.manifest.formats.lines import MAX_BYTES, TOO_LONG, Item, Unreadable, whole_lines

_ENTRY = re.compile(rb"\n[^\S\n]*+[^\s#]")  # a line that is neither blank nor a comment
_ARRAY = Unreadable("is a JSON array, not one object a line: give --format json, or name it .json")
_SPREAD = Unreadable("has objects that span lines, not one a line: `jq -c .` puts each on a line")


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield every line that holds something; one reason for a file that is laid out in another way."""
    for number, item in read_alike(blocks):
        if isinstance(item, AlikeLines):
            yield from enumerate(item.items(), number)
        else:
            yield number, item


def read_alike(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Do as `read` does, but yield lines in a row as `AlikeLines` where they are, with the first's number."""
    texts = whole_lines(blocks)
    looked_at: list[tuple[int, bytes]] = []
    lines = filter(_holds_something, _lines_of(texts, looked_at))
    head = list(islice(lines, 1))
    if head and _opens(head[0][1]):
        head += islice(lines, 1)
        if reason := _other_layout(*(line.lstrip()[:1] for _, line in head)):
            yield head[0][0], reason
            return
    before = LineBefore()
    for first, text in chain(looked_at, texts):
        if len(text) <= MAX_BYTES and (alike := before.decode_all(text)) is not None:
            yield first, alike
            continue
        for number, line in enumerate(text.split(b"\n"), first):
            if line[:1] == b"{" or ((shown := line.strip()) and shown[:1] != b"#"):
                yield number, before.decode(line) if len(line) <= MAX_BYTES else TOO_LONG


def _lines_of(
    texts: Iterable[tuple[int, bytes]], looked_at: list[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of texts; keep the texts, as they are still to be read."""
    for first, text in texts:
        looked_at.append((first, text))
        yield from enumerate(text.split(b"\n"), first)


def count(blocks: Iterable[bytes]) -> Iterator[int]:
    """Yield how many entries begin to show in each block, which costs less than to read them."""
    before = b"\n"  # stands for a line's beginning, of which nothing but blanks was seen; else empty
    for block in blocks:
        text = before + block
        yield len(_ENTRY.findall(text))
        last = text.rfind(b"\n")
        before = b"" if last < 0 or text[last:].strip() else b"\n"


def _holds_something(numbered: tuple[int, bytes]) -> bool:
    text = numbered[1].strip()
    return bool(text) and text[:1] != b"#"


def _opens(line: bytes) -> bool:
    """Tell whether this is not JSON, but the beginning of it."""
    return line.lstrip()[:1] in b"[{" and len(line) <= MAX_BYTES and isinstance(decode(line), Unreadable)


def _other_layout(first: bytes, second: bytes = b"") -> Unreadable | None:
    """Tell from how a bad first line and the next one begin what they are parts of."""
    if first == b"[":
        return _ARRAY if second in (b"{", b"[", b"]") else None
    return _SPREAD if second in (b'"', b"}") else None
