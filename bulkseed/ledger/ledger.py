"""Writing a ledger: claims before anything is sent, answers after, each block in one commit.

The rules that live here: no row is settled twice, and an attempt counts once it is on record.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bulkseed.errors import LedgerError
from bulkseed.ledger.admission import Block
from bulkseed.ledger.creations import add_creations
from bulkseed.ledger.reader import LedgerReader
from bulkseed.ledger.records import Admission, AttemptRecord, Creation, Settlement
from bulkseed.ledger.sqlite.file import checkpoint, in_words, this_host
from bulkseed.ledger.sqlite.lock import WriterLock
from bulkseed.model import SETTLED, ManifestEntry, Outcome
from bulkseed.wire.message import QuotaGroup

_OWNED = frozenset({Outcome.CREATED, Outcome.ADOPTED})
_SETTLE = """
UPDATE claims SET outcome = ?, settled_at = ?, code = ?, message = ?, status = ?, request_id = ?,
  arn = ?, doubt = ?, owned = max(owned, ?), attempts = attempts + ?,
  first_sent_at = coalesce(first_sent_at, ?)
WHERE id = ? AND outcome = 'pending' AND id NOT IN (SELECT id FROM creations)"""
_GIVE_BACK = """
UPDATE claims SET doubt = ?, attempts = attempts + ?, first_sent_at = coalesce(first_sent_at, ?)
WHERE id = ? AND outcome = 'pending' AND id NOT IN (SELECT id FROM creations)"""
_ADD_ATTEMPT = """
INSERT INTO other_attempts (definition, run, lane, sent_at, latency, status, code)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
_COUNT_ATTEMPTS = """
UPDATE claims SET attempts = attempts + ?,
  first_sent_at = coalesce(first_sent_at, (SELECT sent_at FROM creations WHERE id = claims.id), ?)
WHERE id = ?"""


class Ledger(LedgerReader):
    """The writing side: one process, one thread at a time. Close it, or use it in a ``with``."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriterLock) -> None:
        super().__init__(path, connection)
        self._lock: WriterLock | None = lock
        self._run = 0  # id of the run that is going on
        self._all_new = False  # the names of the last block
        self._seen = bytearray()  # by row id: 1 if this run has read the definition; empty: it reads no more

    def close(self) -> None:
        """Close the file and let the next writer in. Closing twice does nothing."""
        if self._lock is None:
            return
        with suppress(sqlite3.Error):  # the lock says who writes; this only names them
            self.connection.execute("DELETE FROM meta WHERE key = 'writer'")
        self.connection.close()
        self._lock.release()
        self._lock = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside in one commit: `admit` and `record` together cost one wait for the disk.

        After a failure nothing of it is on disk, and this run admits no more: what it has read is not known.
        """
        if self.connection.in_transaction:
            yield
            return
        with in_words(self.path):
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                self._seen.clear()
                with suppress(sqlite3.Error):  # SQLite may have rolled back already
                    self.connection.execute("ROLLBACK")
                raise

    def begin_run(
        self,
        run_id: str,
        manifests: Iterable[str],
        limits: Mapping[QuotaGroup, float],
        now: float,
        command: str = "apply",
    ) -> float | None:
        """Begin a run that reads `manifests`; what was invalid in them is forgotten, it will be found again.

        `limits` maps lanes to the most attempts in any second, 0 for no ceiling. Returns until when the run
        before may have sent: its end, or `now` if it was killed; None if there was none.
        """
        with self.transaction():
            before = [ended for (ended,) in self.select("SELECT ended_at FROM runs ORDER BY id DESC LIMIT 1")]
            self.connection.execute(
                "DELETE FROM invalid_lines WHERE manifest IN (SELECT value FROM json_each(?))",
                (json.dumps(list(manifests)),),
            )
            self._run = self.connection.execute(
                "INSERT INTO runs (run_id, command, started_at, pid, host, limits) VALUES (?, ?, ?, ?, ?, ?)"
                " RETURNING id",
                (run_id, command, _micro(now), os.getpid(), this_host(), json.dumps(dict(limits))),
            ).fetchone()[0]
            last_id = self.one("SELECT coalesce(max(id), 0) FROM claims")
        checkpoint(self.connection, self.path)
        self._seen = bytearray(last_id + 1)
        self._all_new = last_id == 0
        return None if not before else now if before[0] is None else before[0] / 1e6

    def forget_invalid(self, places: Iterable[tuple[str, int]]) -> None:
        """Forget what was invalid at these manifests and lines, because a run is to read them again."""
        with self.transaction():
            self.connection.executemany("DELETE FROM invalid_lines WHERE manifest = ? AND line = ?", places)

    def end_run(self, summary: Mapping[str, Any], exit_code: int, stopped_by: str | None, now: float) -> None:
        """Write down how the run ended."""
        with self.transaction():
            self.connection.execute(
                "UPDATE runs SET ended_at = ?, summary = ?, exit_code = ?, stopped_by = ? WHERE id = ?",
                (_micro(now), json.dumps(dict(summary)), exit_code, stopped_by, self._run),
            )
        self._seen.clear()

    def admit(self, entries: Sequence[ManifestEntry], now: float, *, claim: bool = True) -> Admission:
        """Take up a block of manifest entries and put the claims of those to send on disk.

        With `claim` False, after a stop, nothing may be sent: the rest of the manifest is only accounted for.
        """
        with self.transaction():
            if not self._seen:
                raise LedgerError(
                    f"ledger {self.path} admits nothing: no run was begun, or it has ended or failed"
                )
            block = Block(
                self.connection, self._seen, self._run, _micro(now), claim=claim, all_new=self._all_new
            )
            admission = block.admit(entries)
            self._all_new = block.all_new
            return admission

    def disown(self, row_id: int) -> None:
        """Write down that a secret is not ours, before it is updated: its version alone could not tell."""
        with self.transaction():
            self.connection.execute("UPDATE claims SET theirs = 1 WHERE id = ?", (row_id,))

    def record(
        self,
        settlements: Sequence[Settlement],
        attempts: Sequence[AttemptRecord] = (),
        creations: Sequence[Creation] = (),
    ) -> None:
        """Write down answers, and the attempts they belong to, none of which was recorded before.

        How often a definition was attempted, and when first, is counted here, so that it cannot differ from
        the attempts on record.

        Raises:
            LedgerError: it could not be written, or a row would be settled twice; nothing is recorded then.
        """
        run = self._run
        sent: dict[int, tuple[int, int]] = {}  # by row id: how many, and the first
        attempt_rows: list[tuple[object, ...]] = []
        for row_id, lane, sent_at, latency, status, code in attempts:
            at = _micro(sent_at)
            tally = sent.get(row_id)
            sent[row_id] = (1, at) if tally is None else (tally[0] + 1, tally[1])
            attempt_rows.append((row_id, run, lane.value, at, _micro(latency), status, code))
        ends: list[tuple[object, ...]] = []
        given_back: list[tuple[object, ...]] = []
        settled = 0
        for row_id, outcome, settled_at, *answer in settlements:
            count, first = sent.pop(row_id, (0, None))
            if outcome is Outcome.PENDING:
                given_back.append((answer[-1], count, first, row_id))
                continue
            settled += outcome in SETTLED
            ends.append((outcome.value, _micro(settled_at), *answer, outcome in _OWNED, count, first, row_id))
        with self.transaction():
            write = self.connection.executemany
            write(_ADD_ATTEMPT, attempt_rows)
            write(_COUNT_ATTEMPTS, ((*counts, row_id) for row_id, counts in sent.items()))
            written = add_creations(self.connection, run, creations)
            for statement, rows in ((_SETTLE, ends), (_GIVE_BACK, given_back)):
                written += write(statement, rows).rowcount if rows else 0
            if written != len(creations) + len(ends) + len(given_back):
                raise LedgerError(f"ledger {self.path}: a row was to be settled twice; nothing was recorded")
            settled += len(creations)
            self.connection.execute("UPDATE runs SET settled = settled + ? WHERE id = ?", (settled, run))


def _micro(seconds: float) -> int:
    return int(seconds * 1e6 + 0.5)  # as SQLite's round does it, which rounds the times of creations
