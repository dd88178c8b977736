"""``bulkseed rollback``: delete what a ledger's runs made, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from bulkseed.cli.arguments import Number, option, takes
from bulkseed.cli.many.arguments import refuse_single
from bulkseed.cli.many.cluster_arguments import ClusterArguments, LeaseOption
from bulkseed.cli.options import LedgerArgument, RetryArguments, WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import (
    heading,
    perhaps_ours,
    print_effort,
    print_json,
    print_results,
    say,
    taken_for_ours,
    wrapped,
)
from bulkseed.cli.target import TargetArguments, TargetOptions, require_same_target
from bulkseed.cli.watching.logs import set_up_logging
from bulkseed.humanize import duration, number
from bulkseed.model import QuotaGroup, Summary
from bulkseed.policy.advice import TAKEN_FOR_OURS
from bulkseed.policy.jobs import ROLLBACK
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome, RowState, name_is_taken
from bulkseed.wire.quotas import QUOTAS

if TYPE_CHECKING:
    from bulkseed.jobs.rollback import RolledBack
    from bulkseed.ledger.rollbacks import Forecast

_BOUND = "since each secret's versions are listed first (ListSecretVersionIds, a quota of its own)"
LISTED = 10
"""The most names in a preview."""


@dataclass(slots=True, frozen=True)
class RollbackArguments:
    """What ``bulkseed rollback`` is told."""

    ledger: LedgerArgument
    target: TargetArguments
    yes: Annotated[
        bool, option("--yes", is_flag=True, help="Do it; without this it is only said what would be done.")
    ]
    recovery_days: Annotated[
        int,
        option(
            "--recovery-days",
            type=click.IntRange(7, 30),
            default=30,
            metavar="DAYS",
            help="How long the secrets can be restored, 7 to 30.",
        ),
    ]
    force: Annotated[bool, option("--force", is_flag=True, help="Delete at once: nothing can be restored.")]
    restore_values: Annotated[
        bool,
        option(
            "--restore-values",
            is_flag=True,
            help="Delete nothing: put the version before back in force where this ledger put a newer one.",
        ),
    ]
    qps: Annotated[
        float,
        option(
            "--qps",
            type=Number(),
            default=10,
            metavar="N",
            help="The most deletions in any one-second window; 0: no ceiling.",
        ),
    ]
    retry: RetryArguments
    cluster: ClusterArguments
    lease: LeaseOption
    watch: WatchArguments

    @property
    def restorable_for(self) -> int | None:
        """Days in which the secrets can be restored; None: they are deleted for good."""
        return None if self.force else self.recovery_days


@click.command()
@takes(RollbackArguments)
def rollback(given: RollbackArguments) -> int:
    """Delete exactly what LEDGER's runs created or adopted, if nobody changed it since.

    With --restore-values nothing is deleted: what LEDGER updated last gets the version of its own before.
    What the runs found there, and what somebody updated or gave another version, is left alone and named.
    Without --yes nothing is sent. Run it again to resume. LEDGER may be a run folder.

    \b
    Exit codes: 0 all deleted or gone, 1 some are not, 2 usage, 3 stopped early,
    4 the ledger cannot be used, 130 interrupted.
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given.watch.log)
    if given.restore_values and given.force:
        raise click.UsageError("--restore-values deletes nothing: --force has no meaning with it")
    from bulkseed.targets.run_folder import is_run_folder

    given.cluster.require_targets(many=is_run_folder(given.ledger))
    if is_run_folder(given.ledger):
        return _roll_back_targets(given)
    if not given.yes:
        _preview(given)
        return 0
    from bulkseed.cli.session import conclude, say_what_next, this_call

    found, before = run_async(_rollback, given)
    conclude(
        found.run, found.results, given.watch.output, found.as_dict, lambda: _print(given, found, before)
    )
    say_what_next(found.run, this_call())
    return found.run.exit_code


def _roll_back_targets(given: RollbackArguments) -> int:
    refuse_single()
    from bulkseed.cli.many.rollback import roll_back_targets
    from bulkseed.jobs.rollback import RollbackRules
    from bulkseed.policy.options import Rules
    from bulkseed.targets.apply import ApplyOptions

    rules = Rules(given.retry.policy)
    options = ApplyOptions(rules, given.retry.stop_after, timeout=given.retry.timeout)
    chosen = RollbackRules(given.restorable_for, given.restore_values)
    if given.yes and (cluster := given.cluster.options(given.lease)):
        from bulkseed.cli.many.cluster import run_on_workers
        from bulkseed.cluster.task import RunWork
        from bulkseed.targets.run_folder import open_run_folder

        open_folder = partial(open_run_folder, given.ledger)
        return run_on_workers(open_folder, cluster, RunWork(options, rollback=chosen), given.watch)
    return roll_back_targets(given.ledger, chosen, options, given.watch, yes=given.yes)


def _preview(given: RollbackArguments) -> None:
    from bulkseed.cli.session import this_call
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.rollbacks import deleted_before, forecast

    with read_ledger(given.ledger) as ledger:
        chosen = given.target.chosen(Path(given.ledger))
        require_same_target(ledger, chosen)
        seen = forecast(ledger, LISTED, restore_values=given.restore_values)
        undone, status = deleted_before(ledger), ledger.status()
        unproved = ledger.count_of(TAKEN_FOR_OURS)
    if given.restore_values:
        _preview_values(given, chosen, seen)
        return
    others, perhaps = seen.others - undone, status.perhaps_ours
    doubtful = status.in_doubt - perhaps - seen.unfinished
    qps, days, pace = given.qps, given.restorable_for, _pace(given.qps)
    seconds = seen.total / pace if pace else None
    if given.watch.output == "json":
        print_json(
            {
                "ledger": given.ledger,
                "to_delete": seen.total,
                "unfinished": seen.unfinished,
                "left_alone": others,
                "rolled_back": undone,
                "in_doubt": doubtful,
                "perhaps_ours": perhaps,
                "taken_for_ours": unproved,
                "recovery_days": days,
                "limit_qps": qps,
                "seconds": seconds,
            }
        )
        return
    say(heading(chosen, Path(given.ledger)))
    takes = "no ceiling" if seconds is None else f"{duration(seconds)} at {number(pace)}/s"
    bound = f", {_BOUND}" if pace < qps else ""
    after = "for good" if days is None else f"restorable for {days} days"
    say(f"{seen.total:,} to delete unless changed since, {after}, {takes}{bound}")
    _print_names([row.name for row in seen.first], seen.total)
    if unproved:
        say(wrapped(f"  {taken_for_ours(unproved)}", "    "))
    if seen.unfinished:
        say(f"{seen.unfinished:,} of them may have been deleted by a rollback that did not end")
    if undone:
        say(f"rolled back before: {undone:,}")
        _say_of_forced(given)
    if others:
        say(f"left alone: {others:,} not known to be made by this ledger")
    if doubtful:
        say(f"  in doubt: {doubtful:,}; to find out whether it made them, run apply again first")
    if perhaps:
        say(wrapped(f"  {perhaps_ours(perhaps)}", "    "))
    if seen.total:
        say(f"nothing was sent; to do it: {this_call()} --yes")
    else:
        say("nothing was sent, and there is nothing to delete")


def _print_names(names: list[str], total: int) -> None:
    for name in names:
        say(f"  {name}")
    if total > len(names):
        say(f"  and {total - len(names):,} more")


def _preview_values(given: RollbackArguments, chosen: TargetOptions, seen: Forecast) -> None:
    from bulkseed.cli.session import this_call

    if given.watch.output == "json":
        counts = {"to_restore": seen.total, "unfinished": seen.unfinished, "left_alone": seen.others}
        print_json({"ledger": given.ledger, **counts})
        return
    say(heading(chosen, Path(given.ledger)))
    say(f"{seen.total:,} to put back to the version before unless changed since; nothing is deleted")
    changes = [f"{row.name}: {row.last} -> {row.superseded}" for row in seen.first]
    _print_names(changes, seen.total)
    if seen.unfinished:
        say(f"{seen.unfinished:,} of them may have been put back by a rollback that did not end")
    if seen.others:
        say(f"left alone: {seen.others:,} not updated by this ledger, or not since")
    if seen.total:
        say(f"nothing was sent; to do it: {this_call()} --yes")
    else:
        say("nothing was sent, and there is nothing to put back")


def _pace(qps: float) -> float:
    """Return the most deletions a second, for each of which the versions are listed once; 0: no ceiling."""
    return min(qps, QUOTAS[QuotaGroup.MANAGE])


async def _rollback(given: RollbackArguments) -> tuple[RolledBack, int]:
    """Return what it did, and how many earlier rollbacks had done before."""
    from bulkseed.cli.session import open_session
    from bulkseed.cli.watching import events
    from bulkseed.cli.watching.progress import Work
    from bulkseed.jobs.rollback import restore_values
    from bulkseed.jobs.rollback import rollback as roll_back
    from bulkseed.ledger.rollbacks import deleted_before, forecast, put_back

    ends, qps = Counter[str](), given.qps

    def on_end(name: str, end: RollbackEnd) -> None:
        ends[end.outcome.value] += 1
        events.tell_removal(name, end)
        if given.watch.output == "text" and end.outcome in {RollbackOutcome.CHANGED, RollbackOutcome.FAILED}:
            code = f" ({end.code})" if end.code else ""
            say(f"{name}: {end.outcome}: {end.message}{code}")

    path = Path(given.ledger)
    chosen = given.target.chosen(path)
    async with open_session("rollback", given.watch, chosen, path, qps, create=False) as session:
        total = forecast(session.ledger, 0, restore_values=given.restore_values).total
        before = (put_back if given.restore_values else deleted_before)(session.ledger)
        hooks = session.hooks
        usual = RollbackOutcome.RESTORED if given.restore_values else RollbackOutcome.DELETED
        work = Work(hooks.stats, _pace(qps), hooks.stop, total=total, ends=ends, usual=usual.value)
        act = partial(roll_back, recovery_days=given.restorable_for)
        async with session.watched(work):
            found = await (restore_values if given.restore_values else act)(
                session.target,
                session.ledger,
                options=given.retry.options(qps),
                hooks=hooks,
                on_end=on_end,
                timeout=given.retry.timeout,
            )
    return found, before


def _print(given: RollbackArguments, found: RolledBack, before: int) -> None:
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.rollbacks import delete_window

    state = RowState.PUT_BACK if given.restore_values else RowState.ROLLED_BACK
    meanings = {**ROLLBACK.meanings, state: "before, by earlier rollbacks of this ledger"}
    print_results({**found.results, state: before}, meanings, "secrets of this ledger")
    if before:
        _say_of_forced(given)
    with read_ledger(given.ledger) as ledger:
        window = delete_window(ledger)
    if window.secrets:
        say(wrapped(name_is_taken(window.until)))
    print_rollback_effort(found.run)


def print_rollback_effort(run: Summary) -> None:
    """Print what a rollback took. The rate and its limit are those of the deletions alone."""
    print_effort(run)
    pace = _pace(run.limit_qps)
    if pace < run.limit_qps:
        say(wrapped(f"pace: about {number(pace)} deletions/s on average whatever --qps says, {_BOUND}"))


def _say_of_forced(given: RollbackArguments) -> None:
    """Say how to delete at once what is in its delete window already: as it is, it is not looked for."""
    if given.force:
        say(
            wrapped(
                "what was rolled back before without --force is not touched: to delete it at once, take it"
                " back first (bulkseed apply MANIFEST --on-delete-window restore), then run this again"
            )
        )
