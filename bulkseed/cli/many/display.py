"""Many targets at a glance: a line for each, the worst first, and their sum."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import anyio

from bulkseed.cli.many.ends import print_effort_of_all, print_why
from bulkseed.cli.render import print_json, say
from bulkseed.cli.session import this_call
from bulkseed.cli.watching import events
from bulkseed.cli.watching.logs import in_json
from bulkseed.humanize import duration
from bulkseed.model import Outcome, Verified
from bulkseed.targets.run_all import AllRuns, TargetRun, in_all

SHOW_EVERY = 0.5
LINE_EVERY = 5.0
MOST_LINES = 20
"""Targets shown at a time: what goes well needs no line."""
LONGEST_NAME = 32


async def watch_all(kind: str, runs: Sequence[TargetRun]) -> None:
    """Show progress on standard error until cancelled. `kind`: auto, bar, plain or none."""
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    if kind == "none":
        return
    began = time.monotonic()
    if kind == "plain" or os.environ.get("TERM") in {"dumb", "unknown"}:
        while True:
            await anyio.sleep(LINE_EVERY)
            if runs and in_json():
                finished, expected = sum(run.finished for run in runs), sum(run.expected for run in runs)
                events.tell_progress(finished=finished, expected=expected, targets=len(runs))
            elif runs:
                say(_sum_line(runs, time.monotonic() - began), err=True)
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            lines = [*_lines(runs), _sum_line(runs, time.monotonic() - began)] if runs else ["reading…"]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
            await anyio.sleep(SHOW_EVERY)


def _lines(runs: Sequence[TargetRun]) -> Iterator[str]:
    """Yield a line for each target that is not done well, the worst first."""
    open_runs = [run for run in runs if run.summary is None or run.exit_code]
    shown = sorted(open_runs, key=_badness, reverse=True)[:MOST_LINES]
    width = min(LONGEST_NAME, max((len(run.spec.name) for run in shown), default=0))
    for run in shown:
        share = f"{run.finished:>9,} of {run.expected:<9,}"
        yield f"{run.spec.name:<{width}.{width}} {share} {_trouble(run)}".rstrip()
    if (more := len(open_runs) - MOST_LINES) > 0:
        yield f"and {more} more"


def _badness(run: TargetRun) -> tuple[bool, bool, float]:
    left = 1 - run.finished / run.expected if run.expected else 0.0
    return run.error is not None or run.stop.requested, bool(run.stats.waiting_for), left


def _trouble(run: TargetRun) -> str:
    if run.error is not None:
        return str(run.error)
    if run.stop.reason is not None:
        return run.stop.reason
    if run.stats.waiting_for:
        return f"waiting for {run.stats.waiting_for}"
    return run.stats.last_problem or ""


def _sum_line(runs: Sequence[TargetRun], elapsed: float) -> str:
    finished, expected = sum(run.finished for run in runs), sum(run.expected for run in runs)
    ended = sum(run.summary is not None or run.error is not None for run in runs)
    notable = _terms({k: n for k, n in in_all(runs).items() if k != Outcome.CREATED})
    rest = f"; {notable}" if notable != "0" else ""
    return (
        f"{finished:,} of {expected:,} in {len(runs):,} targets, {ended:,} ended, {duration(elapsed)}{rest}"
    )


def conclude_all(
    done: AllRuns, output: str, document: Callable[[AllRuns], Mapping[str, Any]] = AllRuns.as_dict
) -> int:
    """Print how all runs ended and how to go on; return the exit code. `document` makes the JSON."""
    if output == "json":
        print_json(document(done))
    else:
        print_all_runs(done)
    if done.exit_code == 130:
        say(f"interrupted; to resume: {this_call()}", err=True)
    elif done.exit_code:
        rejects = f"; all of them: bulkseed ledger rejects {done.run}" if done.word == "outcomes" else ""
        say(f"not finished{rejects}\nto retry: {this_call()}", err=True)
    return done.exit_code


def print_all_runs(done: AllRuns) -> None:
    """Print what became of every target, the worst first, and that all adds up."""
    print_why(done, Outcome if done.word == "outcomes" else Verified)
    for run in sorted(done.runs, key=lambda run: (-run.exit_code, run.spec.name)):
        if run.summary is None:
            say(f"{run.spec.name}: not {'run to an end' if run.finished else 'run'}: {run.why_not}")
            continue
        terms = _terms(run.end.results if run.end else {})
        stopped = f"; stopped: {run.summary.stopped_by}" if run.summary.stopped_by else ""
        say(f"{run.spec.name}: {run.summary.definitions:,} = {terms}{stopped}")
    say(f"definitions: {done.definitions:,} = " + _terms(done.results))
    expected = sum(run.expected for run in done.runs)
    told = f"lines: {done.lines:,}, for the targets together {expected:,}" if done.lines else ""
    if done.unrouted:
        told += f"; {done.unrouted:,} went nowhere: {done.run}/unrouted.jsonl"
    if done.missing:
        told += f"; {done.missing:,} not come to"
    if told:
        say(told)
    say(f"run: {done.run}")
    print_effort_of_all(done)


def _terms(counts: Mapping[str, int]) -> str:
    return " + ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "0"
