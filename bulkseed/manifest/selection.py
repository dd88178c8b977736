"""A part of a manifest: just what a file of rejects names (``apply --only``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from bulkseed.errors import ManifestError
from bulkseed.manifest.templates.expand import places_of
from bulkseed.model import ManifestEntry

Place = tuple[str, int]


class Selection:
    """Names, and places of lines that had none or were not valid, as ``bulkseed ledger rejects`` writes them.

    Kept in memory: what failed is few beside what is in a manifest. `size` is how many were named. The place
    of a template, or of a row of its table, stands for everything that is made with it.
    """

    def __init__(self, names: set[str], places: set[Place], size: int) -> None:
        self.names = names
        self.places = places
        self.size = size

    def __contains__(self, entry: ManifestEntry) -> bool:
        places = (entry.origin, *places_of(entry.origin))
        return entry.name in self.names or not self.places.isdisjoint(places)

    def of(self, manifest: Iterable[ManifestEntry]) -> Iterator[ManifestEntry]:
        """Yield the selected entries of a manifest."""
        return (entry for entry in manifest if entry in self)


def read_selection(path: str | Path) -> Selection:
    """Read a file of rejects: JSON lines with ``secret_name``, ``manifest`` and ``line``.

    Raises:
        ManifestError: it cannot be read, or a line is not such an object.
    """
    names: set[str] = set()
    places: set[Place] = set()
    size = 0
    try:
        with Path(path).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    size += 1
                    name, place = _reject(line, f"{path}:{number}")
                    if name is not None:
                        names.add(name)
                    if place is not None:
                        places.add(place)
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None
    return Selection(names, places, size)


def _reject(line: bytes, where: str) -> tuple[str | None, Place | None]:
    try:
        reject = orjson.loads(line)
    except orjson.JSONDecodeError:
        reject = None
    if not isinstance(reject, dict):
        raise ManifestError(f"{where}: not a line of `bulkseed ledger rejects`")
    name, manifest, number = (reject.get(key) for key in ("secret_name", "manifest", "line"))
    place = (manifest, number) if isinstance(manifest, str) and isinstance(number, int) else None
    if not isinstance(name, str):
        name = None
    if name is None and place is None:
        raise ManifestError(f"{where}: has neither secret_name nor manifest and line")
    return name, place
