"""The proof, from the ledger alone, that its rows, runs and attempts add up.

Every number is found in two ways: rows against what the runs counted, attempts against the counters of their
definitions, send times against the limit of their run. They are written in the same transactions, so a kill
leaves them equal: what was sent in the last moments before it is missing on both sides, and its row in doubt.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from bulkseed.errors import LedgerError
from bulkseed.ledger.reader import LedgerReader
from bulkseed.ledger.rollbacks import was_rolled_back
from bulkseed.model import SETTLED, Outcome

_SETTLED = "('" + "', '".join(sorted(outcome.value for outcome in SETTLED)) + "')"
_OUTCOMES = "('" + "', '".join(outcome.value for outcome in Outcome if outcome is not Outcome.INVALID) + "')"


@dataclass(slots=True, frozen=True)
class Finding:
    """One check: what must hold, whether it does, and the numbers."""

    name: str
    holds: bool
    detail: str


def audit(ledger: LedgerReader) -> list[Finding]:
    """Run every check on one snapshot; memory does not grow with the ledger."""
    findings = []
    ledger.connection.execute("BEGIN")
    try:
        for name, check in CHECKS.items():
            try:
                wrong, detail = check(ledger)
            except (LedgerError, AttributeError, KeyError, TypeError, ValueError) as error:
                wrong, detail = [f"cannot be read: {error!r}"], ""
            findings.append(Finding(name, not wrong, "; ".join(wrong) or detail))
    finally:
        with suppress(sqlite3.Error):  # a damaged file has been reported by then
            ledger.connection.execute("ROLLBACK")
    return findings


Verdict = tuple[list[str], str]
"""What is wrong (empty: nothing), and the numbers to show if nothing is."""


def _differences(numbers: Iterable[tuple[str, int, int]]) -> list[str]:
    return [f"{what}: {found:,}, not {expected:,}" for what, found, expected in numbers if found != expected]


def _file(ledger: LedgerReader) -> Verdict:
    problems = [str(problem) for (problem,) in ledger.select("PRAGMA integrity_check(10)")]
    return ([] if problems == ["ok"] else problems), "sound"


def _states(ledger: LedgerReader) -> Verdict:
    """Outcomes are known ones, and what a row says about itself makes sense."""
    rules = {
        "an unknown outcome": f"outcome NOT IN {_OUTCOMES}",
        "an outcome without its time": "(outcome = 'pending') != (settled_at IS NULL)",
        "created or adopted but not owned": "outcome IN ('created', 'adopted') AND NOT owned",
        "in doubt without a claim": "doubt AND claimed_at IS NULL",
    }
    sums = ", ".join(f"coalesce(sum({rule}), 0)" for rule in rules.values())
    rows, *broken = next(ledger.select(f"SELECT count(*), {sums} FROM definitions"))  # noqa: S608  # fixed text
    return _differences(
        (f"rows with {rule}", n, 0) for rule, n in zip(rules, broken, strict=True)
    ), f"{rows:,} rows"


def _runs(ledger: LedgerReader) -> Verdict:
    """Each run: every entry it read is counted once, by the ledger and by the run's own summary."""
    wrong, runs, entries = [], 0, 0
    for run_id, command, read, parts, summary in ledger.select(
        "SELECT run_id, command, read, known + claimed + unsent + invalid, summary FROM runs ORDER BY id"
    ):
        runs, entries = runs + 1, entries + read
        wrong += _differences([(f"run {run_id}: known + claimed + unsent + invalid", parts, read)])
        if summary and command == "apply":
            told = json.loads(summary)
            total = sum(told["outcomes"].values())
            wrong += _differences(
                [
                    (f"run {run_id}: definitions in its summary", told["definitions"], read),
                    (f"run {run_id}: sum of its outcomes", total, read),
                ]
            )
    return wrong, f"{runs:,} {'run' if runs == 1 else 'runs'} read {entries:,} entries"


def _rows(ledger: LedgerReader) -> Verdict:
    """All runs together explain every row that is there; the last one explains those that it took up."""
    rows, lines = (
        ledger.one("SELECT count(*) FROM definitions"),
        ledger.one("SELECT count(*) FROM invalid_lines"),
    )
    wrong = _differences([("rows", rows, ledger.one("SELECT coalesce(sum(added), 0) FROM runs"))])
    counts = ledger.counts()
    wrong += _differences([("sum of all outcomes", sum(counts.values()), rows + lines)])
    for run, run_id, claimed, invalid in ledger.select(
        "SELECT id, run_id, claimed + unsent, invalid FROM runs ORDER BY id DESC LIMIT 1"
    ):
        for what, table, expected in (
            ("taken up", "definitions", claimed),
            ("invalid", "invalid_lines", invalid),
        ):
            found = ledger.one(f"SELECT count(*) FROM {table} WHERE run = {run}")  # noqa: S608  # fixed text
            wrong += _differences([(f"run {run_id}: rows {what}", found, expected)])
    return wrong, f"{rows:,} definitions + {lines:,} invalid lines"


def _summary(ledger: LedgerReader) -> Verdict:
    """The summary of the last run says what its rows say."""
    for run, command, known, summary in ledger.select(
        "SELECT id, command, known, summary FROM runs ORDER BY id DESC LIMIT 1"
    ):
        if not summary or command != "apply":
            break
        told = json.loads(summary)["outcomes"]
        found = dict(
            ledger.select("SELECT outcome, count(*) FROM definitions WHERE run = ? GROUP BY outcome", run)
        )
        found["invalid"] = ledger.one(f"SELECT count(*) FROM invalid_lines WHERE run = {run}")  # noqa: S608  # an id
        numbers = [(o.value, told[o.value], found.get(o.value, 0)) for o in Outcome if not o.settled]
        settled = known + sum(found.get(outcome.value, 0) for outcome in SETTLED)
        numbers.append(("settled", sum(told[outcome.value] for outcome in SETTLED), settled))
        return _differences(numbers), f"{sum(told.values()):,} definitions"
    return [], "the last run has none"


def _settled_once(ledger: LedgerReader) -> Verdict:
    """As many rows are settled as were ever settled, less those whose VersionId changed."""
    rows = ledger.one(f"SELECT count(*) FROM definitions WHERE outcome IN {_SETTLED}")  # noqa: S608  # fixed text
    settled = ledger.one("SELECT coalesce(sum(settled - reopened), 0) FROM runs")
    return _differences([("settled by all runs", settled, rows)]), f"{rows:,} rows"


def _claims(ledger: LedgerReader) -> Verdict:
    """An attempt belongs to a definition that was claimed before it was sent.

    A later run's claim replaces an earlier one, whose attempts are then held against the start of their run.
    """
    attempts, *broken = next(
        ledger.select(
            "SELECT count(*), coalesce(sum(claimed_at IS NULL), 0), coalesce(sum(started_at IS NULL), 0),"
            " coalesce(sum(sent_at < iif(a.run = d.run, claimed_at, started_at)), 0)"
            " FROM attempts a LEFT JOIN definitions d ON d.id = a.definition LEFT JOIN runs r ON r.id = a.run"
        )
    )
    rules = ("attempts without a claim", "attempts without a run", "attempts sent before their claim")
    return _differences((rule, n, 0) for rule, n in zip(rules, broken, strict=True)), f"{attempts:,} attempts"


def _deletions(ledger: LedgerReader) -> Verdict:
    """A deletion was claimed before it was sent, and what was deleted is not called ours."""
    if not was_rolled_back(ledger):
        return [], "none"
    counts = {
        "deletions sent without a claim": (
            "SELECT count(*) FROM attempts a JOIN runs r ON r.id = a.run"
            " LEFT JOIN rollbacks b ON b.definition = a.definition AND b.run = a.run"
            " WHERE r.command = 'rollback' AND a.lane = 'create'"
            " AND (b.claimed_at IS NULL OR b.claimed_at > a.sent_at)"
        ),
        "rows that are owned although their secret was deleted": (
            "SELECT count(*) FROM rollbacks b JOIN definitions d ON d.id = b.definition"
            " WHERE b.result IN ('deleted', 'gone') AND d.owned AND d.run < b.run"
        ),
        "rows that are settled although their deletion is open": (
            "SELECT count(*) FROM rollbacks b JOIN definitions d ON d.id = b.definition"
            " WHERE b.ended_at IS NULL AND d.outcome != 'pending' AND d.run < b.run"
        ),
    }
    deleted = ledger.one("SELECT count(*) FROM rollbacks WHERE result = 'deleted'")
    return _differences(
        (rule, ledger.one(query), 0) for rule, query in counts.items()
    ), f"{deleted:,} deleted"


def _attempts(ledger: LedgerReader) -> Verdict:
    """Definitions and runs count as many attempts as are on record."""
    off = ledger.one(
        "SELECT count(*) FROM definitions d LEFT JOIN"
        " (SELECT definition, count(*) AS n FROM attempts GROUP BY definition) a ON a.definition = d.id"
        " WHERE d.attempts != coalesce(a.n, 0)"
    )
    numbers = [("definitions with another number of attempts", off, 0)]
    for run_id, command, summary, found in ledger.select(
        "SELECT run_id, command, summary, coalesce(n, 0) FROM runs LEFT JOIN"
        " (SELECT run, count(*) AS n FROM attempts GROUP BY run) ON run = id WHERE summary IS NOT NULL"
    ):
        if command == "apply":
            numbers.append((f"run {run_id}: attempts in its summary", json.loads(summary)["attempts"], found))
    return _differences(numbers), "all counted"


def _send_times(ledger: LedgerReader) -> Verdict:
    """No half-open second holds more than the limit; below 1 a second, no `1 / limit` seconds hold two.

    Nor where a run followed another at once: there the more generous limit of the two counts.
    """
    wrong: list[str] = []
    worst: dict[str, tuple[int, float]] = {}
    limits = {
        run: (run_id, json.loads(text))
        for run, run_id, text in ledger.select("SELECT id, run_id, limits FROM runs")
    }
    sends = ledger.select("SELECT lane, run, sent_at FROM attempts ORDER BY lane, run, sent_at")
    for lane, runs in groupby(groupby(sends, itemgetter(0, 1)), lambda group: group[0][0]):
        window, limit_before = deque[int](), 0.0
        for (_, run), group in runs:
            run_id, by_lane = limits[run]
            limit = by_lane.get(lane, 0) or math.inf
            times = (sent_at for _, _, sent_at in group)
            alone, together = _most_within(max(1.0, 1 / limit), times, window)
            told = f"run {run_id}: {{:,}} {lane} attempts within a second, limit {{:g}}"
            if alone > max(1.0, limit):
                wrong.append(told.format(alone, limit))
            limit_before = max(limit, limit_before) if together else limit
            if together > max(1.0, limit_before):
                wrong.append(told.format(together, limit_before) + ", with the run before")
            if limit < math.inf:
                worst[lane] = max(worst.get(lane, (0, 0.0)), (max(alone, together), limit))
    return wrong, "; ".join(
        f"{lane}: at most {most:,} within a second, limit {limit:g}" for lane, (most, limit) in worst.items()
    ) or "no limit"


def _most_within(seconds: float, times: Iterable[int], window: deque[int]) -> tuple[int, int]:
    """Return the most of the sorted `times` (microseconds) that a half-open window of `seconds` holds.

    And, second, the most together with some of those that were in `window` before, 0 if none holds both. The
    last times are left in it.
    """
    length = round(seconds * 1e6)
    before = len(window)
    alone = together = 0
    for time in times:
        if before and time < window[before - 1]:  # the clock was set back between the runs
            window.clear()
            before = 0
        window.append(time)
        while window[0] <= time - length:
            window.popleft()
            before = max(0, before - 1)
        alone = max(alone, len(window) - before)
        if before:
            together = max(together, len(window))
    return alone, together


CHECKS: dict[str, Callable[[LedgerReader], Verdict]] = {
    "the file is sound": _file,
    "every row makes sense": _states,
    "every run adds up": _runs,
    "all rows add up": _rows,
    "the last summary agrees with the rows": _summary,
    "no row was settled twice": _settled_once,
    "every attempt belongs to a claim": _claims,
    "every deletion was claimed": _deletions,
    "attempts are counted right": _attempts,
    "send times kept to the limit": _send_times,
}
