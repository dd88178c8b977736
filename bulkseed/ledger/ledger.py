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

from bulkseed.errors import LedgerError, LedgerTargetError
from bulkseed.ledger.admission import KEEP_VERSION, Block, Reading, in_this_era
from bulkseed.ledger.creations import add_creations
from bulkseed.ledger.proof import proof_for
from bulkseed.ledger.reader import LedgerReader, Tally
from bulkseed.ledger.records import Admission, AttemptRecord, Creation, Proof, Settlement, TakeUp
from bulkseed.ledger.sqlite.file import checkpoint, in_words, reachable, this_host
from bulkseed.ledger.sqlite.lock import WriterLock
from bulkseed.ledger.sqlite.watch import FileWatch
from bulkseed.model import ManifestEntry, Outcome, QuotaGroup
from bulkseed.policy.jobs import APPLY, JOBS
from bulkseed.policy.moments import Era
from bulkseed.wire.identifiers import account_of

_OWNED = frozenset({Outcome.CREATED, Outcome.ADOPTED})
_SETTLE = """
UPDATE claims SET outcome = ?, settled_at = ?, code = ?, message = ?, status = ?, request_id = ?,
  arn = coalesce(?, arn), doubt = ?, doubt_version = iif(?, doubt_version, NULL),
  service_time = coalesce(?, service_time), owned = max(owned, ?), attempts = attempts + ?,
  first_sent_at = coalesce(first_sent_at, ?)
WHERE id = ? AND outcome = 'pending' AND id NOT IN (SELECT id FROM creations)"""
_GIVE_BACK = """
UPDATE claims SET doubt = ?, doubt_version = iif(?, doubt_version, NULL), attempts = attempts + ?,
  first_sent_at = coalesce(first_sent_at, ?)
WHERE id = ? AND outcome = 'pending' AND id NOT IN (SELECT id FROM creations)"""
_ADD_ATTEMPT = """
INSERT INTO other_attempts (definition, run, quota_group, sent_at, latency, status, code)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
_COUNT_ATTEMPTS = """
UPDATE claims SET attempts = attempts + ?,
  first_sent_at = coalesce(first_sent_at, (SELECT sent_at FROM creations WHERE id = claims.id), ?)
WHERE id = ?"""
_COUNT_RUN = "UPDATE runs SET settled = settled + ?, attempts = attempts + ? WHERE id = ?"
_HOLD = """
UPDATE claims SET owned = 1, service_time = coalesce(?, service_time)
WHERE id = ? AND outcome = 'pending'"""
_KNOW_VERSIONS = "UPDATE earlier_versions SET run = -run WHERE definition = ? AND run < 0"
_DROP_DOUBT = """
UPDATE claims SET claimed_at = ?, claimed_service = ?, doubt_version = NULL
WHERE id = ? AND outcome = 'pending'"""
_NOTE_CLOCK = "UPDATE runs SET ahead = ? WHERE id = ?"
_LAST_RUN = "SELECT ended_at, boot, clock_offset FROM runs ORDER BY id DESC LIMIT 1"
_START_OVER = (
    "creations",
    "other_attempts",
    "invalid_lines",
    "earlier_versions",
    "rollbacks",
    "claims",
    "runs",
)


class Ledger(LedgerReader):
    """The writing side: one process, one thread at a time. Close it, or use it in a ``with``."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: WriterLock, watch: FileWatch
    ) -> None:
        super().__init__(path, connection)
        self._lock: WriterLock | None = lock
        self._watch = watch
        self._run = 0  # id of the run that is going on
        self._reading: Reading | None = None  # None: it reads no more
        self._arn_prefix: str | None = None  # of the account that the ledger is bound to, once one was seen

    def close(self) -> None:
        """Close the file and let the next writer in. Closing twice does nothing."""
        if self._lock is None:
            return
        with suppress(sqlite3.Error):  # the lock says who writes; this only names them
            self.connection.execute("DELETE FROM meta WHERE key = 'writer'")
        if self._watch.is_lost:
            self._rescue()
        elif self._watch.is_moved:  # SQLite does not take the log in by itself then
            with in_words(self.path):
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()
        self._watch.close()
        self._lock.release()
        self._lock = None

    def _rescue(self) -> None:
        """Write the rows of a file that was deleted into a new one."""
        path = self._watch.rescue_path()
        with in_words(path), reachable(path):
            path.touch(0o600, exist_ok=False)
            self.connection.execute("VACUUM INTO ?", (str(path),))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside in one commit: `admit` and `record` together cost one wait for the disk.

        After a failure nothing of it is on disk, and this run admits no more: what it has read is not known.

        Raises:
            LedgerError: it cannot be written, or somebody has renamed, deleted or overwritten its file.
        """
        if self.connection.in_transaction:
            yield
            return
        with in_words(self.path):
            try:
                self._watch.require_untouched()
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
                self._watch.note()
            except BaseException:
                self._reading = self._arn_prefix = None
                self._roll_back()
                raise

    def proof_for(self, caller: str | None) -> Proof | None:
        """Return what tells whether a caller's credentials are of this account; None: nothing has to."""
        return proof_for(self, caller)

    def _roll_back(self) -> None:
        if self.connection.in_transaction:  # SQLite may have done it already
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            self._watch.note()

    def begin_run(
        self,
        run_id: str,
        manifests: Iterable[str],
        limits: Mapping[QuotaGroup, float],
        now: float,
        command: str = APPLY.name,
        *,
        afresh: bool = False,
        again: TakeUp = TakeUp(),  # noqa: B008  # it cannot be changed
        caller: str | None = None,
        era: Era = Era(None, 0.0),  # noqa: B008  # it cannot be changed
    ) -> float | None:
        """Begin a run; return until when the one before may have sent.

        That is its end, or `now` if it was killed, and later if it was lent; None if there was none.

        Args:
            run_id: its name.
            manifests: what it reads to the end; what was invalid there and is not found again is forgotten.
            limits: quota group -> the most attempts in any second, 0 for no ceiling.
            now: epoch seconds.
            command: the name of a job, a row of `JOBS`.
            afresh: forget everything that earlier runs have found.
            again: which settled rows are taken up again.
            caller: whose requests they are, as it may be shown.
            era: what its times count from.

        Raises:
            LedgerError: it cannot be written, or its runs are of a job that does not share it.
        """
        with self.transaction():
            self.require_shared_with(JOBS[command])
            before = list(self.select(_LAST_RUN))
            if afresh:
                for table in _START_OVER:
                    self.connection.execute(f"DELETE FROM {table}")  # noqa: S608  # fixed names
            self._run = self.connection.execute(
                "INSERT INTO runs"
                " (run_id, command, started_at, pid, host, limits, compares, caller, boot, clock_offset)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    *(run_id, command, _micro(now), os.getpid(), this_host(), json.dumps(dict(limits))),
                    *(bool(again.reopen), caller, era.boot, _micro(era.offset)),
                ),
            ).fetchone()[0]
            last_id = self.one("SELECT coalesce(max(id), 0) FROM claims")
            stale = bool(self.one("SELECT EXISTS (SELECT * FROM invalid_lines)"))
            sent_until = None if not before else self._may_have_sent_until(before[0], era, now)
        checkpoint(self.connection, self.path)
        self._watch.note()
        self._reading = Reading(
            run=self._run,
            seen=bytearray(last_id + 1),
            all_new=last_id == 0,
            follow=again.follow,
            reopen=frozenset(again.reopen),
            sources=tuple(manifests),
            stale=stale,
            words=JOBS[command].words,
            gone=frozenset(again.gone),
            era=era,
        )
        return sent_until

    def _may_have_sent_until(self, last_run: tuple[Any, ...], era: Era, now: float) -> float:
        ended_at, boot, offset = last_run
        if ended_at is not None:
            at = in_this_era(ended_at, boot, offset, era)
            return now if at is None else at / 1e6  # where no clock tells how long ago, it was just now
        lent = next(self.select("SELECT value FROM meta WHERE key = 'lent'"), None)
        return now if lent is None else now + float(lent[0])

    def lend(self, seconds: float | None) -> None:
        """Write down that a run on another machine may go on for so long when this process is gone.

        None: it cannot. After a kill the next run waits for it, as both would send at the whole pace.
        """
        with self.transaction():
            self.connection.execute("DELETE FROM meta WHERE key = 'lent'")
            if seconds is not None:
                self.connection.execute("INSERT INTO meta VALUES ('lent', ?)", (str(seconds),))

    def end_run(self, summary: Mapping[str, Any], exit_code: int, stopped_by: str | None, now: float) -> None:
        """Write down how the run ended."""
        with self.transaction():
            self.connection.execute(
                "UPDATE runs SET ended_at = ?, summary = ?, exit_code = ?, stopped_by = ? WHERE id = ?",
                (_micro(now), json.dumps(dict(summary)), exit_code, stopped_by, self._run),
            )
        self._reading = None

    def note_clock(self, ahead: float) -> None:
        """Write down by how many seconds the service's clock was ahead of ours, at least, as this run began.

        What it claimed before it knew is dated by that.
        """
        with self.transaction():
            self.connection.execute(_NOTE_CLOCK, (_micro(ahead), self._run))

    def admit(
        self,
        entries: Sequence[ManifestEntry],
        now: float,
        service: float | None = None,
        *,
        claim: bool = True,
        last: bool = False,
    ) -> Admission:
        """Take up a block of manifest entries and put the claims of those to send on disk.

        `service` is the earliest that `now` can be by the service's clock, None while nobody knows. With
        `claim` False, after a stop, nothing may be sent: the rest of the manifest is only accounted for.
        `last`: the sources of the run have been read to their end.
        """
        with self.transaction():
            if self._reading is None:
                raise LedgerError(
                    f"ledger {self.path} admits nothing: no run was begun, or it has ended or failed"
                )
            moment = (_micro(now), _micro_or_none(service))
            block = Block(self.connection, self._reading, *moment, claim=claim)
            return block.admit(entries, last=last)

    def tally(self) -> Tally:
        """Return what the run that was begun last has counted, in the same commits as its rows."""
        run = self.last_run()
        if run is None:
            raise LedgerError(f"ledger {self.path} has no run")
        return run.tally

    def mark_foreign(self, row_id: int) -> None:
        """Write down that a secret is not ours, before it is updated: its version alone could not tell."""
        with self.transaction():
            self.connection.execute("UPDATE claims SET is_foreign = 1 WHERE id = ?", (row_id,))

    def mark_held(
        self,
        row_id: int,
        version_id: str,
        now: float | None,
        service_time: float | None = None,
        service: float | None = None,
    ) -> None:
        """Write down that a secret is ours and holds `version_id`, before another version is written.

        The doubt about that version ends; from `now` on, which is `service` by the service's clock if that is
        known, it is about the one that the row names. None: no doubt ends, it was taken back after a rollback
        had deleted it, with the versions that it had. `service_time`: when the secret was created.
        """
        with self.transaction():
            self.connection.execute(KEEP_VERSION, (row_id, self._run, version_id))
            self.connection.execute(_HOLD, (_second(service_time), row_id))
            if now is None:
                self.connection.execute(_KNOW_VERSIONS, (row_id,))
            else:
                self.drop_doubt(row_id, now, service)

    def drop_doubt(self, row_id: int, now: float, service: float | None = None) -> None:
        """Write down that another version, which an earlier run may have sent, is not there.

        From `now` on, which is `service` by the service's clock, a doubt is about the version that the row
        names.
        """
        with self.transaction():
            self.connection.execute(_DROP_DOUBT, (_micro(now), _micro_or_none(service), row_id))

    def bind_account(self, account: str) -> None:
        """Bind the ledger to an account, or refuse another one than it is bound to.

        Raises:
            LedgerTargetError: it belongs to another account.
        """
        with self.transaction():
            bound = self.known_target().account
            if bound is None:
                self.connection.execute("INSERT INTO meta VALUES ('account', ?)", (account,))
            elif account != bound:
                raise LedgerTargetError(
                    f"ledger {self.path} belongs to account {bound}, and these credentials are of account"
                    f" {account}: use the credentials of that account, or another --ledger"
                )

    def _check_account(self, arns: Iterable[str | None]) -> None:
        """Learn the account from the first ARN, and refuse those of another one."""
        prefix = self._arn_prefix
        for arn in arns:
            if arn is not None and (prefix is None or not arn.startswith(prefix)):
                account = account_of(arn)
                if account is not None:
                    self.bind_account(account)
                    self._arn_prefix = prefix = arn.rpartition(":")[0] + ":"

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
            LedgerTargetError: an ARN is of another account than the one that the ledger is bound to.
            LedgerError: it could not be written, or a row would be settled twice. Nothing is recorded then.
        """
        run = self._run
        sent: dict[int, tuple[int, int]] = {}  # by row id: how many, and the first
        attempt_rows: list[tuple[object, ...]] = []
        for row_id, group, sent_at, latency, status, code in attempts:
            at = _micro(sent_at)
            tally = sent.get(row_id)
            sent[row_id] = (1, at) if tally is None else (tally[0] + 1, tally[1])
            attempt_rows.append((row_id, run, group.value, at, _micro(latency), status, code))
        ends: list[tuple[object, ...]] = []
        given_back: list[tuple[object, ...]] = []
        settled = 0
        for row_id, outcome, settled_at, *answer, doubt, service_time in settlements:
            count, first = sent.pop(row_id, (0, None))
            if outcome is Outcome.PENDING:
                given_back.append((doubt, doubt, count, first, row_id))
                continue
            settled += outcome.settled
            created = (_second(service_time), outcome in _OWNED)
            ends.append(
                (outcome.value, _micro(settled_at), *answer, doubt, doubt, *created, count, first, row_id)
            )
        with self.transaction():
            self._check_account(creation.arn for creation in creations)
            self._check_account(settlement.arn for settlement in settlements)
            write = self.connection.executemany
            write(_ADD_ATTEMPT, attempt_rows)
            write(_COUNT_ATTEMPTS, ((*counts, row_id) for row_id, counts in sent.items()))
            written = add_creations(self.connection, run, creations)
            for statement, rows in ((_SETTLE, ends), (_GIVE_BACK, given_back)):
                written += write(statement, rows).rowcount if rows else 0
            if written != len(creations) + len(ends) + len(given_back):
                raise LedgerError(f"ledger {self.path}: a row was to be settled twice; nothing was recorded")
            counts = (settled + len(creations), len(attempts) + len(creations), run)
            self.connection.execute(_COUNT_RUN, counts)


def _second(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _micro_or_none(seconds: float | None) -> int | None:
    return None if seconds is None else _micro(seconds)


def _micro(seconds: float) -> int:
    return int(seconds * 1e6 + 0.5)  # as SQLite's round does it, which rounds the times of creations
