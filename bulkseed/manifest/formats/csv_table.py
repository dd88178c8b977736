"""CSV: the header names the parameters, an empty cell is a missing parameter, quoted cells may span lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from bulkseed.manifest.definition import KEYS, not_a_parameter
from bulkseed.manifest.formats.lines import MAX_BYTES, TOO_LONG, Item, Unreadable, split_lines


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield the rows of a manifest."""
    line, header, rows = open_table(blocks)
    if isinstance(header, Unreadable):
        yield line, header
    elif reasons := list(_header_problems(header)):
        yield line, Unreadable(f"the header cannot be used: {'; '.join(reasons)}")
    else:
        yield from rows


def open_table(blocks: Iterable[bytes]) -> tuple[int, list[str] | Unreadable, Iterator[Item]]:
    """Return the header and its line, and the rows by column; a row's line is that of its first character."""
    rows = _rows(_Lines(blocks))
    line, header = next(rows, (1, []))
    if isinstance(header, Unreadable):
        return line, header, iter(())
    header = [cell.strip() for cell in header]
    return line, header, _by_column(header, rows)


def _by_column(header: list[str], rows: Iterator[tuple[int, list[str] | Unreadable]]) -> Iterator[Item]:
    for line, cells in rows:
        if isinstance(cells, Unreadable):
            yield line, cells
        elif len(cells) != len(header):
            yield line, Unreadable(f"has {len(cells)} cells where the header has {len(header)}")
        else:
            yield line, dict(zip(header, cells, strict=True))


class _Lines:
    """Text lines for `csv.reader`, remembering where it is and what was wrong since `begin`."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._lines = split_lines(blocks)
        self.number = 0
        self.trouble: Unreadable | None = None

    def begin(self) -> int:
        """Start a row; return the number of its first line."""
        self.trouble = None
        return self.number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if len(line) > MAX_BYTES:
            self.trouble = TOO_LONG
            raise csv.Error
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError:
            self.trouble = Unreadable("is not valid UTF-8")
            return line.decode(errors="replace") + "\n"


def _rows(lines: _Lines) -> Iterator[tuple[int, list[str] | Unreadable]]:
    reader = csv.reader(lines, strict=True)
    while True:
        first = lines.begin()
        cells: list[str] | None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = None
        if lines.trouble:
            yield first, lines.trouble
        elif cells is None:
            yield (
                first,
                Unreadable(
                    f"is not valid CSV as far as line {lines.number}: a quote is not closed or not doubled"
                ),
            )
        elif cells:
            yield first, cells


def _header_problems(header: list[str]) -> Iterator[str]:
    for column, name in enumerate(header, 1):
        if name not in KEYS:
            yield not_a_parameter(f"column {column}", name)
        elif name in header[: column - 1]:
            yield f"column {column} repeats {name}"
