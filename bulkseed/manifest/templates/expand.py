"""Every definition of a manifest, once for each row of a table (``--each tenants.csv``).

Templates are few and kept in memory, the table is read row by row. An entry is named by both of its lines:
``onboarding.jsonl:3@tenants.csv:17``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

from bulkseed.errors import ManifestError, UsageError
from bulkseed.manifest.definition import Defaults, to_entry
from bulkseed.manifest.formats.lines import MAX_BYTES, Item, Unreadable
from bulkseed.manifest.readable import BrokenError
from bulkseed.manifest.templates.template import Row, Template
from bulkseed.model import InvalidLine, ManifestEntry, Origin

MAX_LINES = 1000
"""The last line on which a manifest can have a template. All names of entries follow from it."""

MAX_CHARACTERS = 16 * MAX_BYTES
"""How long all templates together can be."""

Found = tuple[Origin, Path, object]
"""An object of a manifest: where it was read, the folder that its paths are relative to, and itself."""


Keep = Callable[[Origin, object], bool]
"""Tells whether an object of a manifest is to be read; it may change it."""


def keep_all(_origin: Origin, _item: object) -> bool:
    """Keep every object."""
    return True


class Templates:
    """The templates of a run, and the table that fills them."""

    def __init__(self, items: Iterable[Found], table: str, blocks: Iterable[bytes]) -> None:
        """Read all templates and the header of the table.

        Raises:
            UsageError: there are too many templates.
            ManifestError: the table has no header that can be used.
        """
        self._table = table
        self._bad: list[InvalidLine] = []
        self._templates: list[tuple[str, Path, Template]] = []
        header, self._rows = _open(table, blocks)
        columns = frozenset(header)
        size = 0
        for origin, folder, item in items:
            if isinstance(origin.line, int) and origin.line > MAX_LINES:
                raise UsageError(
                    f"{origin}: with --each a manifest has templates, on at most {MAX_LINES:,} lines"
                )
            template = Template(item, columns, table)
            if template.reasons:
                self._bad.append(InvalidLine(origin, tuple(template.reasons)))
            else:
                self._templates.append((f"{origin}@{table}", folder, template))
            size += template.size
            if size > MAX_CHARACTERS:
                raise UsageError(f"the templates have more than {MAX_CHARACTERS:,} characters")

    def entries(
        self, defaults: Defaults, keep: Keep = keep_all, *, allow_empty: bool = True
    ) -> Generator[ManifestEntry, None, None]:
        """Yield what is wrong with templates, then every template filled from the first row, and so on."""
        line = 0
        for bad in self._bad:
            if keep(bad.origin, Unreadable("; ".join(bad.reasons))):
                yield bad
        for line, row in _until_broken(self._rows):
            if isinstance(row, dict):
                for name, folder, template in self._templates:
                    origin = Origin(name, line)
                    item = _filled(template, row)
                    if keep(origin, item):
                        yield to_entry(item, origin, defaults, folder)
            elif isinstance(row, Unreadable) and keep(Origin(self._table, line), row):
                yield InvalidLine(Origin(self._table, line), (row.reason,))
        if not line and not allow_empty:
            raise ManifestError(f"{self._table}: no row is in it; if that is right: --allow-empty")

    def count(self, blocks: Iterable[bytes]) -> int:
        """Return how many entries there are, from reading the table once more."""
        _, rows = _open(self._table, blocks)
        good, each = 0, len(self._templates)
        bad = len(self._bad)
        for _, row in _until_broken(rows):
            if isinstance(row, dict):
                good += each
            else:
                bad += 1
        return good + bad


def entry_names(paths: Iterable[str], table: str) -> Iterator[str]:
    """Yield every manifest name that an entry can have."""
    yield table
    for path in paths:
        yield path
        for line in range(1, MAX_LINES + 1):
            yield f"{Origin(path, line)}@{table}"


def places_of(origin: Origin) -> tuple[Origin, ...]:
    """Return where the template and the row of an entry are; nothing for an entry that has none."""
    template, at, table = origin.manifest.partition("@")
    path, _, line = template.rpartition(":")
    return (Origin(path, int(line)), Origin(table, origin.line)) if at and line.isdecimal() else ()


def _filled(template: Template, row: Row) -> object:
    reasons = tuple(template.bad_cells(row))
    return Unreadable("; ".join(reasons)) if reasons else template.filled(row)


def _open(table: str, blocks: Iterable[bytes]) -> tuple[list[str], Iterator[Item]]:
    from bulkseed.manifest.formats.csv_table import open_table

    try:
        line, header, rows = open_table(blocks)
    except BrokenError as broken:
        raise ManifestError(f"{table}: {broken}") from None
    where = Origin(table, line)
    if isinstance(header, Unreadable):
        raise ManifestError(f"{where}: {header.reason}")
    if not header:
        raise ManifestError(f"{where}: is empty: not even a header is in it, which names the columns")
    if len(set(header)) < len(header) or any(not name or "{" in name or "}" in name for name in header):
        raise ManifestError(f"{where}: every column needs a name of its own, without braces")
    return header, rows


def _until_broken(rows: Iterator[Item]) -> Iterator[Item]:
    line = 0
    try:
        for line, row in rows:
            yield line, row
    except BrokenError as broken:
        reason = str(broken)
    else:
        return
    yield line + 1, Unreadable(f"{reason}; nothing from here on could be read")
