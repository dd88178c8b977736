"""How many entries a manifest has, ahead of reading it: lines are counted, not decoded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bulkseed.manifest.formats import FORMATS, reader_for
from bulkseed.manifest.lines import split_lines
from bulkseed.manifest.source import BrokenError, Progress, decompressor, file_blocks


def count_entries(paths: Iterable[str], format: str | None) -> int | None:  # noqa: A002  # the name of the option
    """Return the number of entries; None where only reading tells: other formats than JSON lines, a pipe."""
    total = 0
    for path in paths:
        if not Path(path).is_file():
            return None
        decompress, name = decompressor(path)
        if reader_for(name, format) is not FORMATS["jsonl"]:
            return None
        try:
            for _, line in split_lines(file_blocks(Path(path), decompress, Progress())):
                total += line[:1] == b"{" or ((text := line.strip()) != b"" and text[:1] != b"#")
        except BrokenError:
            total += 1  # the reader reports it as one invalid line
    return total
