"""A ledger's tables → the numbers of its report, found by SQL: memory does not grow with the ledger.

Times are epoch microseconds, as in the ledger.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from bulkseed.errors import LedgerDamagedError
from bulkseed.ledger.reader import word
from bulkseed.model import Outcome, Verified
from bulkseed.policy.jobs import JOBS, VERIFY
from bulkseed.report.attempts import (
    Answer,
    LatencyFigures,
    Pace,
    read_answers,
    read_latencies,
    read_paces,
)
from bulkseed.report.failures import Failure, read_failures
from bulkseed.report.timeline import Timeline, read_timeline

CREATE = "create"

_RUNS = """
SELECT limits, summary, id, run_id, command, started_at, ended_at, pid, host, caller, exit_code, stopped_by,
  read, settled, max(started_at, coalesce(seen, 0))
FROM runs LEFT JOIN (SELECT run, max(sent_at + latency) AS seen FROM attempts GROUP BY run) ON run = id
ORDER BY id"""
_SOURCES = "SELECT source, count(*) FROM definitions GROUP BY source ORDER BY min(id)"
_SETTLED_AT = "SELECT coalesce(max(settled_at), 0) FROM definitions"


class Check(NamedTuple):
    """One check of the ledger's audit."""

    name: str
    holds: bool
    detail: str


@dataclass(slots=True, frozen=True)
class ReportedRun:
    """One run, numbered from 1. Without `ended_at` it was killed, or is at work if it is the last."""

    limits: dict[str, float]  # quota group -> attempts a second, 0: no ceiling
    endpoint: str | None  # known once it ended
    number: int
    run_id: str
    command: str
    started_at: int
    ended_at: int | None
    pid: int
    host: str
    caller: str | None
    exit_code: int | None
    stopped_by: str | None
    read: int
    settled: int
    last_sign: int  # of which something is on record

    @property
    def length(self) -> int:
        """How long it went on, as far as is known, in microseconds."""
        return (self.ended_at or self.last_sign) - self.started_at


@dataclass(slots=True, frozen=True)
class Numbers:
    """Everything that the page says."""

    name: str
    binding: str
    region: str
    created_at: str
    format: int
    as_of: int  # the latest moment on record
    counts: dict[Outcome | Verified, int]
    in_doubt: int
    rollbacks: dict[str, int]  # result of a deletion -> how often, "" where it is not known
    checks: Sequence[Check]
    runs: list[ReportedRun]
    paces: list[Pace]
    answers: list[Answer]
    latencies: list[LatencyFigures]
    timeline: Timeline | None
    failures: list[Failure]
    account: str | None
    sources: dict[str, int]  # a manifest as it was named, or a store -> how many definitions came from it
    names_digest: str  # SHA-256 of the names, each with a newline, in the order in which they were first read

    @property
    def definitions(self) -> int:
        """How many there are, the invalid lines among them."""
        return sum(self.counts.values())

    @property
    def unsettled(self) -> int:
        """How many a next run would try again."""
        return sum(count for outcome, count in self.counts.items() if not outcome.settled)

    @property
    def is_verify(self) -> bool:
        """True if its runs read back what is there, and write nothing."""
        return any(run.command == VERIFY.name for run in self.runs)

    @property
    def adds_up(self) -> bool:
        """True if every check of the audit holds."""
        return all(check.holds for check in self.checks)


def read_numbers(connection: sqlite3.Connection, name: str, checks: Sequence[Check]) -> Numbers:
    """Read one snapshot of a ledger. `connection` is in autocommit mode; `checks` come from its audit.

    Raises:
        LedgerDamagedError: it holds what no run can have written.
    """
    connection.execute("BEGIN")
    try:
        return _read(connection, name, checks)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise LedgerDamagedError(
            f"ledger {name} is damaged: see `bulkseed ledger audit {name}` and restore a copy"
        ) from None
    finally:
        connection.execute("COMMIT")


def _read(connection: sqlite3.Connection, name: str, checks: Sequence[Check]) -> Numbers:
    def one(query: str) -> int:
        return int(connection.execute(query).fetchone()[0])

    meta = dict(connection.execute("SELECT key, value FROM meta"))
    runs = [_run(*row) for row in connection.execute(_RUNS)]
    paces = read_paces(connection, {run.number: run.limits for run in runs})
    group = _main_group(paces)
    limits = {run.number: run.limits.get(group, 0) for run in runs}
    return Numbers(
        name=name,
        binding=meta["binding"],
        region=meta["region"],
        created_at=meta["created_at"],
        format=one("PRAGMA user_version"),
        as_of=max(one(_SETTLED_AT), *(run.ended_at or run.last_sign for run in runs), 0),
        counts=_counts(connection),
        in_doubt=one("SELECT count(*) FROM definitions WHERE doubt"),
        rollbacks=_rollbacks(connection),
        checks=checks,
        runs=runs,
        paces=paces,
        answers=read_answers(connection),
        latencies=read_latencies(connection),
        timeline=read_timeline(connection, group, limits) if group else None,
        failures=read_failures(connection, _words(connection)),
        account=meta.get("account"),
        sources=dict(connection.execute(_SOURCES)),
        names_digest=_digest(connection),
    )


def _digest(connection: sqlite3.Connection) -> str:
    digest = sha256()
    for (name,) in connection.execute("SELECT name FROM definitions ORDER BY id"):
        digest.update(f"{name}\n".encode())
    return digest.hexdigest()


def _words(connection: sqlite3.Connection) -> type[Outcome | Verified]:
    commands = connection.execute("SELECT command FROM runs ORDER BY id LIMIT 1").fetchall()
    return JOBS[commands[0][0]].words if commands else Outcome


def _counts(connection: sqlite3.Connection) -> dict[Outcome | Verified, int]:
    counts: dict[Outcome | Verified, int] = dict.fromkeys(_words(connection), 0)
    for outcome, count in connection.execute(
        "SELECT outcome, count(*) FROM definitions GROUP BY outcome UNION ALL"
        " SELECT 'invalid', count(*) FROM invalid_lines"
    ):
        counts[word(outcome)] = count
    return counts


def _rollbacks(connection: sqlite3.Connection) -> dict[str, int]:
    """Count what rollbacks did; their table is made by the first one."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rollbacks'").fetchone():
        return {}
    return dict(
        connection.execute("SELECT coalesce(result, ''), count(*) FROM rollbacks GROUP BY 1 ORDER BY 1")
    )


def _run(limits: str, summary: str | None, *columns: Any) -> ReportedRun:
    return ReportedRun(json.loads(limits), json.loads(summary).get("endpoint") if summary else None, *columns)


def _main_group(paces: list[Pace]) -> str:
    """Return the quota group to show over time: that of creations, else the busiest; "" without any."""
    attempts = Counter[str]()
    for pace in paces:
        attempts[pace.group] += pace.attempts
    return CREATE if CREATE in attempts else max(attempts, key=lambda group: attempts[group], default="")
