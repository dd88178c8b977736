"""CSV as spreadsheets save it: the header names the parameters, an empty cell is a missing parameter.

Rules that live here: the separator is the one that the header has most of (``,``, ``;`` or a tab), or what a
first line ``sep=;`` says; rows end in a newline or, in files of old Macs, in a carriage return; quoted cells
may span lines; rows of empty cells, and columns without a name and a cell, are passed over.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from bulkseed.manifest.formats.lines import MAX_BYTES, TOO_LONG, Item, Unreadable, split_lines
from bulkseed.manifest.keys import header_problem

_SEPARATORS = ",;\t"
_NAMED_SEPARATOR = re.compile(r'sep=([^"\r\n])\r?', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_ROW_END = re.compile(rb"\n|\r(.)", re.DOTALL)


def read(blocks: Iterable[bytes]) -> Iterator[Item]:
    """Yield the rows of a manifest."""
    line, header, rows = open_table(blocks)
    if isinstance(header, Unreadable):
        yield line, header
    elif problem := header_problem(header):
        yield line, Unreadable(problem)
    else:
        yield from rows


def open_table(blocks: Iterable[bytes]) -> tuple[int, list[str] | Unreadable, Iterator[Item]]:
    """Return the header and its line, and the rows by column; a row's line is that of its first character.

    Columns without a name are not in the header, and must have no cells.
    """
    newline, blocks = _row_end(iter(blocks))
    separator, numbered = _separator(split_lines(blocks, newline))
    rows = _rows(_Lines(numbered, newline.decode()), separator)
    line, header = next(rows, (1, []))
    if isinstance(header, Unreadable):
        return line, header, iter(())
    header = [cell.strip() for cell in header]
    return line, [name for name in header if name], _by_column(header, rows)


def _by_column(header: list[str], rows: Iterator[tuple[int, list[str] | Unreadable]]) -> Iterator[Item]:
    width = len(header)
    nameless = [column for column, name in enumerate(header) if not name]
    for line, cells in rows:
        if isinstance(cells, Unreadable):
            yield line, cells
            continue
        if len(cells) != width:
            # A comma too many shifts cells, so only those without a column may be missing, and none be added.
            if len(cells) > width or any(header[len(cells) :]):
                yield line, Unreadable(f"has {len(cells)} cells where the header has {width}")
                continue
            cells += [""] * (width - len(cells))
        row = dict(zip(header, cells, strict=True))
        if nameless:
            if any(cells[column] for column in nameless):
                yield line, Unreadable("has a cell in a column that has no name in the header")
                continue
            del row[""]
        if header[0] in cells[0] and [cell.strip("\ufeff \t") for cell in cells] == header:
            yield line, Unreadable("is the header once more: when files are joined, only the first keeps it")
        else:
            yield line, row


def _row_end(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return what ends a row, and the blocks again."""
    start, end = b"", None
    while end is None and len(start) <= MAX_BYTES and (block := next(blocks, b"")):
        start += block
        end = _ROW_END.search(start)
    old_mac = end is not None and end[1] not in (None, b"\n")
    return b"\r" if old_mac else b"\n", chain([start], blocks)


def _separator(numbered: Iterator[tuple[int, bytes]]) -> tuple[str, Iterator[tuple[int, bytes]]]:
    """Return what separates cells, and the lines from the header on."""
    for number, line in numbered:
        text = line.decode(errors="replace")
        if named := _NAMED_SEPARATOR.fullmatch(text):
            return named[1], numbered
        if text.strip():
            return max(_SEPARATORS, key=_QUOTED.sub("", text).count), chain([(number, line)], numbered)
    return ",", numbered


class _Lines:
    """Text lines for `csv.reader`, remembering where it is and what was wrong since `begin`."""

    def __init__(self, numbered: Iterator[tuple[int, bytes]], newline: str) -> None:
        self._lines = numbered
        self._newline = newline
        self.number = 0
        self.trouble: Unreadable | None = None

    def begin(self) -> None:
        """Forget the trouble of the row before."""
        self.trouble = None
        self.first = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        self.first = self.first or self.number
        if len(line) > MAX_BYTES:
            self.trouble = TOO_LONG
            raise csv.Error
        try:
            return line.decode() + self._newline
        except UnicodeDecodeError:
            self.trouble = Unreadable("is not valid UTF-8 (in a spreadsheet: save as CSV UTF-8)")
            return line.decode(errors="replace") + self._newline


def _rows(lines: _Lines, separator: str) -> Iterator[tuple[int, list[str] | Unreadable]]:
    reader = csv.reader(lines, strict=True, delimiter=separator)
    while True:
        lines.begin()
        cells: list[str] | None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = None
        if lines.trouble:
            yield lines.first, lines.trouble
        elif cells is None:
            reason = f"is not valid CSV as far as line {lines.number}: a quote is not closed or not doubled"
            yield lines.first, Unreadable(reason)
        elif any(cells):
            yield lines.first, cells
