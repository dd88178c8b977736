"""How many entries a manifest has, ahead of reading it: JSON lines are counted, other formats are decoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bulkseed.manifest.blocks import Progress, decompressor, file_blocks
from bulkseed.manifest.formats.table import FORMATS, reader_for
from bulkseed.manifest.readable import BrokenError

_ENTRY = re.compile(rb"\n[^\S\n]*+[^\s#]")  # a line that is neither blank nor a comment

Check = Callable[[], object]
"""Called before every block; it raises when nobody wants to know any more."""


def count_entries(paths: Iterable[str], format: str | None, check: Check) -> int | None:  # noqa: A002  # the name of the option
    """Return the number of entries; None where only reading tells: in a pipe.

    YAML is not counted either: to decode it twice would slow a run down.
    """
    total = 0
    for path in paths:
        if not Path(path).is_file():
            return None
        decompress, name = decompressor(path)
        reader = reader_for(name, format)
        if reader is FORMATS["yaml"]:
            return None
        blocks = checked(file_blocks(path, decompress, Progress()), check)
        try:
            for count in entries_in(blocks) if reader is FORMATS["jsonl"] else (1 for _ in reader(blocks)):
                total += count
        except BrokenError:
            total += 1  # the reader reports it as one invalid line
    return total


def entries_in(blocks: Iterable[bytes]) -> Iterator[int]:
    """Yield how many entries of JSON lines begin to show in each block."""
    before = b"\n"  # stands for a line's beginning, of which nothing but blanks was seen; else empty
    for block in blocks:
        text = before + block
        yield len(_ENTRY.findall(text))
        last = text.rfind(b"\n")
        before = b"" if last < 0 or text[last:].strip() else b"\n"


def checked(blocks: Iterable[bytes], check: Check) -> Iterator[bytes]:
    """Yield the blocks as long as `check` lets us."""
    for block in blocks:
        check()
        yield block
