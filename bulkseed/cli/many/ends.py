"""What is told at the end of a run over many targets, beside its numbers: reasons, notes, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulkseed.cli.render import note, print_reasons, say
from bulkseed.cli.sources import gone_in
from bulkseed.errors import LedgerError
from bulkseed.humanize import duration
from bulkseed.jobs.verify import PROBLEMS
from bulkseed.ledger import read_ledger
from bulkseed.ledger.names_apart import all_names, count_settled_of, names_apart, settled_of
from bulkseed.model import Outcome, Row, Summary, Verified
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.run_folder import RunFolder

if TYPE_CHECKING:
    from bulkseed.sources.reader import SourceManifest

EXPLAINED = 5
"""Targets whose reasons are told; the ledgers have all."""

LISTED = 1000
"""The most problems of all targets in the JSON of a verify."""


def names_in_ledgers(paths: Sequence[str]) -> tuple[str, ...]:
    """Return what manifests may be called in ledgers: on a cluster they are read by their absolute paths."""
    return tuple(dict.fromkeys((*paths, *(str(Path(p).absolute()) for p in paths if ":" not in p))))


def print_why(done: AllRuns, words: type[Outcome | Verified]) -> None:
    """Print for the first targets with something unsettled the commonest reasons, and what to do."""
    unsettled = [(run, summary) for run, summary in _ended(done) if _unsettled(summary)]
    for run, summary in unsettled[:EXPLAINED]:
        with suppress(LedgerError), read_ledger(summary.ledger) as ledger:
            say(f"{run.spec.name}:")
            print_reasons(ledger, summary.run_id, words)
    if (more := len(unsettled) - EXPLAINED) > 0:
        say(f"and {more:,} more targets: bulkseed ledger rejects {done.run}")


def print_effort_of_all(done: AllRuns) -> None:
    """Print what all runs took, and the target that came closest to its quota."""
    total, longest = Counter[str](), 0.0
    fullest, share = "", 0.0
    for run, summary in _ended(done):
        total.update(attempts=summary.attempts, throttled=summary.throttled, retried=summary.retried)
        longest = max(longest, summary.elapsed_s)
        if summary.limit_qps and summary.max_in_one_second / summary.limit_qps > share:
            share = summary.max_in_one_second / summary.limit_qps
            fullest = f"{summary.max_in_one_second:,} of {summary.limit_qps:g} allowed ({run.spec.name})"
    line = f"attempts: {total['attempts']:,}"
    if total["attempts"]:
        line += f"   throttled: {total['throttled']:,}   retried: {total['retried']:,}"
    say(f"{line}   in {duration(longest)}")
    if fullest:
        say(f"fullest second: {fullest}")


def tell_what_is_gone(
    done: AllRuns, paths: Sequence[str], listed: SourceManifest | None, *, whole: bool
) -> None:
    """Say of each target what an apply of one target says: what is gone from the source or the manifest.

    `whole`: all of it was asked for, no part.
    """
    for run, summary in _ended(done):
        name = run.spec.name
        for text in run.notes:
            note(f"{name}: {text}")
        with suppress(LedgerError), read_ledger(summary.ledger) as ledger:
            if listed is not None:
                if told := gone_in(listed, ledger):
                    note(f"{name}: {told}")
            elif whole and not summary.stopped_by:
                settled = sum(count for outcome, count in summary.outcomes.items() if outcome.settled)
                if (removed := count_settled_of(ledger, names_in_ledgers(paths)) - settled) > 0:
                    note(
                        f"{name}: settled before, and not in the manifest any more: {removed:,}; "
                        "nothing is deleted for that, and bulkseed plan names them"
                    )


def tell_not_read(done: AllRuns, folder: RunFolder, paths: Sequence[str]) -> None:
    """Say of each target which settled names of the manifests a verify did not read."""
    for run, summary in _ended(done):
        applied = folder.ledger(run.spec.name)
        if summary.stopped_by is not None or not applied.exists():
            continue
        with suppress(LedgerError), ExitStack() as stack:
            ledger = stack.enter_context(read_ledger(applied))
            verified = stack.enter_context(read_ledger(summary.ledger))
            apart = names_apart(settled_of(ledger, names_in_ledgers(paths)), all_names(verified))
            if apart.count:
                what = f"applied, and not in the manifest any more, so not read: {apart}"
                note(f"{run.spec.name}: {what}")


def with_problems(done: AllRuns) -> dict[str, Any]:
    """Return the JSON of a verify, with the first problems of each target as a verify of one has them."""
    document, left = done.as_dict(), LISTED
    for run, summary in _ended(done):
        with read_ledger(summary.ledger) as ledger:
            found = (row for row in ledger.rows(PROBLEMS) if row.run_id == summary.run_id)
            listed = [problem_as_dict(row) for row in islice(found, left)]
        document["targets"][run.spec.name]["problems"] = listed
        left -= len(listed)
    return document


def problem_as_dict(row: Row) -> dict[str, Any]:
    """Return what JSON has of a definition that is not as the manifest says."""
    return {
        "secret_name": row.name,
        "version_id": row.version_id,
        "result": row.outcome.value,
        "code": row.code,
        "message": row.message,
        "manifest": row.manifest,
        "line": row.line,
    }


def _ended(done: AllRuns) -> list[tuple[TargetRun, Summary]]:
    runs = sorted(done.runs, key=lambda run: run.spec.name)
    return [(run, run.summary) for run in runs if run.summary is not None]


def _unsettled(summary: Summary) -> int:
    return sum(count for word, count in summary.outcomes.items() if not word.settled)
