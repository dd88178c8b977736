"""A part of a manifest: just what a file of rejects names (``apply --only``)."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from bulkseed.errors import ManifestError
from bulkseed.manifest.location import is_manifest_url
from bulkseed.manifest.reader import STANDARD_INPUT
from bulkseed.manifest.templates.expand import places_of
from bulkseed.model import ManifestEntry, Origin

_MAX_LINE = 1024 * 1024
_SHOWN = 3

Wanted = str | Origin
"""A name, or for a line that had none its place."""


class Selection:
    """Names, and places of lines that had none, as ``bulkseed ledger rejects`` writes them.

    Kept in memory: what failed is few beside what is in a manifest. `size` is how many were named. The place
    of a template, or of a row of its table, stands for everything that is made with it.
    """

    def __init__(self, path: str, wanted: dict[Wanted, int], size: int) -> None:
        """`path`: the file of rejects; `wanted`: what is named there, with the number of its line."""
        self.size = size
        self._path = path
        self._given = wanted
        self._wanted = {key if isinstance(key, str) else _real(key): line for key, line in wanted.items()}
        self._missing = dict(self._wanted)

    def to_json(self) -> list[Any]:
        """Return it for another process, which has the same manifests at the same absolute paths."""
        named = [
            [key if isinstance(key, str) else [_changed(key.manifest, os.path.abspath), key.line], number]
            for key, number in self._given.items()
        ]
        return [self._path, named, self.size]

    @classmethod
    def from_json(cls, found: list[Any]) -> Selection:
        """Return what `to_json` gave."""
        path, named, size = found
        wanted: dict[Wanted, int] = {
            key if isinstance(key, str) else Origin(*key): number for key, number in named
        }
        return cls(path, wanted, size)

    def __contains__(self, entry: ManifestEntry) -> bool:
        keys: list[Wanted] = [_real(place) for place in (entry.origin, *places_of(entry.origin))]
        if entry.name is not None:
            keys.append(entry.name)
        found = [key for key in keys if key in self._wanted]
        for key in found:
            self._missing.pop(key, None)
        return bool(found)

    def of(self, manifest: Iterable[ManifestEntry]) -> Iterator[ManifestEntry]:
        """Yield the selected entries of a manifest.

        Raises:
            ManifestError: at the end, where something was not found.
        """
        for entry in manifest:
            if entry in self:
                yield entry
        if self._missing:
            shown = "; ".join(
                f"{self._path}:{line}: " + (f"no {key}" if isinstance(key, str) else f"nothing is at {key}")
                for key, line in islice(self._missing.items(), _SHOWN)
            )
            more = f"; and {len(self._missing) - _SHOWN:,} more" if len(self._missing) > _SHOWN else ""
            raise ManifestError(
                f"{shown}{more}. A name or a line was changed since these failed: "
                "run the command without --only, what is settled is not sent again"
            )


def read_selection(path: str | Path) -> Selection:
    """Read a file of rejects: JSON lines with ``secret_name``, or else ``manifest`` and ``line``.

    Raises:
        ManifestError: it cannot be read, or a line is not such an object.
    """
    return _selection(path, _rejects(path))


def read_selections(path: str | Path, targets: Collection[str]) -> dict[str, Selection]:
    """Read a file of rejects of many targets, whose lines have a ``target``: what it says of each.

    Raises:
        ManifestError: it cannot be read, or a line is not such an object, or names none of the targets.
    """
    parts: dict[str, list[tuple[int, dict[str, Any]]]] = {target: [] for target in targets}
    for number, reject in _rejects(path):
        if reject.get("target") not in parts:
            raise ManifestError(
                f"{path}:{number}: names no target of this run; "
                "take what `bulkseed ledger rejects` prints of its folder"
            )
        parts[reject["target"]].append((number, reject))
    return {target: _selection(path, part) for target, part in parts.items()}


def _selection(path: str | Path, rejects: Iterable[tuple[int, dict[str, Any]]]) -> Selection:
    wanted: dict[Wanted, int] = {}
    size = 0
    for number, reject in rejects:
        size += 1
        wanted.setdefault(_wanted(reject, f"{path}:{number}"), number)
    return Selection(str(path), wanted, size)


def _rejects(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that holds something."""
    number = 0
    try:
        with Path(path).open("rb") as stream:
            while line := stream.readline(_MAX_LINE):
                number += 1
                if line.strip():
                    yield number, _object(line, f"{path}:{number}")
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        reject = orjson.loads(line)
    except orjson.JSONDecodeError:
        reject = None
    if not isinstance(reject, dict):
        raise ManifestError(f"{where}: not a line of `bulkseed ledger rejects`")
    return reject


def _wanted(reject: dict[str, Any], where: str) -> Wanted:
    name, manifest, number = (reject.get(key) for key in ("secret_name", "manifest", "line"))
    if isinstance(name, str):
        return name  # wherever it is now
    if isinstance(manifest, str) and isinstance(number, int):
        return Origin(manifest, number)
    raise ManifestError(f"{where}: has neither secret_name nor manifest and line")


def _real(place: Origin) -> Origin:
    return Origin(_real_name(place.manifest), place.line)


@functools.lru_cache(maxsize=1024)
def _real_name(name: str) -> str:
    """Return a manifest's name, or that of a template and its table, with real paths."""
    return _changed(name, os.path.realpath)


def _changed(name: str, change: Callable[[str], str]) -> str:
    """Return a manifest's name with its paths changed."""
    template, at, table = name.partition("@")
    path, _, line = template.rpartition(":")
    if at and line.isdecimal():
        return f"{_path(path, change)}:{line}@{_path(table, change)}"
    return _path(name, change)


def _path(name: str, change: Callable[[str], str]) -> str:
    return name if name == STANDARD_INPUT or is_manifest_url(name) else change(name)
