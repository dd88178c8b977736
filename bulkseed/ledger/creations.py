"""Compact rows for created secrets, and their expansion when a claim is opened again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import chain

from bulkseed.ledger.records import Creation
from bulkseed.ledger.sqlite.bulk_insert import BulkStatement

_ADD = BulkStatement(
    "INSERT OR IGNORE INTO creations (run, id, sent_at, latency, request_id, arn, service_time)"
    " SELECT ?, id, round(column2 * 1e6), round(column3 * 1e6), column4, column5, column6 FROM (VALUES ",
    "(?, ?, ?, ?, ?, ?)",
    ") CROSS JOIN claims ON id = column1 AND outcome = 'pending'",
)
_EXPAND = (
    """
UPDATE claims SET outcome = 'created', code = NULL, message = NULL, status = 200,
  request_id = made.request_id, arn = made.arn, attempts = attempts + 1,
  first_sent_at = coalesce(first_sent_at, sent_at), settled_at = sent_at + latency, doubt = 0, owned = 1,
  doubt_version = NULL, service_time = coalesce(made.service_time, claims.service_time)
FROM creations AS made WHERE made.id = claims.id AND claims.id IN (SELECT value FROM json_each(?))""",
    """
INSERT INTO other_attempts SELECT id, run, 'create', sent_at, latency, 200, NULL
FROM creations WHERE id IN (SELECT value FROM json_each(?))""",
    "DELETE FROM creations WHERE id IN (SELECT value FROM json_each(?))",
)


def add_creations(connection: sqlite3.Connection, run: int, creations: Sequence[Creation]) -> int:
    """Write them down; return how many were of pending claims, others are left out."""
    return _ADD.run(connection, list(chain.from_iterable(creations)), run)


def expand_created(connection: sqlite3.Connection, row_ids: Sequence[int]) -> None:
    """Move what these claims have in `creations` to the other tables, because they are to be changed."""
    if row_ids:
        for statement in _EXPAND:
            connection.execute(statement, (json.dumps(row_ids),))
