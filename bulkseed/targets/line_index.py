"""Where each target's lines begin in plain JSON-lines files: found by the survey, so that each reads its own.

Without it every target reads and decodes every line. It takes 12 bytes a line, however many targets take the
line: lines that go to the same targets share a list. What is compressed, encrypted or in another format has
no such places, and is read as a whole by each target.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import merge
from pathlib import Path
from typing import BinaryIO

from bulkseed.errors import ManifestError
from bulkseed.humanize import visible
from bulkseed.manifest.formats import json_lines
from bulkseed.manifest.formats.exact_json import decode
from bulkseed.manifest.formats.lines import MAX_BYTES, Item
from bulkseed.manifest.reader import LinesReader
from bulkseed.model import Origin

_BOM = b"\xef\xbb\xbf"
_NEWLINE = re.compile(rb"\n")


class LineIndex:
    """The lines of a run's manifests by target. `learn` is for the survey, `of` for the targets after it."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def learn(self, path: str, blocks: Iterable[bytes]) -> Iterator[Item]:
        """Read a file as ever, and note where its lines begin.

        Raises:
            ManifestError: it cannot be opened.
        """
        file = self._files[visible(path)] = _File(path)
        return json_lines.read(file.followed(blocks))

    def note(self, origin: Origin, route: tuple[str, ...]) -> None:
        """Note the targets of the line that was just read."""
        file = self._files.get(origin.manifest)
        if file is not None and isinstance(origin.line, int):
            file.note(origin.line, route)

    def of(self, target: str) -> LinesReader:
        """Return what reads the lines of one target. A file that has changed is a `ManifestError`."""
        return lambda path, _blocks: self._files[visible(path)].items(target)


class _File:
    def __init__(self, path: str) -> None:
        self._path = path
        with _opened(path) as file:
            self._state = _state(file)
            self._begin = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
        self._number = 1  # of the line that the first of `_starts` is the place of
        self._starts = deque([self._begin])
        self._routes: dict[tuple[str, ...], tuple[array[int], array[int]]] = {}

    def followed(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the blocks, which begin after the byte order mark."""
        at = self._begin
        for block in blocks:
            self._starts.extend([at + newline.end() for newline in _NEWLINE.finditer(block)])
            at += len(block)
            yield block

    def note(self, line: int, route: tuple[str, ...]) -> None:
        starts = self._starts
        while self._number < line:
            starts.popleft()
            self._number += 1
        if (lists := self._routes.get(route)) is None:
            lists = self._routes[route] = (array("I"), array("Q"))
        lists[0].append(line)
        lists[1].append(starts[0])

    def items(self, target: str) -> Iterator[Item]:
        mine = [zip(*lists, strict=True) for route, lists in self._routes.items() if target in route]
        with _opened(self._path) as file:
            if _state(file) != self._state:
                raise ManifestError(f"{self._path} changed while its targets were counted: run it again")
            for line, start in merge(*mine):
                file.seek(start)
                yield line, decode(file.readline(MAX_BYTES + 1).removesuffix(b"\n"))


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None


def _state(file: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
