"""Manifests in, definitions out: one after another, one definition in memory at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bulkseed.errors import ManifestError, UsageError
from bulkseed.humanize import visible
from bulkseed.manifest.alike import AlikeDefinitions
from bulkseed.manifest.blocks import Progress, decompressor, file_blocks, stream_blocks
from bulkseed.manifest.count import Check, checked, count_entries
from bulkseed.manifest.definition import Defaults, checked_defaults
from bulkseed.manifest.formats import json_lines
from bulkseed.manifest.formats.line_before import AlikeLines
from bulkseed.manifest.formats.lines import Item, Unreadable
from bulkseed.manifest.formats.table import FORMATS, format_of
from bulkseed.manifest.location import is_manifest_url, size_of
from bulkseed.manifest.other_tools import DumpError, refuse_dumps
from bulkseed.manifest.readable import BrokenError, Readable
from bulkseed.manifest.templates.expand import Found, Keep, Templates, entry_names, keep_all
from bulkseed.manifest.value_from import Elsewhere
from bulkseed.model import ManifestEntry, Origin
from bulkseed.stretch import LineStretch

STANDARD_INPUT = "-"

LinesReader = Callable[[str, Iterable[bytes]], Iterator[Item]]
"""Reads JSON lines of a file that is neither compressed nor encrypted, from its path and its content."""


class Manifest:
    """The entries of one or more manifests, and how far the reading is. Use it in a `with`.

    `paths` are the names of manifests that entries can have. `bytes_total` is the size on disk of all files
    that are read along the way, None when one has no size (a pipe); `bytes_read` is how much of that was
    read, so their quotient says about how much is done. `parts` are the entries, those that are alike and on
    lines in a row as one `LineStretch`. `on_close` is called at the end.
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        format: str | None,  # noqa: A002  # the name of the option
        defaults: Defaults,
        stdin: Readable | None,
        table: str | None,
        keep: Keep = keep_all,
        allow_empty: bool = True,
        read_lines: LinesReader | None = None,
    ) -> None:
        self.on_close: Callable[[], None] = lambda: None
        self._progress = Progress()
        self._read_lines = read_lines
        self._format = format
        self._given = paths
        self._allow_empty = allow_empty
        self._table = table
        self.parts: Generator[ManifestEntry | LineStretch, None, None]
        self._templates: Templates | None = None
        sizes = [
            None if path == STANDARD_INPUT else size_of(path)
            for path in (paths if table is None else (*paths, table))
        ]
        if table is None:
            self.paths = tuple(map(visible, paths))
            self.bytes_total = None if None in sizes else sum(size for size in sizes if size is not None)
            self.parts = _parts(self._items(stdin, self._progress, keep is keep_all), defaults, keep)
        else:
            self.paths = tuple(entry_names(paths, table))
            self.bytes_total = sizes[-1]
            rows = _blocks(table, stdin, self._progress)[1]
            self._templates = Templates(self._items(stdin, Progress()), table, rows)
            self.parts = self._templates.entries(defaults, keep, allow_empty=allow_empty)
        self._entries = _one_by_one(self.parts)

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, as they lie on disk (compressed)."""
        return self._progress.bytes_read

    def count(self, check: Check = lambda: None) -> int | None:
        """Count the entries ahead, from other readers; None where only reading tells.

        That is in YAML and in pipes. `check` is called now and then, and may raise to give up.
        """
        if self._templates is None or self._table is None:
            return count_entries(self._given, self._format, check)
        if self.bytes_total is None:
            return None
        return self._templates.count(checked(_blocks(self._table, None, Progress())[1], check))

    def _items(self, stdin: Readable | None, progress: Progress, alike: bool = False) -> Iterator[Found]:
        readers = []
        for path in self._given:
            name, blocks = _blocks(path, stdin, progress)
            format_name = self._format or ("jsonl" if path == STANDARD_INPUT else None)
            reader, text = format_of(name, format_name).read, refuse_dumps(blocks, path)
            own = None
            if reader is json_lines.read:
                plain = name == path != STANDARD_INPUT and not is_manifest_url(path)
                own = self._read_lines if plain else None
                reader = json_lines.read_alike if alike else reader
            readers.append((path, reader(text) if own is None else own(path, text)))
        return _items(readers, allow_empty=self._allow_empty)

    def __iter__(self) -> Iterator[ManifestEntry]:
        return self._entries  # saves a call per definition

    def __next__(self) -> ManifestEntry:
        return next(self._entries)

    def close(self) -> None:
        """Close the manifest that is open."""
        with suppress(ValueError):  # a thread that was left behind is still reading
            self.parts.close()
        self.on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_manifest(
    *paths: str | Path,
    format: str | None = None,  # noqa: A002  # the name of the option
    defaults: Mapping[str, str] | None = None,
    stdin: Readable | None = None,
    each: str | Path | None = None,
    keep: Keep = keep_all,
    unchecked: bool = False,
    allow_empty: bool = True,
    read_lines: LinesReader | None = None,
    elsewhere: Elsewhere | None = None,
) -> Manifest:
    """Open manifests, to be read one after another as ``SecretDefinition | InvalidLine``.

    Args:
        paths: files; "-" is standard input.
        format: a row of `FORMATS`, for names whose suffix does not tell; standard input is jsonl without it.
        defaults: API parameters for definitions that lack them; `VersionId` is "v1" unless given.
        stdin: what "-" reads, instead of the process's own.
        each: a CSV table; every definition is then a template for each of its rows, with ``{column}``.
        keep: is shown every object before it is checked, or why there is none; what it refuses is left out.
        unchecked: let the service decide which characters names and tags may have.
        allow_empty: whether there may be no definition at all; else reading raises `ManifestError`.
        read_lines: reads files of plain JSON lines, in place of the format's own reader.
        elsewhere: gives values that lines name at other stores (`bulkseed.sources.named.NamedValues`);
            without it such lines are invalid.

    What is wrong with the content is never raised: it is an `InvalidLine` among the others.

    Raises:
        UsageError: no manifest, "-" twice, an unknown format, an unusable default, or too many templates.
        ManifestError: a file that is not there, may not be read, is of no known format, or needs a package; a
            table without a usable header.
    """
    names = tuple(str(path) for path in paths)
    table = None if each is None else str(each)
    if not names:
        raise UsageError("no manifest given")
    if (*names, table).count(STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read only once")
    if format is not None and format not in FORMATS:
        raise UsageError(f"unknown format: choose one of {', '.join(FORMATS)}")
    rules = checked_defaults(defaults, unchecked=unchecked)._replace(elsewhere=elsewhere)
    return Manifest(names, format, rules, stdin, table, keep, allow_empty, read_lines)


def _blocks(path: str, stdin: Readable | None, progress: Progress) -> tuple[str, Iterator[bytes]]:
    """Return the name without a suffix for compression, and the content."""
    if path == STANDARD_INPUT:
        return path, stream_blocks(stdin or _standard_input(), progress)
    decompress, name = decompressor(path)
    return name, file_blocks(path, decompress, progress)


def _standard_input() -> Readable:
    """Return it without Python's buffer, which is locked while a thread waits for input: exiting needs it."""
    try:
        return io.FileIO(0, closefd=False)
    except OSError as error:
        raise ManifestError(f"standard input: {error.strerror}") from None


def _items(readers: list[tuple[str, Iterator[Item]]], *, allow_empty: bool) -> Iterator[Found]:
    empty = []
    for path, reader in readers:
        shown, folder = visible(path), Path(path).parent  # a name that is no UTF-8 has to be written, too
        last = 0  # line that was read
        try:
            for line, item in reader:
                last = line + len(item.names) - 1 if type(item) is AlikeLines else line
                yield Origin(shown, line), folder, item
        except DumpError as dump:
            reason = str(dump)
        except BrokenError as broken:
            reason = f"{broken}; nothing from here on could be read"
        else:
            if not last:
                empty.append(shown)
            continue
        yield Origin(shown, last + 1), folder, Unreadable(reason)
    if not allow_empty and len(empty) == len(readers):
        raise ManifestError(f"{', '.join(empty)}: no definition is in it; if that is right: --allow-empty")
    if not allow_empty:
        for path in empty:
            yield Origin(path, 1), Path(path).parent, Unreadable("no definition is in it (--allow-empty)")


def _parts(
    items: Iterator[Found], defaults: Defaults, keep: Keep
) -> Generator[ManifestEntry | LineStretch, None, None]:
    alike = AlikeDefinitions(defaults)
    for origin, folder, item in items:
        if type(item) is AlikeLines:  # only where all are kept
            yield from alike.entries(item, origin, folder)
        elif keep is keep_all or keep(origin, item):  # asking costs a fiftieth of a definition
            yield alike.entry(item, origin, folder)


def _one_by_one(parts: Iterable[ManifestEntry | LineStretch]) -> Iterator[ManifestEntry]:
    for part in parts:
        if isinstance(part, LineStretch):
            yield from part
        else:
            yield part
