"""Summaries, plans and rows: text for people, JSON for machines, always on standard output."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from bulkseed.cli.target import TargetOptions
from bulkseed.humanize import duration, number
from bulkseed.model import Outcome, Summary
from bulkseed.policy.jobs import APPLY

R = TypeVar("R", bound=StrEnum)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    click.echo(orjson.dumps(document).decode())


def heading(target: TargetOptions, ledger: Path) -> str:
    """Return the lines that a command begins with, so that nobody is mistaken about what it touches."""
    new = "" if ledger.exists() else " (none here yet: a first run)"
    return f"target: {target}\nledger: {ledger}{new}"


def print_table(counts: Mapping[Any, int]) -> None:
    """Print the outcomes that occurred, one a line with what it means."""
    for outcome in Outcome:
        if counts.get(outcome):
            label = f"{outcome.value}: {counts[outcome]:,}"
            click.echo(f"{label:<22} {APPLY.meanings[outcome]}")


def print_counts(counts: Mapping[Any, int], total: int) -> None:
    """Print the outcomes that occurred and the identity that they add up to."""
    print_table(counts)
    terms = " + ".join(f"{counts[o]:,} {o.value}" for o in Outcome if counts.get(o)) or "0"
    click.echo(f"definitions: {total:,} = {terms}")


def print_results(counts: Mapping[Any, int], meanings: Mapping[StrEnum, str], what: str) -> None:
    """Print how many of `what` had which result, in the order of `meanings`, and that they add up."""
    found = {result: count for result in meanings if (count := counts.get(result, 0))}
    for result, count in found.items():
        click.echo(f"{f'{result.value}: {count:,}':<22} {meanings[result]}")
    terms = " + ".join(f"{count:,} {result.value}" for result, count in found.items()) or "0"
    click.echo(f"{what}: {sum(found.values()):,} = {terms}")


def print_summary(summary: Summary) -> None:
    """Print a run's summary for people."""
    print_counts(summary.outcomes, summary.definitions)
    print_effort(summary)


def print_effort(summary: Summary) -> None:
    """Print what a run took: attempts, time, rate and latency, and where its rows are."""
    line = f"attempts: {summary.attempts:,}"
    if summary.attempts:
        line += f"   throttled: {summary.throttled:,}   retried: {summary.retried:,}"
    click.echo(f"{line}   in {duration(summary.elapsed_s)}")
    if summary.attempts > 1:
        if summary.elapsed_s >= 1:  # less is too short to have a rate
            ceiling = f" of {number(summary.limit_qps)}/s allowed" if summary.limit_qps else ", no ceiling"
            most = f"at most {summary.max_in_one_second:,} in any second"
            click.echo(f"rate: {summary.mean_qps:,.2f}/s{ceiling}, {most}")
        p50, p99 = summary.latency_ms["p50"], summary.latency_ms["p99"]
        if p50 is not None and p99 is not None:
            click.echo(f"latency: half within {p50:g} ms, 99 % within {p99:g} ms")
