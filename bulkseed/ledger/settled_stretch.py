"""Compares a stretch of a manifest with the rows that were made of it, both in their order.

It tells only what is certain: every definition is settled, as the manifest still wants it, and its row says
where it is read. Nothing is then to be written but how many there were. All else is for `Block`, which looks
every name up.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from bulkseed.ledger.reader import IN_SETTLED
from bulkseed.stretch import LineStretch

_FIRST = "SELECT id FROM claims WHERE name = ? AND place = ?"
_ROWS = f"""
SELECT CAST(name AS BLOB), ending FROM definitions WHERE id >= ? AND id < ?
  AND source = ? AND place = id + ? AND version_id = ? AND wanted IS NULL AND ending {IN_SETTLED}
ORDER BY id"""  # noqa: S608  # fixed text


def find_settled(connection: sqlite3.Connection, stretch: LineStretch) -> tuple[range, Counter[str]] | None:
    """Return the ids of all rows of a stretch, and how often each end is among them; None: look closer."""
    source, line = stretch.origin
    found = connection.execute(_FIRST, (stretch.names[0].decode(), line)).fetchone()
    if found is None:
        return None
    ids = range(found[0], found[0] + len(stretch))
    where = (ids.start, ids.stop, source, int(line) - ids.start, stretch.version_id)
    rows = connection.execute(_ROWS, where).fetchall()
    if [name for name, _ in rows] != stretch.names:
        return None
    return ids, Counter([end for _, end in rows])
