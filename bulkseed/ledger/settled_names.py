"""The settled names of a ledger, and those of ours that have failed since, less those found at the service.

They stand in a temporary SQLite file, so that memory stays flat however many they are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from bulkseed.ledger.reader import IN_SETTLED, LedgerReader

_NEXT = "SELECT name FROM names WHERE name > ? ORDER BY name LIMIT ?"


class SettledNames:
    """The names that were not seen yet. `scheduled`: what is in its delete window counts as not seen.

    But for what is ours and open: it is taken back where it is followed, and stays ours.
    """

    def __init__(self, connection: sqlite3.Connection, *, scheduled: bool) -> None:
        self._connection = connection
        self._scheduled = scheduled
        self.leaving = 0  # of those taken away, how many are in their delete window

    def count(self) -> int:
        """Return how many they are."""
        (count,) = self._connection.execute("SELECT count(*) FROM names").fetchone()
        return int(count)

    def names(self, size: int) -> Iterator[list[str]]:
        """Yield them, `size` at a time."""
        last = ""
        while block := [name for (name,) in self._connection.execute(_NEXT, (last, size))]:
            yield block
            last = block[-1]

    def saw(self, names: Sequence[str], *, deleted: bool) -> None:
        """Take these away: the service has them, if only in their delete window."""
        kept = deleted and self._scheduled
        taken = self._connection.execute(
            "DELETE FROM names WHERE name IN (SELECT value FROM json_each(?)) AND open >= ?",
            (json.dumps(names), kept),
        )
        self.leaving += taken.rowcount if deleted and not kept else 0

    def all(self) -> list[str]:
        """Return what is left."""
        return [name for (name,) in self._connection.execute("SELECT name FROM names ORDER BY name")]


@contextmanager
def settled_names(ledger: LedgerReader, *, scheduled: bool = False) -> Iterator[SettledNames]:
    """Give the names that a ledger has as settled, or as ours; `scheduled` as in `SettledNames`."""
    query = f"SELECT name, NOT ending {IN_SETTLED} FROM definitions WHERE owned OR ending {IN_SETTLED}"  # noqa: S608  # fixed text
    with closing(sqlite3.connect("", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE names (name TEXT PRIMARY KEY, open INTEGER) WITHOUT ROWID")
        connection.executemany("INSERT INTO names VALUES (?, ?)", ledger.select(query))
        yield SettledNames(connection, scheduled=scheduled)
