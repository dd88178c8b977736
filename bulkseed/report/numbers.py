"""A ledger's tables → the numbers of its report, found by SQL: memory does not grow with the ledger.

Times are epoch microseconds, as in the ledger.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, NamedTuple

from bulkseed.errors import LedgerDamagedError
from bulkseed.ledger.names_apart import NamesApart
from bulkseed.ledger.reader import IN_SETTLED, LedgerReader, Run
from bulkseed.ledger.rollbacks import DeleteWindow, delete_window, left_alone, put_back, rolled_back
from bulkseed.model import Outcome, Verified
from bulkseed.policy.jobs import JOBS, VERIFY
from bulkseed.policy.rollback import RowState
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
MOST_LEFT = 20

_SOURCES = "SELECT source, count(*) FROM definitions GROUP BY source ORDER BY min(id)"
_UNDONE_BY = (
    "SELECT run, count(*) FROM rollbacks WHERE result IN ('deleted', 'gone', 'restored') GROUP BY run"
)
_SETTLED_AT = "SELECT coalesce(max(settled_at), 0) FROM definitions"


class Check(NamedTuple):
    """One check of the ledger's audit."""

    name: str
    holds: bool
    detail: str


@dataclass(slots=True, frozen=True)
class Numbers:
    """Everything that the page says."""

    name: str
    binding: str
    region: str
    created_at: str
    format: int
    as_of: int  # the latest moment on record
    counts: dict[Outcome | Verified | RowState, int]
    in_doubt: int  # so that the next run looks
    perhaps_ours: int  # settled, as they exist, and nobody knows whose they are
    at_work: bool  # a run is writing to it now: what is pending is in flight, or not reached yet
    undone_by: dict[int, int]  # by a rollback's number, how many it rolled back or found gone
    rollbacks: dict[str, int]  # result of a deletion -> how often, "" where it is not known
    window: DeleteWindow
    left: list[tuple[str, str]]  # names and reasons of the first that a rollback left as they were
    checks: Sequence[Check]
    runs: list[Run]
    last_signs: dict[int, int]  # by a run's number, the last moment of which something is on record
    endpoints: list[str]  # of the runs that ended
    paces: list[Pace]
    answers: list[Answer]
    latencies: list[LatencyFigures]
    timeline: Timeline | None
    failures: list[Failure]
    account: str | None
    sources: dict[str, int]  # a manifest as it was named, or a store -> how many definitions came from it
    names_digest: str  # SHA-256 of the names, each with a newline, in the order in which they were first read
    sorted_names_digest: str  # likewise, in the order of their bytes
    not_read: NamesApart | None = None  # of a verify: names that the apply's ledger has, and this has not
    only_read: NamesApart | None = None  # likewise, the other way round

    def length(self, run: Run) -> float:
        """Return how long a run went on, as far as is known, in seconds."""
        ended_at = self.last_signs[run.number] / 1e6 if run.ended_at is None else run.ended_at
        return ended_at - run.started_at

    @property
    def definitions(self) -> int:
        """How many there are, the invalid lines among them."""
        return sum(self.counts.values())

    @property
    def unsettled(self) -> int:
        """How many a next run would try again; what was rolled back is counted apart."""
        return sum(count for state, count in self.counts.items() if not state.settled) - self.undone

    @property
    def undone(self) -> int:
        """How many were rolled back, and nobody has taken up since."""
        return self.counts.get(RowState.ROLLED_BACK, 0)

    @property
    def is_verify(self) -> bool:
        """True if its runs are verifies."""
        return any(JOBS[run.command].shares_ledger(VERIFY) for run in self.runs)

    def follows(self, applied: Numbers) -> bool:
        """Tell whether this verify is of the same names as an apply, and not older."""
        return self.why_no_proof(applied) is None

    def why_no_proof(self, applied: Numbers) -> str | None:
        """Say why this verify does not prove what the ledger of an apply says now; None: it does."""
        if self.sorted_names_digest != applied.sorted_names_digest:
            said = []
            if self.not_read and self.not_read.count:
                said.append(f"it did not read {self.not_read}, which this ledger has")
            if self.only_read and self.only_read.count:
                said.append(f"it read {self.only_read}, which this ledger has not")
            return " and ".join(said) or "it read other names"
        if self.as_of < applied.as_of:
            return "it ended before the last run of this ledger did"
        return None

    @property
    def adds_up(self) -> bool:
        """True if every check of the audit holds."""
        return all(check.holds for check in self.checks)


def read_numbers(ledger: LedgerReader, name: str, checks: Sequence[Check]) -> Numbers:
    """Read one snapshot of a ledger. Its connection is in autocommit mode; `checks` come from its audit.

    Raises:
        LedgerDamagedError: it holds what no run can have written.
    """
    ledger.connection.execute("BEGIN")
    try:
        return _read(ledger, name, checks)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise LedgerDamagedError(
            f"ledger {name} is damaged: see `bulkseed ledger audit {name}` and restore a copy"
        ) from None
    finally:
        ledger.connection.execute("COMMIT")


def _read(ledger: LedgerReader, name: str, checks: Sequence[Check]) -> Numbers:
    connection = ledger.connection
    meta = dict(ledger.select("SELECT key, value FROM meta"))
    runs, signs = list(ledger.runs()), ledger.last_signs()
    words = ledger.words()
    at_work = bool(runs) and runs[-1].ended_at is None and ledger.status().is_going_on
    last_signs = {run.number: _micro(max(run.started_at, signs.get(run.number, 0.0))) for run in runs}
    paces = read_paces(connection, {run.number: run.limits for run in runs})
    group = _main_group(paces)
    limits = {run.number: run.limits.get(group, 0) for run in runs}
    ends = (last_signs[run.number] if run.ended_at is None else _micro(run.ended_at) for run in runs)
    return Numbers(
        name=name,
        binding=meta["binding"],
        region=meta["region"],
        created_at=meta["created_at"],
        format=ledger.one("PRAGMA user_version"),
        as_of=max(ledger.one(_SETTLED_AT), *ends, 0),
        counts=_counts(ledger, words),
        in_doubt=ledger.one(f"SELECT count(*) FROM definitions WHERE doubt AND NOT ending {IN_SETTLED}"),  # noqa: S608  # fixed text
        perhaps_ours=sum(ledger.perhaps_ours().values()),
        at_work=at_work,
        undone_by=dict(connection.execute(_UNDONE_BY)),
        rollbacks=_rollbacks(connection),
        window=delete_window(ledger),
        left=left_alone(ledger, MOST_LEFT)[1],
        checks=checks,
        runs=runs,
        last_signs=last_signs,
        endpoints=sorted({end for run in runs if (end := (run.summary or {}).get("endpoint"))}),
        paces=paces,
        answers=read_answers(connection),
        latencies=read_latencies(connection),
        timeline=read_timeline(connection, group, limits) if group else None,
        failures=[f for f in read_failures(connection, words) if not (at_work and f.outcome == "pending")],
        account=meta.get("account"),
        sources=dict(connection.execute(_SOURCES)),
        names_digest=_digest(connection, "id"),
        sorted_names_digest=names_in_order(connection),
    )


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def names_in_order(connection: sqlite3.Connection) -> str:
    """Return the SHA-256 of all names, each with a newline, in the order of their bytes."""
    return _digest(connection, "name")


def _digest(connection: sqlite3.Connection, order: Literal["id", "name"]) -> str:
    digest = sha256()
    for (name,) in connection.execute(f"SELECT name FROM definitions ORDER BY {order}"):  # noqa: S608  # a column
        digest.update(f"{name}\n".encode())
    return digest.hexdigest()


def _counts(
    ledger: LedgerReader, words: type[Outcome | Verified]
) -> dict[Outcome | Verified | RowState, int]:
    """Count the rows of each word, those that none has among them, and the invalid lines."""
    found = {outcome: count for outcome, count in ledger.counts().items() if count}
    counts = {**dict.fromkeys((*words, Outcome.INVALID), 0), **found}
    states: dict[Outcome | Verified | RowState, int] = {**counts}
    if undone := rolled_back(ledger):
        states |= {Outcome.PENDING: counts[Outcome.PENDING] - undone, RowState.ROLLED_BACK: undone}
    if restored := put_back(ledger):
        states |= {Outcome.UPDATED: counts[Outcome.UPDATED] - restored, RowState.PUT_BACK: restored}
    return states


def _rollbacks(connection: sqlite3.Connection) -> dict[str, int]:
    """Count what the last rollback of each secret came to."""
    return dict(
        connection.execute(
            "SELECT coalesce(result, ''), count(*) FROM rollbacks r"
            " WHERE run = (SELECT max(b.run) FROM rollbacks b WHERE b.definition = r.definition)"
            " GROUP BY 1 ORDER BY 1"
        )
    )


def _main_group(paces: list[Pace]) -> str:
    """Return the quota group to show over time: that of creations, else the busiest; "" without any."""
    attempts = Counter[str]()
    for pace in paces:
        attempts[pace.group] += pace.attempts
    return CREATE if CREATE in attempts else max(attempts, key=lambda group: attempts[group], default="")
