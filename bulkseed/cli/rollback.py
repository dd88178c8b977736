"""``bulkseed rollback``: delete what a ledger's runs made, and nothing else."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
import click

from bulkseed.cli import options as o
from bulkseed.cli.logs import set_up_logging
from bulkseed.cli.render import print_effort, print_json
from bulkseed.humanize import duration, number
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome

if TYPE_CHECKING:
    from bulkseed.jobs.rollback import RolledBack

LISTED = 10
"""The most names in a preview."""

MEANINGS = {
    RollbackOutcome.DELETED: "by this ledger's rollbacks",
    RollbackOutcome.GONE: "was not there any more",
    RollbackOutcome.CHANGED: "was changed since, so it was left alone",
    RollbackOutcome.FAILED: "is still there, the service did not delete it",
    RollbackOutcome.PENDING: "the run ended before this was certain",
}


@click.command()
@click.argument("path", metavar="LEDGER", type=click.Path())
@o.target_options
@click.option("--yes", is_flag=True, help="Do it; without this it is only said what would be done.")
@click.option(
    "--recovery-days",
    type=click.IntRange(7, 30),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="How long the secrets can be restored, 7 to 30.",
)
@click.option("--force", is_flag=True, help="Delete at once: nothing can be restored.")
@click.option(
    "--qps",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="The most deletions in any one-second window; 0: no ceiling.",
)
@o.retry_options
@o.output_option
@o.progress_option
@o.log_options
def rollback(**given: Any) -> int:
    """Delete exactly what LEDGER's runs created or adopted, if nobody changed it since.

    What the runs found there, and what somebody updated or gave another version, is left alone and named.
    Without --yes nothing is sent. Run it again to resume.

    \b
    Exit codes: 0 all deleted or gone, 1 some are not, 2 usage, 3 stopped early,
    4 the ledger cannot be used, 130 interrupted.
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given["log_level"], given["log_format"])
    if not given["yes"]:
        _preview(given)
        return 0
    found = anyio.run(_rollback, o.TargetOptions.of(given), given, backend_options=o.loop_options())
    if given["output"] == "json":
        print_json(found.as_dict())
    else:
        _print(found)
    _say_what_next(found)
    return found.run.exit_code


def _preview(given: dict[str, Any]) -> None:
    from bulkseed.cli.session import this_call
    from bulkseed.ledger import read_ledger
    from bulkseed.ledger.rollbacks import forecast, rolled_back

    with read_ledger(given["path"]) as ledger:
        o.require_same_target(ledger, o.TargetOptions.of(given))
        seen, undone, doubtful = forecast(ledger, LISTED), rolled_back(ledger), ledger.status().in_doubt
    others, doubtful = seen.others - undone, doubtful - seen.unfinished
    qps, days = given["qps"], None if given["force"] else given["recovery_days"]
    seconds = seen.to_delete / qps if qps else None
    if given["output"] == "json":
        print_json(
            {
                "ledger": given["path"],
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
    pace = "no ceiling" if seconds is None else f"{duration(seconds)} at {number(qps)}/s"
    after = "for good" if days is None else f"restorable for {days} days"
    click.echo(f"{seen.to_delete:,} to delete unless changed since, {after}, {pace}")
    for name in seen.names:
        click.echo(f"  {name}")
    if seen.to_delete > len(seen.names):
        click.echo(f"  and {seen.to_delete - len(seen.names):,} more")
    if seen.unfinished:
        click.echo(f"{seen.unfinished:,} of them may have been deleted by a rollback that did not end")
    if undone:
        click.echo(f"{undone:,} were rolled back before")
    if others:
        click.echo(f"{others:,} others are not known to be made by this ledger, and are left alone")
    if doubtful:
        click.echo(
            f"{doubtful:,} of those are in doubt: to find out whether it made them, run apply again first"
        )
    click.echo(f"nothing was sent; to do it: {this_call()} --yes")


async def _rollback(target_options: o.TargetOptions, given: dict[str, Any]) -> RolledBack:
    from bulkseed.cli import events
    from bulkseed.cli.progress import Work, watch
    from bulkseed.cli.session import beside, on_record, open_target, stop_on_signals
    from bulkseed.engine.options import RunHooks, RunOptions
    from bulkseed.jobs.rollback import rollback as roll_back
    from bulkseed.ledger import open_ledger
    from bulkseed.ledger.rollbacks import forecast

    hooks, ends, qps = RunHooks(observers=events.attempt_tellers()), Counter[str](), given["qps"]
    stop, stats = hooks.stop, hooks.stats
    rules = Rules(RetryPolicy(given["max_attempts"], given["retry_budget"]))

    def on_end(name: str, end: RollbackEnd) -> None:
        ends[end.outcome.value] += 1
        events.tell_removal(name, end)
        if given["output"] == "text" and end.outcome in {RollbackOutcome.CHANGED, RollbackOutcome.FAILED}:
            code = f" ({end.code})" if end.code else ""
            click.echo(f"{name}: {end.outcome}: {end.message}{code}")

    async with AsyncExitStack() as stack:
        target = await open_target(stack, target_options, qps)
        ledger = stack.enter_context(
            open_ledger(given["path"], target, binding=target_options.binding, create=False)
        )
        stack.enter_context(on_record(ledger, given["output"]))
        path = str(given["path"])
        events.tell("run.started", command="rollback", ledger=path, endpoint=target.endpoint, qps=qps)
        total = forecast(ledger, 0).to_delete
        work = Work(stats, qps, stop, total=total, ends=ends, usual=RollbackOutcome.DELETED.value)
        async with beside(
            (stop_on_signals, stop), (watch, given["progress"], work), (events.watch_service, stats)
        ):
            found = await roll_back(
                target,
                ledger,
                recovery_days=None if given["force"] else given["recovery_days"],
                options=RunOptions(qps=qps, rules=rules, stop_after=given["stop_after"]),
                hooks=hooks,
                on_end=on_end,
                timeout=given["timeout"],
            )
        events.tell_end(found.run, found.results)
    return found


def _print(found: RolledBack) -> None:
    results = {removal: count for removal in RollbackOutcome if (count := found.results[removal])}
    for removal, count in results.items():
        click.echo(f"{f'{removal.value}: {count:,}':<22} {MEANINGS[removal]}")
    terms = " + ".join(f"{count:,} {removal.value}" for removal, count in results.items()) or "0"
    click.echo(f"secrets of this ledger: {found.run.definitions:,} = {terms}")
    print_effort(found.run)


def _say_what_next(found: RolledBack) -> None:
    from bulkseed.cli.session import this_call

    if found.run.exit_code == 130:
        click.echo(f"interrupted; to resume: {this_call()}", err=True)
    elif found.run.stopped_by is not None:
        click.echo(f"stopped early: {found.run.stopped_by}\nto resume: {this_call()}", err=True)
