"""Manifests in, definitions out: one after another, one definition in memory at a time."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bulkseed.errors import ManifestError, UsageError
from bulkseed.manifest.definition import Defaults, checked_defaults, to_entry
from bulkseed.manifest.formats import FORMATS, reader_for
from bulkseed.manifest.lines import Item
from bulkseed.manifest.source import BrokenError, Progress, Readable, decompressor, file_blocks, stream_blocks
from bulkseed.model import InvalidLine, ManifestEntry, Origin

STANDARD_INPUT = "-"


class Manifest:
    """The entries of one or more manifests, and how far the reading is. Use it in a `with`.

    `paths` are the names as given. `bytes_total` is the size of all files on disk, None when one has no size
    (a pipe); `bytes_read` is how much of that was read, so their quotient says about how much is done.
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        format: str | None,  # noqa: A002  # the name of the option
        defaults: Defaults,
        stdin: Readable | None,
    ) -> None:
        self.paths = paths
        self._progress = Progress()
        sizes = [_size(path) for path in paths]
        self.bytes_total = None if None in sizes else sum(size for size in sizes if size is not None)
        readers = [(path, self._reader(path, format, stdin)) for path in paths]
        self._entries = _entries(readers, defaults)

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, as they lie on disk (compressed)."""
        return self._progress.bytes_read

    def _reader(self, path: str, format: str | None, stdin: Readable | None) -> Iterator[Item]:  # noqa: A002  # as above
        if path == STANDARD_INPUT:
            return FORMATS[format or "jsonl"](stream_blocks(stdin or sys.stdin.buffer, self._progress))
        decompress, name = decompressor(path)
        return reader_for(name, format)(file_blocks(Path(path), decompress, self._progress))

    def __iter__(self) -> Iterator[ManifestEntry]:
        return self._entries  # saves a call per definition

    def __next__(self) -> ManifestEntry:
        return next(self._entries)

    def close(self) -> None:
        """Close the manifest that is open."""
        self._entries.close()

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
) -> Manifest:
    """Open manifests, to be read one after another as ``SecretDefinition | InvalidLine``.

    Args:
        paths: files; "-" is standard input.
        format: a row of `FORMATS`, for names whose suffix does not tell; standard input is jsonl without it.
        defaults: API parameters for definitions that lack them; `VersionId` is "v1" unless given.
        stdin: what "-" reads, instead of the process's own.

    What is wrong with the content is never raised: it is an `InvalidLine` among the others.

    Raises:
        UsageError: no manifest, "-" twice, an unknown format or an unusable default.
        ManifestError: a file that is not there, may not be read, is of no known format, or needs a package.
    """
    names = tuple(str(path) for path in paths)
    if not names:
        raise UsageError("no manifest given")
    if names.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read only once")
    if format is not None and format not in FORMATS:
        raise UsageError(f"unknown format: choose one of {', '.join(FORMATS)}")
    return Manifest(names, format, checked_defaults(defaults), stdin)


def _entries(
    readers: list[tuple[str, Iterator[Item]]], defaults: Defaults
) -> Generator[ManifestEntry, None, None]:
    for path, reader in readers:
        line = 0
        folder = Path(path).parent
        try:
            for line, item in reader:
                yield to_entry(item, Origin(path, line), defaults, folder)
            continue
        except BrokenError as broken:
            reason = str(broken)
        yield InvalidLine(Origin(path, line + 1), (f"{reason}; nothing from here on could be read",))


def _size(path: str) -> int | None:
    """Return the size of a file, None for a pipe or a device.

    Raises:
        ManifestError: it is not there, may not be read, or is a folder.
    """
    if path == STANDARD_INPUT:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116  # the name as given, for the message
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None
    if stat.S_ISDIR(status.st_mode):
        raise ManifestError(f"{path}: is a folder, not a manifest")
    if not os.access(path, os.R_OK):
        raise ManifestError(f"{path}: Permission denied")
    return status.st_size if stat.S_ISREG(status.st_mode) else None
