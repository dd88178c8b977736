"""Summaries, plans and rows: text for people, JSON for machines, always on standard output."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
import orjson

from bulkseed.cli.target import TargetOptions
from bulkseed.humanize import counted, duration, number, visible
from bulkseed.model import Origin, Outcome, Summary, Verified
from bulkseed.policy.advice import TAKEN_FOR_OURS, advise
from bulkseed.policy.jobs import APPLY
from bulkseed.policy.rollback import NAME_IS_TAKEN, WHEN_ROLLED_BACK

if TYPE_CHECKING:
    from bulkseed.ledger import LedgerReader

R = TypeVar("R", bound=StrEnum)

MOST_REASONS = 3


def print_json(document: Mapping[str, Any], *, indented: bool = False) -> None:
    """Print one JSON object on one line, or indented for people."""
    click.echo(json.dumps(document, indent=2) if indented else to_json(document))


def to_json(document: Mapping[str, Any]) -> str:
    """Return JSON on one line that is safe to look at: what would steer a terminal is escaped."""
    try:
        text = orjson.dumps(document).decode()
    except TypeError:  # half of a surrogate pair, as in a file name that is no UTF-8
        text = json.dumps(document, separators=(",", ":"))
    return visible(text)


def say(text: str, *, err: bool = False) -> None:
    """Print lines for people; nothing in them steers the terminal."""
    click.echo(visible(text), err=err)


def note(text: str) -> None:
    """Print a note on standard error."""
    say_aside(f"note: {text}")


def say_aside(text: str) -> None:
    """Print lines on standard error; they are broken between words if that is a terminal."""
    for line in text.splitlines():
        say(wrapped(line, stream=sys.stderr), err=True)


def wrapped(line: str, indent: str = "  ", stream: TextIO | None = None) -> str:
    """Return a line broken between words if `stream` (standard output) is a terminal; else as it is.

    `indent` stands before what goes on.
    """
    if not (stream or sys.stdout).isatty():
        return line
    width = min(shutil.get_terminal_size().columns, 120)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def heading(target: TargetOptions, ledger: Path) -> str:
    """Return the lines that a command begins with, so that nobody is mistaken about what it touches."""
    new = "" if ledger.exists() else " (none here yet: a first run)"
    return f"target: {target}\nledger: {ledger}{new}"


def print_table(counts: Mapping[Any, int]) -> None:
    """Print the outcomes that occurred, one a line with what it means."""
    for outcome in Outcome:
        if counts.get(outcome):
            label = f"{outcome.value}: {counts[outcome]:,}"
            say(f"{label:<22} {APPLY.meanings[outcome]}")


def print_counts(counts: Mapping[Any, int], total: int) -> None:
    """Print the outcomes that occurred and the identity that they add up to."""
    print_table(counts)
    terms = " + ".join(f"{counts[o]:,} {o.value}" for o in Outcome if counts.get(o)) or "0"
    say(f"definitions: {total:,} = {terms}")


def print_results(counts: Mapping[Any, int], meanings: Mapping[StrEnum, str], what: str) -> None:
    """Print how many of `what` had which result, in the order of `meanings`, and that they add up."""
    found = {result: count for result in meanings if (count := counts.get(result, 0))}
    for result, count in found.items():
        say(f"{f'{result.value}: {count:,}':<22} {meanings[result]}")
    terms = " + ".join(f"{count:,} {result.value}" for result, count in found.items()) or "0"
    say(f"{what}: {sum(found.values()):,} = {terms}")


def print_summary(summary: Summary, ledger: LedgerReader) -> None:
    """Print the summary of a run that `ledger` has, for people."""
    print_counts(summary.outcomes, summary.definitions)
    print_reasons(ledger, summary.run_id)
    if summary.outcomes.get(Outcome.ADOPTED):
        say_taken_back(ledger, summary.run_id)
    if summary.outcomes.get(Outcome.UPDATED) and (count := ledger.count_of(TAKEN_FOR_OURS)):
        say(wrapped(taken_for_ours(count)))
    if summary.settled_before:
        settled = sum(count for outcome, count in summary.outcomes.items() if outcome.settled)
        say(
            f"{settled - summary.settled_before:,} settled now, {summary.settled_before:,} settled before"
            " (not compared: to change a value, raise its VersionId, too, v1 to v2)"
        )
    exist = summary.outcomes.get(Outcome.EXISTING, 0) + summary.outcomes.get(Outcome.IDENTICAL, 0)
    perhaps = ledger.perhaps_ours() if exist else {}
    if existing := summary.outcomes.get(Outcome.EXISTING, 0) - perhaps.get(Outcome.EXISTING, 0):
        say(f"not compared: {existing:,} that were there before (--on-exists verify compares)")
    if unsure := sum(perhaps.values()):
        say(wrapped(perhaps_ours(unsure)))
    print_effort(summary)


def perhaps_ours(count: int) -> str:
    """Say that so many exist of which no run could find out whether they are ours."""
    return (
        f"perhaps ours: {count:,} that exist, as an answer to this ledger was lost and nothing proves whose"
        " they are; their rows say why (ledger rows), ActionTrail tells who created them"
    )


def say_taken_back(ledger: LedgerReader, run_id: str | None = None) -> None:
    """Say how many of the adopted ones, of a run or of all, a rollback had deleted."""
    from bulkseed.ledger.rollbacks import taken_back

    if count := taken_back(ledger, run_id):
        say(
            f"taken back: {count:,} of the adopted ones, which a rollback had deleted, from the delete window"
        )


def taken_for_ours(count: int) -> str:
    """Say of how many nothing but version and time tells that they are ours, as no value can."""
    lost = "by version and time alone, as a generated value was lost"
    return f"taken for ours: {count:,}, {lost}; ActionTrail tells who created them"


def print_reasons(ledger: LedgerReader, run_id: str, words: type[Outcome | Verified] = Outcome) -> None:
    """Print the commonest reasons why definitions of a run are not settled, and what to do."""
    places: dict[str, list[str]] = {}  # the first invalid lines for each reason
    reasons: Counter[tuple[Outcome | Verified, str | None, str | None]] = Counter()
    for row in ledger.rows([word for word in words if not word.settled]):
        if row.run_id == run_id and (row.code or row.message):
            own = row.code is None or advise(row.outcome, row.code, row.message).meaning == row.message
            reasons[row.outcome, row.code, row.message if own else None] += 1
            if row.outcome is Outcome.INVALID and row.manifest and row.line is not None:
                at = places.setdefault(row.message or "", [])
                at += [str(Origin(row.manifest, row.line))] * (len(at) < MOST_REASONS)
    shown = len(reasons) if len(reasons) == MOST_REASONS + 1 else MOST_REASONS  # to hide one spares no line
    for (outcome, code, message), count in reasons.most_common(shown):
        at = places.get(message or "", []) if outcome is Outcome.INVALID else []
        told = advise(outcome, code, message)
        undone = message is not None and message.endswith(WHEN_ROLLED_BACK)
        why = f"{code}: {told.meaning}" if code else message
        say(wrapped(f"  {count:,} {outcome}: {why}", "    "))
        say(wrapped(f"    {NAME_IS_TAKEN if undone else told.action}", "    "))
        if at:
            say(wrapped(f"    at {', '.join(at)}{', …' if count > len(at) else ''}", "    "))
    if (more := len(reasons) - shown) > 0:
        say(f"  and {counted(more, 'more reason')}")


def print_effort(summary: Summary) -> None:
    """Print what a run took: attempts, time, rate and latency."""
    limit = summary.limit_qps
    line = f"attempts: {summary.attempts:,}"
    if summary.attempts:
        line += f"   throttled: {summary.throttled:,}   retried: {summary.retried:,}"
    say(f"{line}   in {duration(summary.elapsed_s)}")
    if summary.attempts > 1:
        if summary.elapsed_s >= 1 and summary.max_in_one_second:  # less is too short to have a rate
            ceiling = f" of {number(limit)}/s allowed" if limit else ", no ceiling"
            most = f"at most {summary.max_in_one_second:,} in any second"
            say(f"rate: {summary.mean_qps:,.2f}/s{ceiling}, {most}")
        p50, p99 = summary.latency_ms["p50"], summary.latency_ms["p99"]
        if p50 is not None and p99 is not None:
            say(f"latency: half within {p50:g} ms, 99 % within {p99:g} ms")
