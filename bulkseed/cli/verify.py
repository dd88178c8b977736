"""``bulkseed verify``: read every definition back and compare."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import click

from bulkseed.cli.arguments import Number, option, takes
from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.cluster_arguments import ClusterArguments, LeaseOption
from bulkseed.cli.options import (
    ManifestArguments,
    RetryArguments,
    VerifyLedgerOption,
    WatchArguments,
    ledger_path_for,
    open_entries,
)
from bulkseed.cli.process import run_async
from bulkseed.cli.render import note, print_effort, print_reasons, print_results, say, wrapped
from bulkseed.cli.sources import SourceArguments, require_other
from bulkseed.cli.target import TargetArguments, require_named
from bulkseed.cli.watching.logs import set_up_logging
from bulkseed.errors import LedgerError
from bulkseed.humanize import filled_place
from bulkseed.model import Outcome, Verified
from bulkseed.policy.jobs import VERIFY

if TYPE_CHECKING:
    from pathlib import Path

    from bulkseed.jobs.verify import Verification
    from bulkseed.ledger import LedgerReader
    from bulkseed.ledger.names_apart import NamesApart
    from bulkseed.model import Row

LISTED = 1000
"""The most problems in the JSON summary; the ledger has all of them."""


@dataclass(slots=True, frozen=True)
class VerifyArguments:
    """What ``bulkseed verify`` is told."""

    manifest: ManifestArguments
    source: SourceArguments
    ledger_path: VerifyLedgerOption
    target: TargetArguments
    resume: Annotated[
        bool,
        option(
            "--resume",
            is_flag=True,
            help="Go on where a verify was interrupted; what was identical then is not read again.",
        ),
    ]
    qps: Annotated[
        float,
        option(
            "--qps",
            type=Number(),
            default=450,
            metavar="N",
            help="The most reads in any one-second window; 0: no ceiling.",
        ),
    ]
    retry: RetryArguments
    many: ManyArguments
    cluster: ClusterArguments
    lease: LeaseOption
    watch: WatchArguments


@click.command()
@takes(VerifyArguments)
def verify(given: VerifyArguments) -> int:
    """Read back what MANIFEST… define and compare it in memory: identical, differs, behind, missing.

    Everything is read again each time, unless --resume goes on with a verify that was interrupted. What was
    found is kept in a ledger of its own; `bulkseed ledger rejects` lists what is not identical.

    \b
    Exit codes: 0 all identical or present, 1 some are not, 2 usage,
    3 stopped early, 4 the ledger cannot be used, 130 interrupted.
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given.watch.log)
    given.manifest.require()
    given.cluster.require_targets(many=given.many.chosen)
    if given.many.chosen:
        return _verify_targets(given)
    from bulkseed.cli.session import conclude, say_what_next, this_call

    found, not_read = run_async(_verify, given)
    conclude(found.run, found.results, given.watch.output, lambda: _document(found), lambda: _print(found))
    if not_read and not_read.count:
        note(f"applied, and not in the manifest any more, so not read: {not_read}")
    say_what_next(found.run, this_call(found.run.ledger) + ("" if given.resume else " --resume"))
    return found.run.exit_code


def _verify_targets(given: VerifyArguments) -> int:
    from bulkseed.cli.many.manifests import inputs_elsewhere, inputs_of
    from bulkseed.cli.many.verify import verify_targets
    from bulkseed.policy.options import Rules
    from bulkseed.targets.apply import ApplyOptions
    from bulkseed.targets.verify import ReadBack

    given.many.require_alone(honours=("qps",))
    rules = Rules(given.retry.policy)
    options = ApplyOptions(rules, given.retry.stop_after, timeout=given.retry.timeout)
    reading = ReadBack(given.qps, given.resume)
    if cluster := given.cluster.options(given.lease, given.source.source_rate):
        from bulkseed.cli.many.cluster import run_on_workers
        from bulkseed.cluster.task import RunWork

        work = RunWork(options, inputs=inputs_elsewhere(given.manifest, given.source), reading=reading)
        open_folder = partial(given.many.open, given.manifest.manifests)
        return run_on_workers(open_folder, cluster, work, given.watch)
    with inputs_of(given.manifest, given.source) as inputs:
        return verify_targets(given.many, inputs, reading, options, given.watch)


async def _verify(given: VerifyArguments) -> tuple[Verification, NamesApart | None]:
    """Read back; return also which names were applied and are not in the manifest any more."""
    from bulkseed.cli.session import open_session
    from bulkseed.cli.watching import events
    from bulkseed.cli.watching.progress import Work
    from bulkseed.jobs.verify import verify as read_back

    ends, tell_row = Counter[str](), events.row_teller()

    def on_row(row: Row) -> None:
        ends[row.outcome.value] += 1
        if tell_row is not None:
            tell_row(row, result=row.outcome.value)

    with ExitStack() as stack:
        entries = stack.enter_context(open_entries(given.manifest, given.source))
        path = ledger_path_for(given.manifest.manifests, given.ledger_path, "verify")
        applied = ledger_path_for(given.manifest.manifests, None)
        # What was applied is to be proved, wherever an earlier verify has read: a rehearsal, say.
        chosen = given.target.chosen(*((path, applied) if given.ledger_path else (applied, path)))
        require_named(chosen, path.parent)
        async with open_session("verify", given.watch, chosen, path, given.qps) as session:
            require_other(entries, session.target)
            hooks, counts = session.hooks, entries.bytes_total is not None  # a pipe may never end
            work = Work(
                hooks.stats, given.qps, hooks.stop, entries, ends=ends, usual=Verified.IDENTICAL.value
            )
            async with session.watched(work, counts=counts):
                found = await read_back(
                    entries,
                    session.target,
                    session.ledger,
                    resume=given.resume,
                    options=given.retry.options(given.qps, account_for_rest=counts),
                    hooks=replace(hooks, on_row=on_row),
                    timeout=given.retry.timeout,
                )
            if found.run.stopped_by is not None:
                return found, None
            return found, _not_read(applied, entries.paths, session.ledger)


def _not_read(applied: Path, paths: tuple[str, ...], verified: LedgerReader) -> NamesApart | None:
    """Return the settled names of these manifests that a verify did not read; None: not known."""
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.names_apart import all_names, names_apart, settled_of

    if not applied.exists():
        return None
    with suppress(LedgerError), read_ledger(applied) as ledger:
        if ledger.words() is Outcome and ledger.known_target().binding == verified.known_target().binding:
            return names_apart(settled_of(ledger, paths), all_names(verified))
    return None


def _document(found: Verification) -> dict[str, Any]:
    """Return the JSON summary, with the first problems."""
    from bulkseed.cli.many.ends import problem_as_dict
    from bulkseed.ledger import read_ledger

    with read_ledger(found.run.ledger) as ledger:
        listed = [problem_as_dict(row) for row in islice(found.problems(ledger), LISTED)]
    return {**found.as_dict(), "problems": listed}


def _print(found: Verification) -> None:
    from bulkseed.ledger import read_ledger

    with read_ledger(found.run.ledger) as ledger:
        of_table = None
        for row in found.problems(ledger):
            of_table = of_table or (row if "@" in (row.manifest or "") else None)
            say(wrapped(f"{row.manifest}:{row.line}: {row.name or '-'}: {row.outcome.value}: {row.message}"))
        if of_table is not None and (told := filled_place(of_table.manifest, of_table.line)):
            say(wrapped(f"({told})"))
        print_results(found.results, VERIFY.meanings, "definitions")
        print_reasons(ledger, found.run.run_id, Verified)
    print_effort(found.run)
