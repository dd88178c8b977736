"""What a rollback does to a ledger: a claim before each deletion, its end after.

The rules that live here: all that is owned is taken up, whatever we wrote to it since. From the claim on it
is pending and in doubt, so that an apply which comes first finds out what became of it. Once it is deleted it
is pending and no longer owned, so that an apply creates it again.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from bulkseed.ledger.admission import KEEP_VERSION
from bulkseed.ledger.creations import expand_created
from bulkseed.ledger.ledger import Ledger
from bulkseed.ledger.reader import LedgerReader
from bulkseed.model import SETTLED
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome

_ROLLABLE = """
FROM definitions d LEFT JOIN rollbacks r ON r.definition = d.id AND r.ended_at IS NULL
  AND d.outcome = 'pending' AND d.run < r.run
WHERE d.owned"""
"""What is ours, with the deletion whose fate is not known if no apply has taken it up since."""

_OVERTAKE = """
UPDATE rollbacks SET ended_at = ?, result = 'overtaken' WHERE ended_at IS NULL
AND NOT EXISTS (
  SELECT 1 FROM definitions d WHERE d.id = definition AND d.outcome = 'pending' AND d.run < rollbacks.run)"""

_OWNED = f"""
SELECT d.id, d.name, d.version_id, coalesce(r.outcome, d.ending),
  coalesce(r.made_at, d.settled_at, d.claimed_at), d.first_sent_at, r.dated, r.definition IS NOT NULL,
  d.doubt,
  (SELECT json_group_array(version_id) FROM
    (SELECT version_id FROM earlier_versions e WHERE e.definition = d.id ORDER BY e.run)),
  d.claimed_at, d.service_time
{_ROLLABLE} AND d.id > ? ORDER BY d.id LIMIT ?"""  # noqa: S608  # fixed text


_FORGET_VERSIONS = "DELETE FROM earlier_versions WHERE definition = ?"
_UNKEEP_VERSION = """
DELETE FROM earlier_versions WHERE definition = ?
AND run IN (SELECT id FROM runs WHERE command = 'rollback')"""


class OwnedRow(NamedTuple):
    """A definition to roll back; times in µs, `service_time` in seconds by the service's clock.

    `version_id` is the version that the service is known to have had in force, `versions` are all that this
    ledger wrote, the oldest first. `outcome` and `made_at` are those before a rollback. `claimed`: an earlier
    rollback may have deleted it. `doubtful`: the version whose writing is in doubt.
    """

    row_id: int
    name: str
    version_id: str
    outcome: str
    made_at: int
    first_sent_at: int | None
    dated: str | None
    claimed: bool
    versions: tuple[str, ...]
    doubtful: str | None
    claimed_at: int | None
    service_time: int | None


class Forecast(NamedTuple):
    """What a rollback would take up, from the ledger alone, and the first names of it."""

    to_delete: int
    unfinished: int  # among them: an earlier rollback may have deleted them
    others: int  # definitions that this ledger did not make, or that were taken up again since
    names: list[str]


def forecast(ledger: LedgerReader, names: int) -> Forecast:
    """Look at a ledger without writing to it."""
    to_delete, unfinished = next(
        ledger.select(f"SELECT count(*), count(r.definition) {_ROLLABLE}")
    )  # fixed text
    rows = ledger.one("SELECT count(*) FROM definitions")
    first = [row[1] for row in ledger.select(_OWNED, 0, names)]
    return Forecast(to_delete, unfinished, rows - to_delete, first)


def rolled_back(ledger: LedgerReader) -> int:
    """Count what rollbacks have deleted or found gone, and no apply has taken up since."""
    return ledger.one(
        "SELECT count(DISTINCT d.id) FROM definitions d JOIN rollbacks r ON r.definition = d.id"
        " WHERE r.result IN ('deleted', 'gone') AND d.outcome = 'pending' AND NOT d.doubt AND d.run < r.run"
    )


def _owned_row(columns: tuple[Any, ...]) -> OwnedRow:
    row_id, name, version_id, outcome, made_at, first_sent_at, dated, *rest = columns
    claimed, doubt, earlier, claimed_at, service_time = rest
    held = outcome in SETTLED
    versions = tuple(dict.fromkeys([*json.loads(earlier), *([version_id] if held else [])]))
    return OwnedRow(
        row_id,
        name,
        versions[-1] if versions else version_id,
        outcome,
        made_at,
        first_sent_at,
        dated,
        bool(claimed),
        versions,
        version_id if doubt and not held else None,
        claimed_at,
        service_time,
    )


class Rollbacks:
    """The part of a ledger that one rollback writes; begin its run first."""

    def __init__(self, ledger: Ledger, now: float) -> None:
        self._ledger = ledger
        with ledger.transaction():
            ledger.connection.execute(_OVERTAKE, (round(now * 1e6),))
        self._run = ledger.one("SELECT max(id) FROM runs")

    def owned(self, after: int, limit: int) -> list[OwnedRow]:
        """Return the next rows, in the order of their ids."""
        return [_owned_row(row) for row in self._ledger.select(_OWNED, after, limit)]

    def claim(self, row: OwnedRow, dated: str | None, now: float) -> None:
        """Put on disk that the secret may be deleted from now on."""
        at = round(now * 1e6)
        with self._ledger.transaction():
            self._close(row, at, "resumed")
            self._insert(row, dated, at, None, None)
            self._definition(row, "outcome = 'pending', settled_at = NULL, doubt = 1")
            if not row.claimed and row.outcome in SETTLED:
                self._ledger.connection.execute(KEEP_VERSION, (row.row_id, self._run, row.version_id))
                self._count("reopened")

    def end(self, row: OwnedRow, undone: RollbackEnd, now: float, *, claimed: bool, doubt: bool) -> None:
        """Write down how it ended. `claimed`: by this run; `doubt`: it may yet have been deleted."""
        if undone.outcome is RollbackOutcome.PENDING and (doubt or not claimed):
            return  # a claim stays open for the next run
        at = round(now * 1e6)
        known = claimed or row.claimed
        result = "unsent" if undone.outcome is RollbackOutcome.PENDING else undone.outcome.value
        with self._ledger.transaction():
            if not self._close(row, at, result, undone):
                self._insert(row, row.dated, None, at, result, undone)
            if undone.outcome in {RollbackOutcome.DELETED, RollbackOutcome.GONE}:
                self._definition(
                    row,
                    "outcome = 'pending', settled_at = NULL, doubt = 0, doubt_version = NULL, owned = 0,"
                    " wanted = NULL, code = NULL, arn = NULL, message = ?, status = ?, request_id = ?",
                    *(f"{undone.outcome} when it was rolled back", undone.status, undone.request_id),
                )
                self._ledger.connection.execute(_FORGET_VERSIONS, (row.row_id,))
                if not known and row.outcome in SETTLED:
                    self._count("reopened")
            elif known:
                settled_at = row.made_at if row.outcome in SETTLED else None
                doubt = row.doubtful is not None
                self._definition(
                    row, "outcome = ?, settled_at = ?, doubt = ?", row.outcome, settled_at, doubt
                )
                if row.outcome in SETTLED:
                    self._ledger.connection.execute(_UNKEEP_VERSION, (row.row_id,))
                    self._count("settled")

    def _close(self, row: OwnedRow, at: int, result: str, undone: RollbackEnd | None = None) -> bool:
        code, message = (undone.code, undone.message) if undone else (None, None)
        changed = self._ledger.connection.execute(
            "UPDATE rollbacks SET ended_at = ?, result = ?, code = ?, message = ?"
            " WHERE definition = ? AND ended_at IS NULL",
            (at, result, code, message, row.row_id),
        )
        return changed.rowcount > 0

    def _insert(
        self,
        row: OwnedRow,
        dated: str | None,
        claimed_at: int | None,
        ended_at: int | None,
        result: str | None,
        undone: RollbackEnd | None = None,
    ) -> None:
        code, message = (undone.code, undone.message) if undone else (None, None)
        self._ledger.connection.execute(
            "INSERT INTO rollbacks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(row.row_id, self._run, row.outcome, row.made_at),
                *(dated, claimed_at, ended_at, result, code, message),
            ),
        )

    def _definition(self, row: OwnedRow, change: str, *values: object) -> None:
        expand_created(self._ledger.connection, [row.row_id])
        self._ledger.connection.execute(
            f"UPDATE claims SET {change} WHERE id = ?",  # noqa: S608  # our own text
            (*values, row.row_id),
        )

    def _count(self, column: str) -> None:
        self._ledger.connection.execute(
            f"UPDATE runs SET {column} = {column} + 1 WHERE id = ?",  # noqa: S608  # our own text
            (self._run,),
        )
