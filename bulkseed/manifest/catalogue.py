"""What a source has, as a manifest: names and versions of its secrets in a temporary file, never a value.

A listing is complete before anything is sent, so the total is exact, the order is stable, and two paths that
come to one name are both refused. The file is SQLite's own temporary one, which is gone with the process;
memory stays flat however long the listing is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bulkseed.manifest.definition import Defaults, to_entry
from bulkseed.manifest.formats.lines import Unreadable
from bulkseed.manifest.templates.expand import Keep, keep_all
from bulkseed.model import InvalidLine, ManifestEntry, Origin, UnreadValue

NAMED = 3
"""How many of the paths that come to one name are named in the reason."""

_TABLE = """
CREATE TABLE listed (
  id INTEGER PRIMARY KEY, source INTEGER, path TEXT, key TEXT, version TEXT, handle TEXT, name TEXT,
  problem TEXT, tags TEXT, description TEXT
)"""
_ADD = "INSERT INTO listed VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ALL = "SELECT source, path, key, version, handle, name, problem, tags, description FROM listed ORDER BY id"
_COLLISIONS = """
UPDATE listed SET problem = 'collision' WHERE problem IS NULL AND name IN
  (SELECT name FROM listed WHERE problem IS NULL GROUP BY name HAVING count(*) > 1)"""
_OTHERS = """
SELECT path, key FROM listed WHERE name = ? AND problem = 'collision' AND (path, coalesce(key, '')) <> (?, ?)
ORDER BY id LIMIT ?"""


class Listed(NamedTuple):
    """A secret of a listing. `source` counts the sources of one call; `tags` is the API's JSON text.

    `name` is None, and `problem` says why, where the secret cannot be moved.
    """

    source: int
    path: str
    key: str | None
    version: str | None
    handle: str
    name: str | None
    problem: str | None = None
    tags: str | None = None
    description: str | None = None


class Catalogue:
    """Takes a whole listing, then gives it back as entries of a manifest."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.execute(_TABLE)
        self.size = 0

    def add(self, listed: Iterable[Listed]) -> None:
        """Add a part of the listing."""
        self._file.execute("BEGIN")
        before = self._file.total_changes
        self._file.executemany(_ADD, listed)
        self.size += self._file.total_changes - before
        self._file.execute("COMMIT")

    def complete(self) -> None:
        """Find the names that several paths come to; call it when the listing is complete."""
        self._file.execute("CREATE INDEX by_name ON listed (name)")
        self._file.execute(_COLLISIONS)

    def has(self, name: str) -> bool:
        """Tell whether a secret of this name was listed, whatever is wrong with it."""
        return self._file.execute("SELECT 1 FROM listed WHERE name = ?", (name,)).fetchone() is not None

    def entries(
        self,
        labels: tuple[str, ...],
        defaults: tuple[Defaults, ...],
        unread: Callable[[Listed], UnreadValue],
        keep: Keep = keep_all,
    ) -> Iterator[ManifestEntry]:
        """Yield a definition without its value for each secret, in the order of the listing.

        `labels` and `defaults` are of the sources; `unread` gives the value that can be read later; `keep`
        is as for `open_manifest`.
        """
        for row in self._file.execute(_ALL):
            listed = Listed(*row)
            where = listed.path if listed.key is None else f"{listed.path} key {listed.key}"
            origin = Origin(labels[listed.source], where)
            item: dict[str, Any] = {"SecretName": listed.name}
            if listed.problem is not None:
                reason = self._reason(listed)
                if keep(origin, item if listed.name else Unreadable(reason)):
                    yield InvalidLine(origin, (reason,), listed.name, listed.version)
                continue
            extras: Mapping[str, str | None] = {
                "VersionId": listed.version,
                "Tags": listed.tags,
                "Description": listed.description,
            }
            item |= {key: text for key, text in extras.items() if text}
            if not keep(origin, item):
                continue
            entry = to_entry(item, origin, defaults[listed.source], Path(), unread(listed))
            if isinstance(entry, InvalidLine):
                reasons = (f"{_place(listed.path, listed.key)}: {entry.reasons[0]}", *entry.reasons[1:])
                entry = InvalidLine(origin, reasons, listed.name, listed.version)
            yield entry

    def _reason(self, listed: Listed) -> str:
        place = _place(listed.path, listed.key)
        if listed.problem != "collision":
            return f"{place} {listed.problem}"
        found = self._file.execute(
            _OTHERS, (listed.name, listed.path, listed.key or "", NAMED + 1)
        ).fetchall()
        others = ", ".join(_place(*other) for other in found[:NAMED]) + (" …" if len(found) > NAMED else "")
        return f"{place} would have the same name as {others or 'itself, listed twice'}"

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def _place(path: str, key: str | None) -> str:
    return f"'{path}'" if key is None else f"'{path}' key '{key}'"
