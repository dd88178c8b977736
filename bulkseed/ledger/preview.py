"""What a run would do with a manifest, without writing to any ledger.

Names are remembered in a temporary SQLite file, so that memory stays flat however long the manifest is.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from bulkseed.ledger.reader import LedgerReader
from bulkseed.ledger.sqlite.file import in_words
from bulkseed.model import InvalidLine, ManifestEntry, Outcome, SecretDefinition

_NAMES = """
CREATE TABLE names (
    name TEXT PRIMARY KEY, manifest TEXT, line INTEGER, to_send INTEGER, deleted INTEGER
) WITHOUT ROWID"""
_REMEMBER = "INSERT INTO names VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING"
_SEEN = "UPDATE names SET deleted = ? WHERE name IN (SELECT value FROM json_each(?)) AND to_send"
_COUNT_SEEN = "SELECT count(*) FILTER (WHERE NOT deleted), count(*) FILTER (WHERE deleted) FROM names"
_NEXT = "SELECT name FROM names WHERE to_send AND name > ? ORDER BY name LIMIT ?"
_KNOWN = """
SELECT d.name, d.version_id, d.outcome
FROM json_each(?) AS wanted CROSS JOIN definitions AS d ON d.name = wanted.value"""


@dataclass(slots=True)
class Foreseen:
    """What a block of entries would come to; each entry is counted in exactly one field."""

    to_send: list[SecretDefinition] = field(default_factory=list)
    settled: Counter[Outcome] = field(default_factory=Counter)
    invalid: list[InvalidLine] = field(default_factory=list)


class Preview:
    """Looks at blocks of entries in the order they are read. `ledger` is None when there is none yet."""

    def __init__(self, ledger: LedgerReader | None) -> None:
        self._ledger = ledger
        self._names = sqlite3.connect("", isolation_level=None)  # a temporary file that SQLite removes
        self._names.execute(_NAMES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._names.close()

    def look(self, entries: Sequence[ManifestEntry]) -> Foreseen:
        """Sort `entries` into settled, invalid (duplicates included) and to be sent."""
        known = self._known([entry.name for entry in entries if isinstance(entry, SecretDefinition)])
        foreseen = Foreseen()
        self._names.execute("BEGIN")
        for entry in entries:
            if isinstance(entry, InvalidLine):
                foreseen.invalid.append(entry)
                continue
            version_id, outcome = known.get(entry.name, (None, None))
            settled = outcome is not None and outcome.settled and version_id == entry.version_id
            if self._names.execute(_REMEMBER, (entry.name, *entry.origin, not settled)).rowcount == 0:
                foreseen.invalid.append(self._duplicate(entry))
            elif settled and outcome is not None:
                foreseen.settled[outcome] += 1
            else:
                foreseen.to_send.append(entry)
        self._names.execute("COMMIT")
        return foreseen

    def saw(self, names: Sequence[str], *, deleted: bool) -> None:
        """Remember that the service has these names, or has them in their delete window."""
        self._names.execute(_SEEN, (deleted, json.dumps(names)))

    def seen(self) -> tuple[int, int]:
        """Return how many names to be sent the service has, and how many in their delete window.

        A name counts once, also when the service's list shifts while it is read.
        """
        existing, deleted = self._names.execute(_COUNT_SEEN).fetchone()
        return existing, deleted

    def names_to_send(self, size: int) -> Iterator[list[str]]:
        """Yield the names that are to be sent, `size` at a time."""
        last = ""
        while block := [name for (name,) in self._names.execute(_NEXT, (last, size))]:
            yield block
            last = block[-1]

    def _known(self, names: list[str]) -> dict[str, tuple[str, Outcome]]:
        if self._ledger is None:
            return {}
        with in_words(self._ledger.path):
            found = self._ledger.connection.execute(_KNOWN, (json.dumps(names),))
            return {name: (version_id, Outcome(outcome)) for name, version_id, outcome in found}

    def _duplicate(self, entry: SecretDefinition) -> InvalidLine:
        manifest, line = self._names.execute(
            "SELECT manifest, line FROM names WHERE name = ?", (entry.name,)
        ).fetchone()
        reason = f"duplicate: first seen on line {line} of {manifest}"
        return InvalidLine(entry.origin, (reason,), entry.name, entry.version_id)
