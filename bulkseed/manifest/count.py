"""How many entries a manifest has, ahead of reading it, as the row of its format says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bulkseed.manifest.blocks import Progress, decompressor, file_blocks
from bulkseed.manifest.formats.table import format_of
from bulkseed.manifest.readable import BrokenError

Check = Callable[[], object]
"""Called before every block; it raises when nobody wants to know any more."""


def count_entries(paths: Iterable[str], format: str | None, check: Check) -> int | None:  # noqa: A002  # the name of the option
    """Return the number of entries; None where only reading tells: of a pipe, or of what is not counted."""
    total = 0
    for path in paths:
        if not Path(path).is_file():
            return None
        decompress, name = decompressor(path)
        count = format_of(name, format).entries
        if count is None:
            return None
        blocks = checked(file_blocks(path, decompress, Progress()), check)
        try:
            for entries in count(blocks):
                total += entries
        except BrokenError:
            total += 1  # the reader reports it as one invalid line
    return total


def checked(blocks: Iterable[bytes], check: Check) -> Iterator[bytes]:
    """Yield the blocks as long as `check` lets us."""
    for block in blocks:
        check()
        yield block
