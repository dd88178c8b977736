"""Checks of the audit on rows and runs: each number against another way in which it was counted."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from bulkseed.humanize import counted
from bulkseed.ledger.audit.checks import CheckEnd, broken, differences, excesses
from bulkseed.ledger.reader import IN_SETTLED, LedgerReader
from bulkseed.model import Outcome, Verified
from bulkseed.policy.jobs import JOBS, ROLLBACK, JobKind

_CREATED = "creations JOIN claims ON claims.id = creations.id"
_UNCLAIMED = """
SELECT count(*) FROM attempts a JOIN runs r ON r.id = a.run
LEFT JOIN rollbacks b ON b.definition = a.definition AND b.run = a.run
WHERE r.command = ? AND a.quota_group = 'create' AND (b.claimed_at IS NULL OR b.claimed_at > a.sent_at)"""
_OUTCOMES = "('" + "', '".join({word.value for word in (*Outcome, *Verified)} - {"invalid"}) + "')"


def file(ledger: LedgerReader) -> CheckEnd:
    """SQLite's own look at the file."""
    problems = [str(problem) for (problem,) in ledger.select("PRAGMA integrity_check(10)")]
    return ([] if problems == ["ok"] else problems), "sound"


def states(ledger: LedgerReader) -> CheckEnd:
    """Outcomes are known ones, and what a row says about itself makes sense."""
    rules = {
        "rows with an unknown outcome": f"outcome NOT IN {_OUTCOMES}",
        "rows with an outcome without its time": "(outcome = 'pending') != (settled_at IS NULL)",
        "rows created or adopted but not owned": "ending IN ('created', 'adopted') AND NOT owned",
        "rows in doubt without a claim": "doubt AND claimed_at IS NULL",
        # One that was there may stay in doubt: whether it is ours could not be found out.
        "rows in doubt although settled": f"doubt AND ending {IN_SETTLED}"
        " AND outcome NOT IN ('existing', 'identical')",
        "rows with attempts but no first one": "(attempts = 0) != (first_sent_at IS NULL)",
    }
    rows, wrong = broken(ledger, rules, "definitions")
    wrong += broken(ledger, {"rows created that had ended otherwise": "outcome != 'pending'"}, _CREATED)[1]
    return wrong, counted(rows, "row")


def names(ledger: LedgerReader) -> CheckEnd:
    """An ARN names its row's secret, and the region and account that the ledger is bound to.

    So does the summary of every run name the ledger's region.
    """
    known = ledger.known_target()
    bound = f"acs:kms:{known.region}:{known.account or ''}:secret/"
    arns, of_another, of_others, rows = next(
        ledger.select(
            "SELECT count(arn), coalesce(sum(substr(arn, -length(name) - 1) != '/' || name), 0),"
            " coalesce(sum(substr(arn, 1, length(?)) != ?), 0), count(*) FROM definitions",
            *(bound, bound),
        )
    )
    wrong = differences(
        [
            ("ARNs of another name", of_another, 0),
            (f"ARNs not of account {known.account} in {known.region}", of_others, 0),
        ]
    )
    for run in ledger.runs():
        told = (run.summary or {}).get("region", known.region)
        if told != known.region:
            wrong.append(f"run {run.run_id}: the region in its summary: {told}")
    without = f"; {rows - arns:,} rows have none, as only creating tells it" if rows > arns else ""
    return wrong, f"{arns:,} ARNs{without}"


def runs(ledger: LedgerReader) -> CheckEnd:
    """Each run: every entry it read is counted once, by the ledger and by the run's own summary."""
    wrong, count, entries = [], 0, 0
    for run in ledger.runs():
        read, *parts = run.tally[:5]
        known, claimed, unsent, invalid, settled = *parts, run.tally.settled
        count, entries = count + 1, entries + read
        about = f"run {run.run_id}: "
        wrong += differences([(about + "known + claimed + unsent + invalid", sum(parts), read)])
        wrong += excesses((about + what, n, read) for what, n in run.tally._asdict().items() if n < 0)
        if not JOBS[run.command].takes_definitions:  # it may settle again what it could not delete
            continue
        wrong += excesses([(about + "settled", settled, claimed)])
        if run.summary is not None:
            words = JOBS[run.command].words
            told = Counter({words(name): n for name, n in run.summary["outcomes"].items()})
            done = sum(told[outcome] for outcome in words if outcome.settled)
            rest = told.total() - done - told[Outcome.INVALID]
            wrong += differences(
                (about + what, found, expected)
                for what, found, expected in (
                    ("definitions in its summary", run.summary["definitions"], read),
                    ("sum of its outcomes", told.total(), read),
                    ("settled in its summary", done, known + settled),
                    ("invalid in its summary", told[Outcome.INVALID], invalid),
                    ("neither in its summary", rest, claimed + unsent - settled),
                )
            )
    return wrong, f"{count:,} {'run' if count == 1 else 'runs'} read {entries:,} entries"


def rows(ledger: LedgerReader) -> CheckEnd:
    """All runs together explain every row that is there; the last one explains those that it took up."""
    definitions, lines = (
        ledger.one("SELECT count(*) FROM definitions"),
        ledger.one("SELECT count(*) FROM invalid_lines"),
    )
    added = ledger.one("SELECT coalesce(sum(added), 0) FROM runs")
    wrong = differences(
        [
            ("rows", definitions, added),
            ("number of the last row", ledger.one("SELECT coalesce(max(id), 0) FROM definitions"), added),
            ("sum of all outcomes", sum(ledger.counts().values()), definitions + lines),
        ]
    )
    last = ledger.one("SELECT coalesce(max(id), 0) FROM runs")
    made = ledger.one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'runs'")
    first, count = next(ledger.select("SELECT coalesce(min(id), 1), count(*) FROM runs"))
    wrong += differences([("number of the last run", last, made), ("runs", count, made + 1 - first)])
    for run, run_id, claimed, invalid, taken_up, found in ledger.select(
        "SELECT id, run_id, claimed + unsent, invalid, coalesce(d.n, 0), coalesce(l.n, 0) FROM runs"
        " LEFT JOIN (SELECT run, count(*) AS n FROM definitions GROUP BY run) d ON d.run = id"
        " LEFT JOIN (SELECT run, count(*) AS n FROM invalid_lines GROUP BY run) l ON l.run = id"
    ):
        numbers = [
            (f"run {run_id}: rows taken up", taken_up, claimed),
            (f"run {run_id}: rows invalid", found, invalid),
        ]
        # What an earlier run took up or found invalid, a later one may have taken over.
        wrong += differences(numbers) if run == last else excesses(numbers)
    strays = "definitions WHERE run NOT IN (SELECT id FROM runs)"
    wrong += differences([("rows of no run", ledger.one(f"SELECT count(*) FROM {strays}"), 0)])  # noqa: S608  # fixed
    return wrong, f"{counted(definitions, 'definition')} + {counted(lines, 'invalid line')}"


def summaries(ledger: LedgerReader) -> CheckEnd:
    """The summary of the last run says what its rows say, and no earlier one says less."""
    wrong, detail = [], "the last run has none"
    found: dict[int, dict[str, int]] = {}
    for run_id, outcome, n in ledger.select("SELECT run, ending, count(*) FROM definitions GROUP BY 1, 2"):
        found.setdefault(run_id, {})[outcome] = n
    last = ledger.one("SELECT coalesce(max(id), 0) FROM runs")
    for run, run_id, command, known, summary in ledger.select(
        "SELECT id, run_id, command, known, summary FROM runs ORDER BY id"
    ):
        if not summary or not JOBS[command].takes_definitions:
            continue
        told, rows_now = json.loads(summary)["outcomes"], found.get(run, {})
        words = (told.keys() | rows_now.keys()) - {"pending"}
        # A row leaves its run for a later one; a rollback makes it pending where it is.
        wrong += excesses(
            (f"run {run_id}: {text}", rows_now.get(text, 0), told.get(text, 0)) for text in sorted(words)
        )
        if run == last:
            detail = counted(sum(told.values()), "definition")
            wrong += _last(ledger, run, JOBS[command], known, told, rows_now)
    return wrong, detail


def _last(
    ledger: LedgerReader, run: int, kind: JobKind, known: int, told: dict[str, int], found: dict[str, int]
) -> list[str]:
    invalid = ledger.one(f"SELECT count(*) FROM invalid_lines WHERE run = {run}")  # noqa: S608  # an id
    found = {**found, "invalid": invalid}
    ends = {word.value for word in kind.words if word.settled}
    words = sorted((told.keys() | found.keys()) - ends)
    numbers = [(text, told.get(text, 0), found.get(text, 0)) for text in words]
    settled = known + sum(found.get(end, 0) for end in ends)
    numbers.append(("settled", sum(told.get(end, 0) for end in ends), settled))
    return differences(numbers)


def settled_once(ledger: LedgerReader) -> CheckEnd:
    """As many rows are settled as were ever settled, less those whose VersionId changed."""
    count = ledger.one(f"SELECT count(*) FROM definitions WHERE ending {IN_SETTLED}")  # noqa: S608  # fixed text
    settled = ledger.one("SELECT coalesce(sum(settled - reopened), 0) FROM runs")
    return differences([("settled by all runs", settled, count)]), counted(count, "row")


def deletions(ledger: LedgerReader) -> CheckEnd:
    """A deletion was claimed before it was sent, was answered, and what was deleted is not called ours."""
    counts = {
        "rows that are owned although their secret was deleted": (
            "SELECT count(*) FROM rollbacks b JOIN definitions d ON d.id = b.definition"
            " WHERE b.result IN ('deleted', 'gone') AND d.owned AND d.run < b.run"
        ),
        "rows that are settled although their deletion is open": (
            "SELECT count(*) FROM rollbacks b JOIN definitions d ON d.id = b.definition"
            " WHERE b.ended_at IS NULL AND d.outcome != 'pending' AND d.run < b.run"
        ),
        "deletions without a claim": (
            "SELECT count(*) FROM rollbacks b WHERE result = 'deleted' AND NOT EXISTS"
            " (SELECT 1 FROM rollbacks c WHERE c.definition = b.definition"
            " AND c.claimed_at IS NOT NULL AND c.restores IS NULL)"
        ),
    }
    unclaimed, *_ = next(ledger.select(_UNCLAIMED, ROLLBACK.name))
    sent = [("deletions sent without a claim", unclaimed, 0)]
    wrong = differences([*sent, *((rule, ledger.one(query), 0) for rule, query in counts.items())])
    found = dict(ledger.select("SELECT result, count(*) FROM rollbacks WHERE result IS NOT NULL GROUP BY 1"))
    told: Counter[Any] = Counter()
    for run in ledger.runs():
        if JOBS[run.command] is ROLLBACK and run.summary:
            told.update(run.summary["results"])
    # A run that was killed told nothing of what it did.
    wrong += excesses(
        (f"{result} as rollbacks told", told[result], found.get(result, 0))
        for result in ("deleted", "gone", "restored", "changed", "failed")
    )
    return wrong, f"{found.get('deleted', 0):,} deleted"
