"""JSON lines: one object a line; blank lines and lines that start with ``#`` are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkseed.manifest.formats.exact_json import decode
from bulkseed.manifest.formats.lines import MAX_BYTES, TOO_LONG, Item, split_lines


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield every line that holds something."""
    for number, line in split_lines(blocks):
        if line[:1] == b"{" or ((text := line.strip()) and text[:1] != b"#"):
            yield number, decode(line) if len(line) <= MAX_BYTES else TOO_LONG
