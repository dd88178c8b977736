"""A part of a manifest: just what a file of rejects names (``apply --only``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import orjson

from bulkseed.errors import ManifestError
from bulkseed.model import InvalidLine, ManifestEntry, Outcome

_MAX_LINE = 1024 * 1024
_SHOWN = 3
DUPLICATE = "duplicate: the manifest has this name before"

Known = Callable[[str], int | None]
"""Returns the number of a name's row in the ledger; None for a name that had none before this run."""


class Whole(Protocol):
    """All entries of some manifests, which `paths` are the names of."""

    paths: tuple[str, ...]

    def __iter__(self) -> Iterator[ManifestEntry]: ...


class Selection:
    """What ``bulkseed ledger rejects`` has written: names, and invalid lines.

    Lines move and get other names when a file is corrected. So an invalid line stands for all that is invalid
    or that the ledger does not know. Names are kept in memory: what failed is few beside a manifest.
    """

    def __init__(self, path: str, names: dict[str, int], invalid: list[int]) -> None:
        """`names`: with the numbers of their lines in the file at `path`; `invalid`: of invalid ones."""
        self._path = path
        self._names = names
        self._invalid = invalid
        self._taken_as_new = 0

    @property
    def more(self) -> int:
        """How many more lines that the ledger does not know were taken than the rejects have invalid ones."""
        return max(0, self._taken_as_new - len(self._invalid))

    @property
    def size(self) -> int | None:
        """How many entries are taken; None where only reading tells."""
        return None if self._invalid else len(self._names)

    @property
    def likely(self) -> int:
        """How many entries are taken if each invalid line was corrected where it stood."""
        return len(self._names) + len(self._invalid)

    def more_in_words(self) -> str | None:
        """Say what was taken that the rejects do not name; None if that is nothing."""
        if not self.more:
            return None
        return (
            f"{self.more:,} more are new to the ledger than {self._path} has invalid lines, and were "
            "taken, too: a corrected line cannot be told from a new one"
        )

    def to_json(self) -> list[Any]:
        """Return it for another process, which does not see what the ledger knows.

        Raises:
            ManifestError: a line was invalid.
        """
        if self._invalid:
            raise ManifestError(
                f"{self._path}:{self._invalid[0]}: an invalid line is not found again on a cluster: "
                "leave --only out, what is settled is not sent again"
            )
        return [self._path, self._names]

    @classmethod
    def from_json(cls, found: list[Any]) -> Selection:
        """Return what `to_json` gave."""
        path, names = found
        return cls(path, names, [])

    def of(self, manifest: Whole, known: Known | None) -> Iterable[ManifestEntry]:
        """Return the selected entries of a manifest, to be read once. Without a ledger nothing is `known`.

        Raises:
            ManifestError: at the end, where a name was not found.
        """
        if not self._invalid:
            return self._named(manifest)
        return _WholeManifests(self._named_or_new(manifest, known or (lambda _name: None)), manifest.paths)

    def _named(self, manifest: Iterable[ManifestEntry]) -> Iterator[ManifestEntry]:
        missing = dict(self._names)
        for entry in manifest:
            if entry.name in self._names:
                missing.pop(entry.name or "", None)
                yield entry
        self._refuse(missing)

    def _named_or_new(self, manifest: Iterable[ManifestEntry], known: Known) -> Iterator[ManifestEntry]:
        missing = dict(self._names)
        passed = set[int]()
        for entry in manifest:
            row_id = None if isinstance(entry, InvalidLine) else known(entry.name)
            if entry.name in self._names:
                missing.pop(entry.name or "", None)
                yield entry
            elif row_id is None:
                self._taken_as_new += not isinstance(entry, InvalidLine)
                yield entry
            elif row_id in passed:
                yield InvalidLine(entry.origin, (DUPLICATE,), entry.name)
            else:
                passed.add(row_id)
        self._refuse(missing)

    def _refuse(self, missing: dict[str, int]) -> None:
        if missing:
            first = islice(missing.items(), _SHOWN)
            shown = "; ".join(f"{self._path}:{line}: no {name}" for name, line in first)
            more = f"; and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
            raise ManifestError(
                f"{shown}{more}. A name was changed since it failed: "
                "run the command without --only, what is settled is not sent again"
            )


class _WholeManifests(Iterator[ManifestEntry]):
    """Entries among which is all that is invalid in these manifests: see `bulkseed.engine.run.ReadsPaths`."""

    def __init__(self, entries: Iterator[ManifestEntry], paths: tuple[str, ...]) -> None:
        self._entries = entries
        self.paths = paths

    def __next__(self) -> ManifestEntry:
        return next(self._entries)


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
    names: dict[str, int] = {}
    invalid: list[int] = []
    for number, reject in rejects:
        name = reject.get("secret_name")
        if reject.get("outcome") == Outcome.INVALID:
            invalid.append(number)
        elif isinstance(name, str):
            names.setdefault(name, number)
        else:
            raise ManifestError(f"{path}:{number}: has no secret_name, and its outcome is not invalid")
    return Selection(str(path), names, invalid)


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
