"""``bulkseed apply``: provision manifests, or go on where an earlier run stopped."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import click

from bulkseed.cli.arguments import option, takes
from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.cluster_arguments import ClusterArguments, LeaseOption
from bulkseed.cli.options import (
    CreateRate,
    LedgerOption,
    ManifestArguments,
    OnlyOption,
    RetryArguments,
    WatchArguments,
    ledger_path_for,
    open_entries,
)
from bulkseed.cli.process import freeze, run_async
from bulkseed.cli.render import note, print_summary, say
from bulkseed.cli.sources import SourceArguments, gone_at_source, require_other
from bulkseed.cli.target import TargetArguments
from bulkseed.cli.watching.logs import set_up_logging
from bulkseed.errors import ServiceError
from bulkseed.model import Outcome, Summary
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules

IN_DELETE_WINDOW = "Rejected.ResourceInDeleteWindow"

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkseed.cli.session import Session
    from bulkseed.model import ManifestEntry


@dataclass(slots=True, frozen=True)
class ApplyArguments:
    """What ``bulkseed apply`` is told."""

    manifest: ManifestArguments
    source: SourceArguments
    ledger_path: LedgerOption
    target: TargetArguments
    qps: CreateRate
    workers: Annotated[
        int | None,
        option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="The most definitions in flight.  [default: as rate and latency need]",
        ),
    ]
    on_exists: Annotated[
        str,
        option(
            "--on-exists",
            type=click.Choice([choice.value for choice in OnExists]),
            default="skip",
            help="What a secret that exists and is not ours means.",
        ),
    ]
    on_delete_window: Annotated[
        str,
        option(
            "--on-delete-window",
            type=click.Choice([choice.value for choice in OnDeleteWindow]),
            default="fail",
            help="What a secret that is scheduled for deletion means.",
        ),
    ]
    no_follow: Annotated[
        bool,
        option(
            "--no-follow",
            is_flag=True,
            help="Leave secrets of ours whose VersionId changed, instead of putting the new version.",
        ),
    ]
    recreate: Annotated[
        bool,
        option(
            "--recreate",
            is_flag=True,
            help="First ask which settled secrets are gone at the service, and create those again; with"
            " --on-delete-window restore also those that are scheduled for deletion.",
        ),
    ]
    regenerate: Annotated[
        bool,
        option(
            "--regenerate",
            is_flag=True,
            help="Where a generated value was lost and VersionId was raised: put a new one, if version and"
            " time say that it is ours.",
        ),
    ]
    retry: RetryArguments
    limit: Annotated[
        int | None,
        option(
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            help="Send at most this many definitions, to each target.",
        ),
    ]
    only: OnlyOption
    dry_run: Annotated[
        bool, option("--dry-run", is_flag=True, help="Do what plan does; send and write nothing.")
    ]
    many: ManyArguments
    cluster: ClusterArguments
    lease: LeaseOption
    yes: Annotated[
        bool,
        option(
            "--yes",
            is_flag=True,
            help="Do not ask, at a terminal, before the first write of a new ledger to the public service.",
        ),
    ]
    watch: WatchArguments

    @property
    def rules(self) -> Rules:
        """Retries, and what an existing secret means."""
        return Rules(
            self.retry.policy,
            OnExists(self.on_exists),
            OnDeleteWindow(self.on_delete_window),
            follow=not self.no_follow,
            regenerate=self.regenerate,
        )


@click.command()
@takes(ApplyArguments)
def apply(given: ApplyArguments) -> int:
    """Provision the secrets that MANIFEST… define; run it again to resume.

    \b
    Exit codes: 0 all settled, 1 some are not, 2 usage, 3 stopped early,
    4 the ledger cannot be used, 130 interrupted.

    \b
    Examples:
      bulkseed apply prod.jsonl
      bulkseed apply prod.jsonl --endpoint embedded --qps 100
      gunzip -c prod.jsonl.gz | bulkseed apply - --ledger prod.ledger.db
      bulkseed apply onboarding.jsonl --each tenants.csv
      bulkseed apply prod.jsonl --targets targets.toml --run prod.run
      bulkseed apply prod.jsonl --targets targets.toml --cluster local
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given.watch.log)
    given.manifest.require()
    given.cluster.require_targets(many=given.many.chosen)
    given.many.require_alone("recreate")
    if given.many.chosen:
        from bulkseed.cli.many.apply import apply_to_targets
        from bulkseed.cli.many.first_writes import confirm_first_writes
        from bulkseed.cli.many.manifests import inputs_elsewhere, inputs_of
        from bulkseed.cli.many.plan import ManyPlanScope, plan_targets
        from bulkseed.targets.apply import ApplyOptions

        options = ApplyOptions(
            given.rules,
            given.retry.stop_after,
            given.workers,
            given.retry.timeout,
            given.limit,
            given.only,
        )
        if not given.dry_run:
            confirm_first_writes(given.many, given.manifest.manifests, yes=given.yes)
        cluster = given.cluster.options(given.lease, given.source.source_rate)
        if cluster is not None and not given.dry_run:
            from bulkseed.cli.many.cluster import run_on_workers
            from bulkseed.cluster.task import RunWork

            work = RunWork(options, inputs=inputs_elsewhere(given.manifest, given.source))
            open_folder = partial(given.many.open, given.manifest.manifests)
            return run_on_workers(open_folder, cluster, work, given.watch)
        with inputs_of(given.manifest, given.source) as inputs:
            if given.dry_run:
                wanted = ManyPlanScope(given.only, given.limit)
                return plan_targets(given.many, inputs, wanted, given.watch.output)
            return apply_to_targets(given.many, inputs, options, given.watch)
    if given.dry_run:
        return _dry_run(given)
    from bulkseed.cli.session import conclude, say_what_next, this_call

    summary = run_async(_apply, given)
    output, restores = given.watch.output, given.on_delete_window == OnDeleteWindow.RESTORE
    conclude(summary, summary.outcomes, output, summary.as_dict, lambda: _print(summary, restores=restores))
    again = this_call(summary.ledger)
    see = f"bulkseed ledger rejects {summary.ledger}"
    passing = all(
        o in {Outcome.EXHAUSTED, Outcome.PENDING} for o, n in summary.outcomes.items() if n and not o.settled
    )
    then = "to retry" if passing else "when that is mended"
    unsettled = f"not all are settled; the others: {see}\n{then}: {again}"
    say_what_next(summary, again, unsettled)
    if not restores and _in_delete_window(summary):
        say(f"to take back what is scheduled for deletion: {again} --on-delete-window restore", err=True)
    return summary.exit_code


def _in_delete_window(summary: Summary) -> bool:
    """Tell whether a name was refused as it is scheduled for deletion: by a rollback, perhaps."""
    from bulkseed.ledger import read_ledger

    if not summary.outcomes.get(Outcome.REJECTED):
        return False
    with read_ledger(summary.ledger) as ledger:
        return any(row.code == IN_DELETE_WINDOW for row in ledger.rows([Outcome.REJECTED]))


def _print(summary: Summary, *, restores: bool) -> None:
    from bulkseed.ledger import read_ledger
    from bulkseed.policy.create import RESTORED

    with read_ledger(summary.ledger) as ledger:
        print_summary(summary, ledger)
        if not restores:
            return
        found = [o for o in summary.outcomes if o not in {Outcome.CREATED, Outcome.INVALID, Outcome.PENDING}]
        back = sum(
            row.run_id == summary.run_id and (row.message or "").startswith(RESTORED)
            for row in ledger.rows(found)
        )
        if back:
            say(f"restored: {back:,} not known to be ours, which had been scheduled for deletion")


def _dry_run(given: ApplyArguments) -> int:
    from bulkseed.cli.plan import PlanArguments, make_plan, print_plan

    made = make_plan(
        PlanArguments(
            given.manifest,
            given.source,
            given.ledger_path,
            given.qps,
            given.target,
            given.watch.output,
            given.limit,
            given.only,
        )
    )
    print_plan(made, given.watch.output)
    return made.exit_code


async def _apply(given: ApplyArguments) -> Summary:
    from bulkseed.cli.session import confirm_first_write, open_session
    from bulkseed.cli.watching import events
    from bulkseed.cli.watching.progress import Work
    from bulkseed.jobs.apply import seed
    from bulkseed.ledger import read_ledger
    from bulkseed.manifest.selection import read_selection

    with ExitStack() as stack:
        entries = stack.enter_context(open_entries(given.manifest, given.source))
        selection = read_selection(given.only) if given.only else None
        path = ledger_path_for(given.manifest.manifests, given.ledger_path)
        chosen = given.target.chosen(path)
        size = None if selection is None else selection.size
        likely = None if selection is None else selection.likely
        most = min(given.limit or sys.maxsize, size or sys.maxsize)

        def count() -> int | None:
            return min(counted, most) if (counted := entries.count()) is not None else None

        await confirm_first_write(chosen, path, count, yes=given.yes)
        async with open_session("apply", given.watch, chosen, path, given.qps) as session:
            require_other(entries, session.target)
            hooks = session.hooks
            gone = await _look_for_gone(session, given.rules) if given.recreate else ()
            wanted: Iterable[ManifestEntry] = entries
            if selection is not None:
                wanted = selection.of(entries, stack.enter_context(read_ledger(path)).rows_before())
            work = Work(hooks.stats, given.qps, hooks.stop, entries, likely, given.limit)
            counts = entries.bytes_total is not None  # a pipe may never end
            freeze()
            async with session.watched(work, counts=counts):
                summary = await seed(
                    wanted,
                    session.target,
                    session.ledger,
                    qps=given.qps,
                    workers=given.workers,
                    rules=given.rules,
                    timeout=given.retry.timeout,
                    stop_after=given.retry.stop_after,
                    limit=given.limit,
                    account_for_rest=counts,
                    gone=gone,
                    on_row=events.row_teller(),
                    observers=hooks.observers,
                    source_observers=hooks.source_observers,
                    stats=hooks.stats,
                    stop=hooks.stop,
                )
            if selection is not None and (told := selection.more_in_words()):
                note(told)
            if told := gone_at_source(entries, session.ledger):
                note(told)
            elif not (given.only or given.limit or summary.stopped_by):
                _tell_removed(session, entries.paths, summary)
            return summary


def _tell_removed(session: Session, paths: tuple[str, ...], summary: Summary) -> None:
    """Say how many settled names of these manifests are in them no more."""
    from bulkseed.ledger.names_apart import count_settled_of

    settled = sum(count for outcome, count in summary.outcomes.items() if outcome.settled)
    if (removed := count_settled_of(session.ledger, paths) - settled) > 0:
        note(
            f"settled before, and not in the manifest any more: {removed:,}; nothing is deleted for that, "
            "and bulkseed plan names them"
        )


async def _look_for_gone(session: Session, rules: Rules) -> list[str]:
    from bulkseed.cli.session import beside
    from bulkseed.cli.watching.waiting import tell_while_waiting
    from bulkseed.engine.ask import open_questioner
    from bulkseed.jobs.existing_names import look_up_gone
    from bulkseed.jobs.preflight import not_told
    from bulkseed.ledger.settled_names import settled_names

    def so_far() -> str:
        return f"asking which settled secrets are gone: {service.answered:,} answers so far"

    scheduled = rules.on_delete_window is OnDeleteWindow.RESTORE
    async with open_questioner(session.target) as service, beside((tell_while_waiting, so_far)):
        with settled_names(session.ledger, scheduled=scheduled) as left:
            gone, leaving = await look_up_gone(service, left, scheduled=scheduled), left.leaving
    if isinstance(gone, list):
        say(f"gone at the service: {len(gone):,} that were settled, or ours", err=True)
        if leaving:
            say(
                f"scheduled for deletion, and left so: {leaving:,} settled secrets; "
                "with --on-delete-window restore, too, they are taken back",
                err=True,
            )
        return gone
    raise ServiceError("not told: " + not_told("which settled secrets are gone", gone, "ListSecrets"))
