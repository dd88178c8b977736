"""Checks of the audit on attempts: each was claimed, brought about what its row says, and kept to the limit.

Times of one run are compared to the microsecond or two of their rounding: one clock gives them all. Between
runs the wall clock may have been set: only those of one boot of the machine are compared, by the clock that
went on.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from bulkseed.humanize import counted
from bulkseed.ledger.audit.checks import CheckEnd, broken, differences, excesses
from bulkseed.ledger.reader import LedgerReader, Run
from bulkseed.model import QuotaGroup
from bulkseed.policy.jobs import JOBS
from bulkseed.policy.moments import Era

_GROUPS = "('" + "', '".join(group.value for group in QuotaGroup) + "')"

_WITH_RUNS = """
(SELECT a.*, d.id, d.claimed_at, d.run AS taken_up, r.id AS known_run, r.started_at, r.ended_at,
        lag(sent_at + latency) OVER (PARTITION BY definition, a.run ORDER BY sent_at) AS before
 FROM attempts a LEFT JOIN definitions d ON d.id = a.definition LEFT JOIN runs r ON r.id = a.run)"""

_WITH_ANSWERS = """
definitions d JOIN runs r ON r.id = d.run LEFT JOIN
(SELECT definition, run, max(sent_at + latency) AS answered_at, max(status IS NOT NULL) AS answered,
        max(quota_group = 'create' AND status = 200 AND code IS NULL) AS created,
        max(quota_group = 'read' AND status = 200) AS looked,
        max(quota_group = 'manage' AND status = 200) AS managed,
        max(quota_group = 'create' AND (status IS NULL OR status NOT BETWEEN 400 AND 499)) AS uncertain
 FROM attempts GROUP BY definition, run) a ON a.definition = d.id AND a.run = d.run"""
"""Rows with what the attempts of the run that took them up last came to."""

_FIRST = """
definitions d JOIN (
  SELECT definition, min(run), sent_at FROM (
    SELECT definition, run, min(sent_at) AS sent_at FROM attempts GROUP BY definition, run)
  GROUP BY definition) a ON a.definition = d.id"""


def claims(ledger: LedgerReader) -> CheckEnd:
    """An attempt belongs to a definition that was claimed before it was sent, one at a time, in its run.

    A later run's claim replaces an earlier one, whose attempts are then held against the start of their run.
    """
    rules = {
        "attempts without a claim": "claimed_at IS NULL",
        "attempts without a run": "known_run IS NULL",
        "attempts sent before their claim": "sent_at < iif(run = taken_up, claimed_at, started_at)",
        "attempts before their run": "sent_at < started_at",
        "attempts after their run": "latency < 0 OR sent_at + latency > ended_at + 2",
        "attempts sent before the one before was answered": "sent_at < before - 2",
        "attempts in an unknown quota group": f"quota_group NOT IN {_GROUPS}",
    }
    attempts, wrong = broken(ledger, rules, _WITH_RUNS)
    return wrong, counted(attempts, "attempt")


def answers(ledger: LedgerReader) -> CheckEnd:
    """An attempt of the run that settled a row had an answer of the kind that its outcome needs."""
    looked = "ending IN ('adopted', 'identical') AND NOT coalesce(looked, 0)"
    updated = "ending = 'updated' AND NOT coalesce(looked OR managed, 0)"
    answered = "outcome NOT IN ('pending', 'exhausted', 'unreadable') AND NOT coalesce(answered, 0)"
    unsure = (
        "outcome IN ('pending', 'exhausted') AND NOT doubt AND uncertain"
        " AND d.id NOT IN (SELECT b.definition FROM rollbacks b WHERE b.run > d.run)"
    )
    rules = {
        "rows created without an answer that says so": "ending = 'created' AND NOT coalesce(created, 0)",
        "rows adopted or identical without a look": looked,
        "rows updated without a look or a change": updated,
        "rows with an outcome without any answer": answered,
        "rows settled before their last answer": "settled_at < answered_at - 2",
        "rows settled before or after their run": "settled_at < started_at OR settled_at > ended_at + 2",
        "rows not in doubt although an attempt may have had effect": unsure,
    }
    rows, wrong = broken(ledger, rules, _WITH_ANSWERS)
    return wrong, counted(rows, "row")


def attempts(ledger: LedgerReader) -> CheckEnd:
    """Definitions and runs count as many attempts as are on record, and know the first."""
    off = ledger.one(
        "SELECT count(*) FROM definitions d LEFT JOIN"
        " (SELECT definition, count(*) AS n FROM attempts GROUP BY definition) a ON a.definition = d.id"
        " WHERE d.attempts != coalesce(a.n, 0)"
    )
    others = ledger.one("SELECT count(*) FROM other_attempts")
    last = ledger.one("SELECT coalesce(max(rowid), 0) FROM other_attempts")
    numbers = [
        ("definitions with another number of attempts", off, 0),
        ("number of the last other attempt", last, others),
    ]
    excess = []
    for run_id, command, claimed, summary, tallied, found, carried in ledger.select(
        "SELECT run_id, command, claimed, summary, attempts, coalesce(n, 0), coalesce(names, 0)"
        " FROM runs LEFT JOIN"
        " (SELECT run, count(*) AS n, count(DISTINCT definition) AS names FROM attempts GROUP BY run)"
        " ON run = id"
    ):
        numbers.append((f"run {run_id}: attempts that it counted", tallied, found))
        if summary is not None:
            numbers.append((f"run {run_id}: attempts in its summary", json.loads(summary)["attempts"], found))
        if JOBS[command].takes_definitions:  # the claims of a rollback are its own
            excess.append((f"run {run_id}: definitions attempted", carried, claimed))
    rule = {"definitions with another first attempt": "first_sent_at IS NOT sent_at"}
    return differences(numbers) + excesses(excess) + broken(ledger, rule, _FIRST)[1], "all counted"


def _untold_limit(run: Run) -> str | None:
    """Return what is wrong if a run's summary tells another limit than it was given."""
    told = run.summary and run.summary.get("rate")
    if not told or told["limit_qps"] == run.limits.get(JOBS[run.command].group):
        return None
    return f"run {run.run_id}: the limit in its summary: {told['limit_qps']:g}"


def send_times(ledger: LedgerReader) -> CheckEnd:
    """No half-open second holds more than the limit; below 1 a second, no `1 / limit` seconds hold two.

    Nor where a run followed another at once: there the more generous limit of the two counts. A run's
    limit is the one that its summary tells.
    """
    known = {run.number: run for run in ledger.runs()}
    wrong = [problem for run in known.values() if (problem := _untold_limit(run))]
    worst: dict[str, tuple[int, float]] = {}
    eras = _eras(ledger)
    sends = ledger.select("SELECT quota_group, run, sent_at FROM attempts ORDER BY quota_group, run, sent_at")
    for group, runs in groupby(groupby(sends, itemgetter(0, 1)), lambda pair: pair[0][0]):
        window, limit_before, era = deque[int](), 0.0, None
        for (_, number), found in runs:
            run = known[number]
            _move(window, era, eras.get(number))
            era = eras.get(number)
            limit = run.limits.get(group, 0) or math.inf
            if window and round(run.started_at * 1e6) < window[-1]:  # the clock was set back meanwhile:
                window.clear()  # nothing is known of the pause
            times = (sent_at for _, _, sent_at in found)
            alone, together = most_within(max(1.0, 1 / limit), times, window)
            told = f"run {run.run_id}: {{:,}} {group} attempts within a second, limit {{:g}}"
            if alone > max(1.0, limit):
                wrong.append(told.format(alone, limit))
            limit_before = max(limit, limit_before) if together else limit
            if together > max(1.0, limit_before):
                wrong.append(told.format(together, limit_before) + ", with the run before")
            if limit < math.inf:
                worst[group] = max(worst.get(group, (0, 0.0)), (max(alone, together), limit))
    return wrong, "; ".join(
        f"{group}: at most {most:,} within a second, limit {limit:g}"
        for group, (most, limit) in worst.items()
    ) or "no limit"


def _eras(ledger: LedgerReader) -> dict[int, Era]:
    """Return what the times of each run count from, where that is on record."""
    there = {name for (name,) in ledger.select("SELECT name FROM pragma_table_info('runs')")}
    if "clock_offset" not in there:
        return {}
    found = ledger.select("SELECT id, boot, clock_offset FROM runs WHERE clock_offset IS NOT NULL")
    return {run: Era(boot, offset / 1e6) for run, boot, offset in found}


def _move(window: deque[int], before: Era | None, era: Era | None) -> None:
    """Move the times of the run before to those of this one: our clock may have been set between them."""
    if before is None or era is None:
        return
    moved = era.since(before)
    times = [] if moved is None else [time + round(moved * 1e6) for time in window]
    window.clear()
    window.extend(times)


def most_within(seconds: float, times: Iterable[int], window: deque[int]) -> tuple[int, int]:
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
