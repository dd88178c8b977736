"""Reading a ledger: while a run writes to it, after one was killed, or from a copy."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from bulkseed.errors import LedgerError
from bulkseed.ledger.binding import KnownTarget
from bulkseed.ledger.sqlite.file import (
    connect_read_only,
    in_words,
    is_new,
    reachable,
    this_host,
    warn_of_lost_log,
)
from bulkseed.ledger.sqlite.lock import is_at_work
from bulkseed.model import APPLY_SETTLED, VERIFY_SETTLED, Outcome, Row, Verified
from bulkseed.policy.jobs import APPLY, JOBS, JobKind

BLOCK = 1000
"""Rows that are read at a time."""
SETTLED_ENDINGS = frozenset(
    {word.value for word in (*APPLY_SETTLED, *VERIFY_SETTLED)} - {Outcome.BEHIND.value}
)
"""The `ending` of settled rows. An apply's row that is behind has another one, a verify's is not settled."""
IN_SETTLED = "IN ('" + "', '".join(sorted(SETTLED_ENDINGS)) + "')"
"""As a condition in SQL."""

_ROWS = """
SELECT d.name, version_id, outcome, code, message, status, request_id, arn, d.attempts, source, place,
       first_sent_at / 1e6, settled_at / 1e6, r.run_id, d.id
FROM definitions d JOIN runs r ON r.id = d.run"""
_INVALID_ROWS = """
SELECT name, version_id, reasons, source, place, r.run_id, i.rowid
FROM invalid_lines i JOIN runs r ON r.id = run"""
_RUNS = """
SELECT read, known, claimed, unsent, invalid, settled, run_id, limits, summary, command,
       started_at / 1e6, ended_at / 1e6, pid, host, exit_code, stopped_by, id, caller
FROM runs"""


class Tally(NamedTuple):
    """What a run has counted, in the same commits as its rows."""

    read: int  # manifest entries
    known: int  # settled by earlier runs
    claimed: int
    unsent: int  # read after the run had stopped
    invalid: int
    settled: int  # of those claimed


@dataclass(slots=True)
class Run:
    """One run as the ledger knows it; `ended_at` is None if it was killed or is still going."""

    tally: Tally
    run_id: str
    limits: dict[str, float]  # quota group -> most attempts in any second, 0 = no ceiling
    summary: dict[str, Any] | None
    command: str
    started_at: float
    ended_at: float | None
    pid: int
    host: str
    exit_code: int | None
    stopped_by: str | None
    number: int  # counted from 1
    caller: str | None  # the access key id, without its middle


@dataclass(slots=True)
class Status:
    """A ledger at a glance."""

    target: KnownTarget
    created_at: str
    writer: dict[str, Any] | None  # pid, host, since of who is writing, or was killed
    at_work: bool | None  # a process of this machine is writing now; None: it may be one of another machine
    runs: int
    last_run: Run | None
    counts: dict[Outcome | Verified, int]
    in_doubt: int  # definitions with an attempt whose fate is not known
    perhaps_ours: int  # those of them that are settled: they exist, and no run could tell whose they are

    @property
    def is_going_on(self) -> bool:
        """True if a run is at work now: what has no answer yet is not lost, and is no doubt."""
        return self.at_work is True and self.last_run is not None and self.last_run.ended_at is None


class Attempt(NamedTuple):
    """One request that was sent. Times in seconds; without a `status` no answer came."""

    run_id: str
    group: str
    sent_at: float
    latency: float
    status: int | None
    code: str | None


class LedgerReader:
    """The reading side of a ledger. Close it, or use it in a ``with``."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self.connection.close()

    def known_target(self) -> KnownTarget:
        """Return what the ledger knows of its target, for commands that are not told."""
        meta = dict(self.select("SELECT key, value FROM meta"))
        return KnownTarget(
            binding=meta["binding"],
            region=meta["region"],
            account=meta.get("account"),
            endpoint=meta["endpoint"],
            signature=meta["signature"],
            data_dir=meta.get("data_dir"),
        )

    def words(self) -> type[Outcome | Verified]:
        """Return what the outcomes of the rows are called: all runs of a ledger have the same words."""
        for (command,) in self.select("SELECT command FROM runs ORDER BY id LIMIT 1"):
            return JOBS.get(command, APPLY).words
        return Outcome

    def require_shared_with(self, kind: JobKind) -> None:
        """Refuse a ledger that a job does not share.

        Raises:
            LedgerError: its runs are of another kind.
        """
        for (found,) in self.select("SELECT DISTINCT command FROM runs"):
            if found not in JOBS or not kind.shares_ledger(JOBS[found]):
                stem = self.path.name.removesuffix(".db").removesuffix(".ledger").removesuffix(".verify")
                other = self.path.with_name(f"{stem}.{'verify' if kind.name == 'verify' else 'ledger'}.db")
                such = "" if other == self.path else f", such as {other}"
                raise LedgerError(
                    f"ledger {self.path} records runs of {found}: {kind.name} needs another --ledger{such}"
                )

    def counts(self) -> dict[Outcome | Verified, int]:
        """Count the rows of each outcome, the invalid lines among them; a verify has words of its own."""
        words = self.words()
        counts: dict[Outcome | Verified, int] = dict.fromkeys(words, 0)
        for outcome, count in self.select("SELECT outcome, count(*) FROM definitions GROUP BY outcome"):
            counts[words(outcome)] = count
        counts[words.INVALID] = self.one("SELECT count(*) FROM invalid_lines")
        return counts

    def rows(self, outcomes: Collection[Outcome | Verified] | None = None) -> Iterator[Row]:
        """Yield the rows, first the definitions in the order they were first read, then the invalid lines.

        They are read a block at a time: however slowly they are taken, the log of a run that goes on is not
        held back. So each block is as the ledger is at its time.
        """
        chosen, wanted, words = "", [], self.words()
        if outcomes is not None:
            chosen = " AND outcome IN (SELECT value FROM json_each(?))"
            wanted = [json.dumps([outcome.value for outcome in outcomes])]
        query = f"{_ROWS} WHERE d.id > ?{chosen} ORDER BY d.id LIMIT {BLOCK}"
        for columns in self._blocks(query, *wanted):
            yield _row(columns, words)
        if outcomes is None or Outcome.INVALID in outcomes:
            query = f"{_INVALID_ROWS} WHERE i.rowid > ? ORDER BY i.rowid LIMIT {BLOCK}"
            for columns in self._blocks(query):
                yield _invalid_row(columns)

    def _blocks(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds; it takes the last row's last column, and ends a block at `BLOCK` rows."""
        last = 0
        while block := list(self.select(query, last, *values)):
            last = block[-1][-1]
            for columns in block:
                yield columns[:-1]

    def find(self, name: str) -> Row | None:
        """Return the row of a secret name."""
        for columns in self.select(_ROWS + " WHERE d.name = ?", name):
            return _row(columns[:-1], self.words())
        return None

    def rows_before(self) -> Callable[[str], int | None]:
        """Return what tells the number of a name's row; None for one that had none when this was called."""
        last = self.one("SELECT coalesce(max(id), 0) FROM claims")
        query = "SELECT id FROM claims WHERE name = ? AND id <= ?"
        return lambda name: next((row_id for (row_id,) in self.select(query, name, last)), None)

    def settled_of(self, source: str) -> Iterator[str]:
        """Yield the names that are settled and were read last at `source`."""
        query = f"SELECT name FROM definitions WHERE source = ? AND ending {IN_SETTLED} ORDER BY name"  # noqa: S608  # fixed text
        return (name for (name,) in self.select(query, source))

    def runs(self) -> Iterator[Run]:
        """Yield the runs, oldest first."""
        return map(_run, self.select(f"{_RUNS} ORDER BY id"))

    def last_signs(self) -> dict[int, float]:
        """Return the end of the last attempt on record, in epoch seconds, by the number of its run."""
        return dict(self.select("SELECT run, max(sent_at + latency) / 1e6 FROM attempts GROUP BY run"))

    def last_run(self) -> Run | None:
        """Return the run that was begun last, perhaps still going on."""
        return next(map(_run, self.select(f"{_RUNS} ORDER BY id DESC LIMIT 1")), None)

    def attempts(self, run_id: str | None = None) -> Iterator[Attempt]:
        """Yield the attempts of a run, or of all, run by run in the order they were sent."""
        query = (
            "SELECT run_id, quota_group, sent_at / 1e6, latency / 1e6, status, code"
            " FROM attempts JOIN runs r ON r.id = run"
        )
        chosen = " WHERE run_id = ?" if run_id else ""
        for columns in self.select(query + chosen + " ORDER BY run, sent_at", *([run_id] if run_id else [])):
            yield Attempt._make(columns)

    def status(self) -> Status:
        """Return what ``bulkseed ledger status`` shows."""
        meta = dict(self.select("SELECT key, value FROM meta"))
        writer = meta.get("writer")
        return Status(
            target=self.known_target(),
            created_at=meta["created_at"],
            writer=json.loads(writer) if writer else None,
            at_work=self._at_work(writer and json.loads(writer)["host"]),
            runs=self.one("SELECT count(*) FROM runs"),
            last_run=self.last_run(),
            counts=self.counts(),
            in_doubt=self.one("SELECT count(*) FROM definitions WHERE doubt"),
            perhaps_ours=sum(self.perhaps_ours().values()),
        )

    def unsettled_in_doubt(self) -> int:
        """Return how many definitions the next run looks for first; 0 while one is at work."""
        if is_at_work(self.path):
            return 0
        return self.one(f"SELECT count(*) FROM definitions WHERE doubt AND NOT ending {IN_SETTLED}")  # noqa: S608  # fixed text

    def perhaps_ours(self) -> dict[str, int]:
        """Count by outcome the settled definitions that exist without anybody knowing whether we made them.

        No run finds that out by itself, as what is settled is left alone.
        """
        perhaps = f"doubt AND ending {IN_SETTLED}"
        query = f"SELECT ending, count(*) FROM definitions WHERE {perhaps} GROUP BY ending"  # noqa: S608  # fixed text
        return dict(self.select(query))

    def count_of(self, message: str) -> int:
        """Return how many definitions have this message of ours."""
        (count,) = next(self.select("SELECT count(*) FROM definitions WHERE message = ?", message))
        return int(count)

    def _at_work(self, host: str | None) -> bool | None:
        if is_at_work(self.path):
            return True
        return False if host in {None, this_host()} else None

    def select(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield what a query of the caller's own finds."""
        with in_words(self.path):
            yield from self.connection.execute(query, values)

    def one(self, query: str) -> int:
        """Return the number that a query of the caller's own finds."""
        (count,) = next(self.select(query))
        return int(count)


def read_ledger(path: str | os.PathLike[str]) -> LedgerReader:
    """Open a ledger for reading only.

    Raises:
        LedgerDamagedError: it is not a ledger, is damaged, or comes from another version.
        LedgerError: it is missing or cannot be read.
    """
    path = Path(path)
    with reachable(path), in_words(path):
        if not path.exists():
            raise LedgerError(f"there is no ledger {path}")
        if path.is_dir():
            raise LedgerError(f"ledger {path} cannot be used: it is a folder")
        ledger = LedgerReader(path, connect_read_only(path))
        try:
            new = is_new(ledger.connection, path)
            if not new:
                warn_of_lost_log(ledger.connection, path)
        except BaseException:
            ledger.close()
            raise
    if new:
        ledger.close()
        raise LedgerError(f"ledger {path} is empty: nothing was recorded yet")
    return ledger


def _run(columns: tuple[Any, ...]) -> Run:
    *tally, run_id, limits, summary = columns[:9]
    return Run(Tally(*tally), run_id, json.loads(limits), summary and json.loads(summary), *columns[9:])


def _row(columns: tuple[Any, ...], words: type[Outcome | Verified]) -> Row:
    name, version_id, outcome, *rest = columns
    return Row(name, version_id, words(outcome), *rest)


def _invalid_row(columns: tuple[Any, ...]) -> Row:
    name, version_id, reasons, manifest, line, run_id = columns
    return Row(
        name,
        version_id,
        Outcome.INVALID,
        message="; ".join(json.loads(reasons)),
        manifest=manifest,
        line=line,
        run_id=run_id,
    )
