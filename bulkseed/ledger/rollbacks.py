"""What a rollback does to a ledger: a claim before each request, its end after.

The rules that live here: all that is owned is taken up, whatever we wrote to it since; to put values back,
what this ledger updated last. From the claim on it is pending and in doubt, so that an apply which comes
first finds out what became of it. Once it is deleted it is pending and no longer owned, so that an apply
creates it again. Once its version before is back in force, the row names that version.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol

from bulkseed.ledger.admission import KEEP_VERSION
from bulkseed.ledger.creations import expand_created
from bulkseed.ledger.ledger import Ledger
from bulkseed.ledger.reader import SETTLED_ENDINGS, LedgerReader
from bulkseed.policy.jobs import ROLLBACK
from bulkseed.policy.rollback import (
    FOR_GOOD,
    RESTORABLE_UNTIL,
    WHEN_ROLLED_BACK,
    RollbackEnd,
    RollbackOutcome,
)

_ROLLABLE = """
FROM definitions d LEFT JOIN rollbacks r ON r.definition = d.id AND r.ended_at IS NULL
  AND d.outcome = 'pending' AND d.run < r.run
WHERE d.owned"""
"""What is ours, with the deletion whose fate is not known if no apply has taken it up since."""

_OVERTAKE = """
UPDATE rollbacks SET ended_at = ?, result = 'overtaken' WHERE ended_at IS NULL
AND NOT EXISTS (
  SELECT 1 FROM definitions d WHERE d.id = definition AND d.outcome = 'pending' AND d.run < rollbacks.run)"""

_BEFORE = f"""
FROM earlier_versions e WHERE e.definition = d.id AND e.run > 0 AND e.version_id != d.version_id
  AND e.run NOT IN (SELECT id FROM runs WHERE command = '{ROLLBACK.name}')"""  # noqa: S608  # fixed text
"""Versions that an apply has replaced; one that a rollback took out of force does not go back into it."""

_RESTORABLE = f"""
FROM definitions d LEFT JOIN rollbacks r ON r.definition = d.id AND r.ended_at IS NULL
  AND d.outcome = 'pending' AND d.run < r.run AND r.restores IS NOT NULL
WHERE d.owned AND (r.definition IS NOT NULL OR (d.ending = 'updated'
  AND EXISTS (SELECT 1 {_BEFORE})))
  AND NOT EXISTS (
    SELECT 1 FROM rollbacks b WHERE b.definition = d.id AND b.result = 'restored' AND d.run < b.run)"""  # noqa: S608  # fixed text
"""What this ledger updated and has not put back since."""

_DELETED = """NOT d.owned AND NOT d.doubt AND EXISTS (
  SELECT 1 FROM rollbacks r WHERE r.definition = d.id AND r.result IN ('deleted', 'gone'))"""
IS_ROLLED_BACK = f"d.outcome = 'pending' AND {_DELETED}"
"""Of a definition `d`: a rollback has deleted it or found it gone, and no apply has had an answer since."""
_DELETED_BEFORE = f"d.outcome IN ('pending', 'rejected', 'exhausted') AND {_DELETED}"
"""As `IS_ROLLED_BACK`, or an apply has tried to make it again since, and could not."""
_ROLLED_BACK = f"FROM definitions d WHERE {IS_ROLLED_BACK}"

_LATEST = """
FROM definitions d JOIN rollbacks r ON r.definition = d.id
  AND r.run = (SELECT max(b.run) FROM rollbacks b WHERE b.definition = d.id)"""

_COLUMNS = f"""
SELECT d.id, d.name, d.version_id, coalesce(r.outcome, d.ending),
  coalesce(r.made_at, d.settled_at, d.claimed_at), d.first_sent_at, r.dated, r.definition IS NOT NULL,
  r.restores IS NOT NULL,
  d.doubt,
  (SELECT json_group_array(version_id) FROM
    (SELECT version_id FROM earlier_versions e WHERE e.definition = d.id AND e.run > 0 ORDER BY e.run)),
  d.claimed_at, d.service_time,
  EXISTS (SELECT 1 FROM rollbacks b WHERE b.definition = d.id AND b.result = 'deleted' AND b.run < d.run),
  (SELECT e.version_id {_BEFORE} ORDER BY e.run DESC LIMIT 1)"""  # noqa: S608  # fixed text
_NEXT = " AND d.id > ? ORDER BY d.id LIMIT ?"
_OWNED, _UPDATED = f"{_COLUMNS}{_ROLLABLE}{_NEXT}", f"{_COLUMNS}{_RESTORABLE}{_NEXT}"

_FORGET_VERSIONS = "DELETE FROM earlier_versions WHERE definition = ? AND (run < 0 OR ?)"
_HIDE_VERSIONS = "UPDATE earlier_versions SET run = -run WHERE definition = ?"
_UNKEEP_VERSION = f"""
DELETE FROM earlier_versions WHERE definition = ? AND version_id = ?
AND run IN (SELECT id FROM runs WHERE command = '{ROLLBACK.name}')"""  # noqa: S608  # fixed text


class OwnedRow(NamedTuple):
    """A definition to roll back; times in µs, `service_time` in seconds by the service's clock.

    `version_id` is the version that the service is known to have had in force, `versions` are all that this
    ledger wrote, the oldest first. `last` is the one that the row names, `superseded` the one before it.
    `outcome` and `made_at` are those before a rollback. `claimed`: an earlier rollback may have deleted it,
    `restoring`: may have put `superseded` back. `doubtful`: the version whose writing is in doubt.
    `taken_back`: a rollback had deleted it, and an apply took it back from its delete window.
    """

    row_id: int
    name: str
    version_id: str
    outcome: str
    made_at: int
    first_sent_at: int | None
    dated: str | None
    claimed: bool
    restoring: bool
    versions: tuple[str, ...]
    doubtful: str | None
    claimed_at: int | None
    service_time: int | None
    last: str
    superseded: str | None
    taken_back: bool

    @property
    def reopened(self) -> bool:
        """Whether a claim of an earlier rollback has made it pending."""
        return self.claimed or self.restoring

    def in_doubt(self, *, restore_values: bool) -> bool:
        """Whether an earlier rollback may have done what this one is to do."""
        return self.restoring if restore_values else self.claimed


class Forecast(NamedTuple):
    """What a rollback would take up, from the ledger alone, and the first of it."""

    total: int
    unfinished: int  # among them: an earlier rollback may have done it
    others: int  # definitions that this ledger did not make or update, or that were taken up again since
    first: list[OwnedRow]


class DeleteWindow(NamedTuple):
    """How many secrets may be in their delete window, and when the first ends, in the service's own words.

    None: no answer named a time, as where the answer to a deletion was lost.
    """

    secrets: int
    until: str | None


def forecast(ledger: LedgerReader, first: int, *, restore_values: bool = False) -> Forecast:
    """Look at a ledger without writing to it; of the first rows return this many."""
    what, query = (_RESTORABLE, _UPDATED) if restore_values else (_ROLLABLE, _OWNED)
    total, unfinished = next(ledger.select(f"SELECT count(*), count(r.definition) {what}"))
    rows = ledger.one("SELECT count(*) FROM definitions")
    return Forecast(
        total, unfinished, rows - total, [_owned_row(row) for row in ledger.select(query, 0, first)]
    )


def rolled_back(ledger: LedgerReader) -> int:
    """Count what rollbacks have deleted or found gone, and no apply has taken up since."""
    return ledger.one(f"SELECT count(*) {_ROLLED_BACK}")


def delete_window(ledger: LedgerReader) -> DeleteWindow:
    """Look for secrets that `deleted_before` counts and that may be in their delete window."""
    found = ledger.select(
        "SELECT count(*), min(iif(r.message LIKE ?1 || '%', substr(r.message, length(?1) + 1), NULL))"
        f" {_LATEST} WHERE {_DELETED_BEFORE} AND r.message IS NOT ?2",
        *(RESTORABLE_UNTIL, FOR_GOOD),
    )
    return DeleteWindow(*next(found))


def left_alone(ledger: LedgerReader, most: int) -> tuple[int, list[tuple[str, str]]]:
    """Count the secrets of ours that a rollback left as they were; return names and reasons of the first."""
    what = f"{_LATEST} WHERE d.owned AND r.result IN ('changed', 'failed')"
    names = ledger.select(f"SELECT d.name, r.message {what} ORDER BY d.id LIMIT ?", most)
    return ledger.one(f"SELECT count(*) {what}"), [(name, reason) for name, reason in names]


def deleted_before(ledger: LedgerReader) -> int:
    """Count what `rolled_back` counts, and what applies tried to make again since, and could not."""
    return ledger.one(
        f"SELECT count(*) FROM definitions d WHERE {_DELETED_BEFORE}"  # noqa: S608  # fixed text
    )


def taken_back(ledger: LedgerReader, run_id: str | None = None) -> int:
    """Count the adopted ones that a rollback had deleted, and an apply took back: any, or this run."""
    found: int
    (found,) = next(
        ledger.select(
            "SELECT count(*) FROM definitions d WHERE d.outcome = 'adopted' AND EXISTS"
            " (SELECT 1 FROM rollbacks b"
            " WHERE b.definition = d.id AND b.result = 'deleted' AND b.run < d.run)"
            " AND (?1 IS NULL OR d.run = (SELECT id FROM runs WHERE run_id = ?1))",
            run_id,
        )
    )
    return found


def had_version(ledger: LedgerReader, name: str, version_id: str) -> bool:
    """Tell whether a secret had a version by this ledger that is in force no more: it cannot be put again."""
    return any(
        ledger.select(
            "SELECT 1 FROM earlier_versions e JOIN definitions d ON d.id = e.definition"
            " WHERE d.name = ? AND e.version_id = ? AND e.run > 0",
            *(name, version_id),
        )
    )


def put_back(ledger: LedgerReader) -> int:
    """Count what rollbacks have put back to the version before, and no apply has taken up since."""
    return ledger.one(
        "SELECT count(*) FROM definitions d WHERE d.outcome = 'updated' AND EXISTS"
        " (SELECT 1 FROM rollbacks b WHERE b.definition = d.id AND b.result = 'restored' AND d.run < b.run)"
    )


def is_rolled_back(ledger: LedgerReader, name: str) -> bool:
    """Tell whether a secret is among those that `rolled_back` counts."""
    return any(ledger.select(f"SELECT 1 {_ROLLED_BACK} AND d.name = ?", name))


def _owned_row(columns: tuple[Any, ...]) -> OwnedRow:
    row_id, name, version_id, outcome, made_at, first_sent_at, dated, *rest = columns
    open_claim, restoring, doubt, earlier_texts, claimed_at, service_time, taken_back, superseded = rest
    held = outcome in SETTLED_ENDINGS
    earlier: list[str] = json.loads(earlier_texts)
    versions = tuple(dict.fromkeys([*earlier, *([version_id] if held else [])]))
    return OwnedRow(
        row_id,
        name,
        version_id if held or not earlier else earlier[-1],
        outcome,
        made_at,
        first_sent_at,
        dated,
        bool(open_claim) and not restoring,
        bool(restoring),
        versions,
        version_id if doubt and not held else None,
        claimed_at,
        service_time,
        version_id,
        superseded,
        bool(taken_back),
    )


class RollbacksPort(Protocol):
    """What a rollback needs of its part of a ledger, wherever that is; see `Rollbacks`."""

    def owned(self, after: int, limit: int) -> list[OwnedRow]:
        """Return the next rows, in the order of their ids."""
        ...

    def claim(self, row: OwnedRow, dated: str | None, now: float) -> None:
        """Put on disk that the secret may be deleted, or get its version back, from now on."""
        ...

    def end(self, row: OwnedRow, undone: RollbackEnd, now: float, *, claimed: bool, doubt: bool) -> None:
        """Write down how it ended."""
        ...


class Rollbacks:
    """The part of a ledger that one rollback writes; begin its run first.

    `restore_values`: it puts versions back in force, and deletes nothing.
    """

    def __init__(self, ledger: Ledger, now: float, *, restore_values: bool = False) -> None:
        self._ledger = ledger
        self._restores = restore_values
        with ledger.transaction():
            ledger.connection.execute(_OVERTAKE, (round(now * 1e6),))
        self._run = ledger.one("SELECT max(id) FROM runs")

    def owned(self, after: int, limit: int) -> list[OwnedRow]:
        """Return the next rows, in the order of their ids."""
        query = _UPDATED if self._restores else _OWNED
        return [_owned_row(row) for row in self._ledger.select(query, after, limit)]

    def claim(self, row: OwnedRow, dated: str | None, now: float) -> None:
        """Put on disk that the secret may be deleted, or get its version back, from now on."""
        at = round(now * 1e6)
        with self._ledger.transaction():
            self._close(row, at, "resumed")
            self._insert(row, dated, at, None, None)
            self._definition(row, "outcome = 'pending', settled_at = NULL, doubt = 1")
            if not row.reopened and row.outcome in SETTLED_ENDINGS:
                self._ledger.connection.execute(KEEP_VERSION, (row.row_id, self._run, row.version_id))
                self._count("reopened")

    def end(self, row: OwnedRow, undone: RollbackEnd, now: float, *, claimed: bool, doubt: bool) -> None:
        """Write down how it ended. `claimed`: by this run; `doubt`: it may yet have been deleted."""
        if undone.outcome is RollbackOutcome.PENDING and (doubt or not claimed):
            return  # a claim stays open for the next run
        at = round(now * 1e6)
        known = claimed or row.reopened
        result = "unsent" if undone.outcome is RollbackOutcome.PENDING else undone.outcome.value
        with self._ledger.transaction():
            if not self._close(row, at, result, undone):
                self._insert(row, row.dated, None, at, result, undone)
            if undone.outcome in {RollbackOutcome.DELETED, RollbackOutcome.GONE}:
                self._definition(
                    row,
                    "outcome = 'pending', settled_at = NULL, doubt = 0, doubt_version = NULL, owned = 0,"
                    " wanted = NULL, code = NULL, arn = NULL, message = ?, status = ?, request_id = ?",
                    *(f"{undone.outcome} {WHEN_ROLLED_BACK}", undone.status, undone.request_id),
                )
                gone = undone.outcome is RollbackOutcome.GONE  # what comes back is another secret
                self._ledger.connection.execute(_FORGET_VERSIONS, (row.row_id, gone))
                if row.doubtful is not None and not gone:  # if it was written, it comes back with the others
                    self._ledger.connection.execute(KEEP_VERSION, (row.row_id, self._run, row.doubtful))
                self._ledger.connection.execute(_HIDE_VERSIONS, (row.row_id,))
                if not known and row.outcome in SETTLED_ENDINGS:
                    self._count("reopened")
            elif undone.outcome is RollbackOutcome.RESTORED:
                self._restored(row, undone, known=known)
            elif known:
                settled_at = row.made_at if row.outcome in SETTLED_ENDINGS else None
                written_in_doubt = row.doubtful is not None
                self._definition(
                    row, "outcome = ?, settled_at = ?, doubt = ?", row.outcome, settled_at, written_in_doubt
                )
                if row.outcome in SETTLED_ENDINGS:
                    self._ledger.connection.execute(_UNKEEP_VERSION, (row.row_id, row.last))
                    self._count("settled")

    def _restored(self, row: OwnedRow, undone: RollbackEnd, *, known: bool) -> None:
        """Let the row name the version that is in force again; the other one is still a version of ours."""
        self._definition(
            row,
            "version_id = ?, outcome = 'updated', settled_at = ?, doubt = 0, doubt_version = NULL,"
            " wanted = NULL, code = NULL, message = ?, status = ?, request_id = coalesce(?, request_id)",
            *(row.superseded, row.made_at, undone.message, undone.status, undone.request_id),
        )
        if known:
            self._count("settled")
        else:
            self._ledger.connection.execute(KEEP_VERSION, (row.row_id, self._run, row.last))

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
            "INSERT INTO rollbacks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(row.row_id, self._run, row.outcome, row.made_at),
                *(dated, claimed_at, ended_at, result, code, message),
                row.superseded if self._restores else None,
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
