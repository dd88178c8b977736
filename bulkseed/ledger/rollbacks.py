"""What a rollback does to a ledger: a claim before each deletion, its end after.

The rules that live here: only what is `created` or `adopted` is taken up; from the claim on it is pending
and in doubt, so that an apply which comes first finds out what became of it; once deleted it is pending and
no longer owned, so that an apply creates it again.
"""

from __future__ import annotations

from typing import NamedTuple

from bulkseed.ledger.creations import fold
from bulkseed.ledger.ledger import Ledger
from bulkseed.ledger.reader import LedgerReader
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome

TABLE = """
CREATE TABLE IF NOT EXISTS rollbacks (  -- what rollbacks did; made by the first one
  definition INTEGER NOT NULL REFERENCES claims (id),
  run        INTEGER NOT NULL REFERENCES runs (id),
  outcome    TEXT NOT NULL,     -- of the definition before: created or adopted
  made_at    INTEGER NOT NULL,  -- its settled_at before: what the service dates later is not ours
  dated      TEXT,              -- when it was created, as the service says; another time is another secret
  claimed_at INTEGER,           -- on disk before DeleteSecret is sent; NULL: it was not to be sent
  ended_at   INTEGER,           -- NULL: whether the secret was deleted is not known
  result     TEXT,              -- deleted, gone (not by us), changed or failed (left as it was),
                                -- unsent, resumed (by a later rollback), overtaken (by an apply)
  code       TEXT,
  message    TEXT,
  PRIMARY KEY (definition, run)
) WITHOUT ROWID"""

_UNFINISHED = """
FROM rollbacks r JOIN definitions d ON d.id = r.definition
WHERE r.ended_at IS NULL AND d.outcome = 'pending' AND d.run < r.run"""
"""Deletions whose fate is not known, of definitions that no apply has taken up since."""

_OVERTAKE = f"""
UPDATE rollbacks SET ended_at = ?, result = 'overtaken' WHERE ended_at IS NULL
AND (definition, run) NOT IN (SELECT r.definition, r.run {_UNFINISHED})"""  # noqa: S608  # fixed text

_OWNED = f"""
SELECT d.id, d.name, d.version_id, d.outcome, d.settled_at, d.first_sent_at, NULL, 0
FROM definitions d WHERE d.outcome IN ('created', 'adopted') AND d.id > ?
UNION ALL
SELECT d.id, d.name, d.version_id, r.outcome, r.made_at, d.first_sent_at, r.dated, 1 {_UNFINISHED}
  AND d.id > ?
ORDER BY 1 LIMIT ?"""  # noqa: S608  # fixed text


class OwnedRow(NamedTuple):
    """A definition to roll back; times in µs. `claimed`: an earlier rollback may have deleted it."""

    row_id: int
    name: str
    version_id: str
    outcome: str
    made_at: int
    first_sent_at: int | None
    dated: str | None
    claimed: bool


class Forecast(NamedTuple):
    """What a rollback would take up, from the ledger alone, and the first names of it."""

    to_delete: int
    unfinished: int  # among them: an earlier rollback may have deleted them
    others: int  # definitions that this ledger did not make, or that were taken up again since
    names: list[str]


def forecast(ledger: LedgerReader, names: int) -> Forecast:
    """Look at a ledger without writing to it."""
    made = ledger.one("SELECT count(*) FROM definitions WHERE outcome IN ('created', 'adopted')")
    rows = ledger.one("SELECT count(*) FROM definitions")
    unfinished = 0
    first = [name for (name,) in ledger.select(
        "SELECT name FROM definitions WHERE outcome IN ('created', 'adopted') ORDER BY id LIMIT ?", names
    )]  # fmt: skip
    if was_rolled_back(ledger):
        unfinished = ledger.one(f"SELECT count(*) {_UNFINISHED}")
        first = [row[1] for row in ledger.select(_OWNED, 0, 0, names)]
    return Forecast(made + unfinished, unfinished, rows - made - unfinished, first)


def rolled_back(ledger: LedgerReader) -> int:
    """Count what rollbacks have deleted or found gone, and no apply has taken up since."""
    if not was_rolled_back(ledger):
        return 0
    return ledger.one(
        "SELECT count(DISTINCT d.id) FROM definitions d JOIN rollbacks r ON r.definition = d.id"
        " WHERE r.result IN ('deleted', 'gone') AND d.outcome = 'pending' AND NOT d.doubt AND d.run < r.run"
    )


def was_rolled_back(ledger: LedgerReader) -> bool:
    """Tell whether the ledger has the table."""
    return ledger.one("SELECT count(*) FROM sqlite_master WHERE name = 'rollbacks'") > 0


class Rollbacks:
    """The part of a ledger that one rollback writes; begin its run first."""

    def __init__(self, ledger: Ledger, now: float) -> None:
        self._ledger = ledger
        with ledger.transaction():
            ledger.connection.execute(TABLE)
            ledger.connection.execute(_OVERTAKE, (round(now * 1e6),))
        self._run = ledger.one("SELECT max(id) FROM runs")

    def owned(self, after: int, limit: int) -> list[OwnedRow]:
        """Return the next rows, in the order of their ids."""
        return [OwnedRow._make(row) for row in self._ledger.select(_OWNED, after, after, limit)]

    def claim(self, row: OwnedRow, dated: str | None, now: float) -> None:
        """Put on disk that the secret may be deleted from now on."""
        at = round(now * 1e6)
        with self._ledger.transaction():
            self._close(row, at, "resumed")
            self._insert(row, dated, at, None, None)
            self._definition(row, "outcome = 'pending', settled_at = NULL, doubt = 1, owned = 0")
            if not row.claimed:
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
                    "outcome = 'pending', settled_at = NULL, doubt = 0, owned = 0, code = NULL, arn = NULL,"
                    " message = ?, status = ?, request_id = ?",
                    *(f"{undone.outcome} when it was rolled back", undone.status, undone.request_id),
                )
                if not known:
                    self._count("reopened")
            elif known:
                self._definition(
                    row, "outcome = ?, settled_at = ?, doubt = 0, owned = 1", row.outcome, row.made_at
                )
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
        fold(self._ledger.connection, [row.row_id])
        self._ledger.connection.execute(
            f"UPDATE claims SET {change} WHERE id = ?",  # noqa: S608  # our own text
            (*values, row.row_id),
        )

    def _count(self, column: str) -> None:
        self._ledger.connection.execute(
            f"UPDATE runs SET {column} = {column} + 1 WHERE id = ?",  # noqa: S608  # our own text
            (self._run,),
        )
