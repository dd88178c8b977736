"""``bulkseed rollback``: delete what a ledger's runs made, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from bulkseed.cli.arguments import Number, option, takes
from bulkseed.cli.options import LedgerArgument, RetryArguments, WatchArguments
from bulkseed.cli.process import run_async
from bulkseed.cli.render import heading, print_effort, print_json, print_results, say
from bulkseed.cli.target import TargetArguments, require_same_target
from bulkseed.cli.watching.logs import set_up_logging
from bulkseed.humanize import duration, number
from bulkseed.policy.jobs import ROLLBACK
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome
from bulkseed.wire.message import QuotaGroup
from bulkseed.wire.quotas import QUOTAS

if TYPE_CHECKING:
    from bulkseed.jobs.rollback import RolledBack

_BOUND = "since each secret's versions are listed first (ListSecretVersionIds)"
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
            show_default=True,
            metavar="DAYS",
            help="How long the secrets can be restored, 7 to 30.",
        ),
    ]
    force: Annotated[bool, option("--force", is_flag=True, help="Delete at once: nothing can be restored.")]
    qps: Annotated[
        float,
        option(
            "--qps",
            type=Number(),
            default=10,
            show_default=True,
            metavar="N",
            help="The most deletions in any one-second window; 0: no ceiling.",
        ),
    ]
    retry: RetryArguments
    watch: WatchArguments

    @property
    def restorable_for(self) -> int | None:
        """Days in which the secrets can be restored; None: they are deleted for good."""
        return None if self.force else self.recovery_days


@click.command()
@takes(RollbackArguments)
def rollback(given: RollbackArguments) -> int:
    """Delete exactly what LEDGER's runs created or adopted, if nobody changed it since.

    What the runs found there, and what somebody updated or gave another version, is left alone and named.
    Without --yes nothing is sent. Run it again to resume. LEDGER may be a run folder.

    \b
    Exit codes: 0 all deleted or gone, 1 some are not, 2 usage, 3 stopped early,
    4 the ledger cannot be used, 130 interrupted.
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given.watch.log)
    from bulkseed.targets.run_folder import is_run_folder

    if is_run_folder(given.ledger):
        return _roll_back_targets(given)
    if not given.yes:
        _preview(given)
        return 0
    from bulkseed.cli.session import conclude, say_what_next, this_call

    found = run_async(_rollback, given)
    conclude(found.run, found.results, given.watch.output, found.as_dict, lambda: _print(found))
    say_what_next(found.run, this_call())
    return found.run.exit_code


def _roll_back_targets(given: RollbackArguments) -> int:
    from bulkseed.cli.many.rollback import roll_back_targets
    from bulkseed.policy.options import Rules
    from bulkseed.targets.apply import ApplyOptions

    rules = Rules(given.retry.policy)
    options = ApplyOptions(rules, given.retry.stop_after, timeout=given.retry.timeout)
    return roll_back_targets(given.ledger, given.restorable_for, options, given.watch, yes=given.yes)


def _preview(given: RollbackArguments) -> None:
    from bulkseed.cli.session import this_call
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.rollbacks import forecast, rolled_back

    with read_ledger(given.ledger) as ledger:
        chosen = given.target.chosen(Path(given.ledger))
        require_same_target(ledger, chosen)
        seen, undone, doubtful = forecast(ledger, LISTED), rolled_back(ledger), ledger.status().in_doubt
    others, doubtful = seen.others - undone, doubtful - seen.unfinished
    qps, days, pace = given.qps, given.restorable_for, _pace(given.qps)
    seconds = seen.to_delete / pace if pace else None
    if given.watch.output == "json":
        print_json(
            {
                "ledger": given.ledger,
                "to_delete": seen.to_delete,
                "unfinished": seen.unfinished,
                "left_alone": others,
                "rolled_back": undone,
                "in_doubt": doubtful,
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
    say(f"{seen.to_delete:,} to delete unless changed since, {after}, {takes}{bound}")
    for name in seen.names:
        say(f"  {name}")
    if seen.to_delete > len(seen.names):
        say(f"  and {seen.to_delete - len(seen.names):,} more")
    if seen.unfinished:
        say(f"{seen.unfinished:,} of them may have been deleted by a rollback that did not end")
    if undone:
        say(f"{undone:,} were rolled back before")
    if others:
        say(f"{others:,} others are not known to be made by this ledger, and are left alone")
    if doubtful:
        say(f"{doubtful:,} of those are in doubt: to find out whether it made them, run apply again first")
    say(f"nothing was sent; to do it: {this_call()} --yes")


def _pace(qps: float) -> float:
    """Return the most deletions a second, for each of which the versions are listed once; 0: no ceiling."""
    return min(qps, QUOTAS[QuotaGroup.MANAGE])


async def _rollback(given: RollbackArguments) -> RolledBack:
    from bulkseed.cli.session import open_session
    from bulkseed.cli.watching import events
    from bulkseed.cli.watching.progress import Work
    from bulkseed.jobs.rollback import rollback as roll_back
    from bulkseed.ledger.rollbacks import forecast

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
        total = forecast(session.ledger, 0).to_delete
        hooks = session.hooks
        work = Work(
            hooks.stats, _pace(qps), hooks.stop, total=total, ends=ends, usual=RollbackOutcome.DELETED.value
        )
        async with session.watched(work):
            return await roll_back(
                session.target,
                session.ledger,
                recovery_days=given.restorable_for,
                options=given.retry.options(qps),
                hooks=hooks,
                on_end=on_end,
                timeout=given.retry.timeout,
            )


def _print(found: RolledBack) -> None:
    print_results(found.results, ROLLBACK.meanings, "secrets of this ledger")
    print_effort(found.run)
    if _pace(found.run.limit_qps) < found.run.limit_qps:
        say(f"pace: {number(_pace(found.run.limit_qps))}/s, {_BOUND}")
