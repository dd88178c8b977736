"""What a run would do with a manifest, without writing to any ledger.

Names are remembered in a temporary SQLite file, so that memory stays flat however long the manifest is.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

from bulkseed.ledger.reader import SETTLED_ENDINGS, LedgerReader
from bulkseed.ledger.rows import duplicate
from bulkseed.ledger.sqlite.file import in_words
from bulkseed.model import InvalidLine, ManifestEntry, Outcome, SecretDefinition

_NAMES = """
CREATE TABLE names (
    name TEXT PRIMARY KEY, source TEXT, place, to_send INTEGER, deleted INTEGER
) WITHOUT ROWID"""
_REMEMBER = "INSERT INTO names VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING"
_SEEN = "UPDATE names SET deleted = ? WHERE name IN (SELECT value FROM json_each(?))"
_COUNT_SEEN = """
SELECT count(*) FILTER (WHERE NOT deleted), count(*) FILTER (WHERE deleted) FROM names WHERE to_send"""
_COUNT_CHANGED = "SELECT count(*) FROM names WHERE to_send = 2 AND NOT deleted"
_NEXT = "SELECT name FROM names WHERE name > ? ORDER BY name LIMIT ?"
_GONE = "SELECT name FROM names WHERE NOT to_send AND deleted IS NULL ORDER BY name"
_KNOWN = """
SELECT d.name, d.version_id, d.ending, d.owned, r.compares
FROM json_each(?) AS names CROSS JOIN definitions AS d ON d.name = names.value
JOIN runs AS r ON r.id = d.run"""


@dataclass(slots=True)
class Foreseen:
    """What a block of entries would come to; each entry is counted in exactly one field, but for `changed`.

    `changed` names those to send that are secrets of ours with another VersionId.
    """

    to_send: list[SecretDefinition] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    settled: Counter[Outcome] = field(default_factory=Counter)
    invalid: list[InvalidLine] = field(default_factory=list)


class _Known(NamedTuple):
    version_id: str
    ending: str
    owned: bool
    compared: bool


class Preview:
    """Looks at blocks of entries in the order they are read. `ledger` is None when there is none yet.

    `follow` and `reopen` are those of `Ledger.begin_run`.
    """

    def __init__(
        self, ledger: LedgerReader | None, *, follow: bool = True, reopen: Collection[Outcome] = ()
    ) -> None:
        self._ledger = ledger
        self._follow = follow
        self._reopen = frozenset(reopen)
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
            outcome = self._outcome(entry, known.get(entry.name))
            changed = outcome is None and entry.name in known and known[entry.name].owned
            sends = (outcome is None) + changed  # 2: it is there, and changes
            if self._names.execute(_REMEMBER, (entry.name, *entry.origin, sends)).rowcount == 0:
                foreseen.invalid.append(self._duplicate(entry))
            elif outcome is not None:
                foreseen.settled[outcome] += 1
            else:
                foreseen.to_send.append(entry)
                if changed:
                    foreseen.changed.add(entry.name)
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

    def changed_seen(self) -> int:
        """Return how many of those that the service has are ours, with another VersionId."""
        (count,) = self._names.execute(_COUNT_CHANGED).fetchone()
        return int(count)

    def gone(self) -> Iterator[str]:
        """Yield the names that are settled and that the service does not have, once it was asked for all."""
        return (name for (name,) in self._names.execute(_GONE))

    def names(self, size: int) -> Iterator[list[str]]:
        """Yield all names, `size` at a time."""
        last = ""
        while block := [name for (name,) in self._names.execute(_NEXT, (last, size))]:
            yield block
            last = block[-1]

    def _outcome(self, entry: SecretDefinition, known: _Known | None) -> Outcome | None:
        """Return what it counts as if a run leaves it alone."""
        if known is None or known.ending not in SETTLED_ENDINGS:
            return None
        if known.version_id == entry.version_id:
            again = known.ending in self._reopen and not known.owned and not known.compared
            return None if again else Outcome(known.ending)
        return Outcome.BEHIND if known.owned and not self._follow else None

    def _known(self, names: list[str]) -> dict[str, _Known]:
        if self._ledger is None:
            return {}
        with in_words(self._ledger.path):
            found = self._ledger.connection.execute(_KNOWN, (json.dumps(names),))
            return {name: _Known(*rest) for name, *rest in found}

    def _duplicate(self, entry: SecretDefinition) -> InvalidLine:
        first = self._names.execute("SELECT source, place FROM names WHERE name = ?", (entry.name,))
        return duplicate(entry, *first.fetchone())
