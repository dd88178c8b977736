"""``bulkseed apply``: provision manifests, or go on where an earlier run stopped."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack
from typing import Any

import anyio
import click

from bulkseed.cli import options as o
from bulkseed.cli.logs import set_up_logging
from bulkseed.cli.render import print_json, print_summary
from bulkseed.model import Summary
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules


@click.command()
@o.manifest_options
@o.target_options
@o.qps_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="The most definitions in flight.  [default: as rate and latency need]",
)
@click.option(
    "--on-exists",
    type=click.Choice([choice.value for choice in OnExists]),
    default="skip",
    show_default=True,
    help="What a secret that exists and is not ours means.",
)
@click.option(
    "--on-delete-window",
    type=click.Choice([choice.value for choice in OnDeleteWindow]),
    default="fail",
    show_default=True,
    help="What a secret that is scheduled for deletion means.",
)
@o.retry_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Send at most this many definitions.")
@click.option(
    "--only",
    type=click.Path(exists=True, dir_okay=False),
    metavar="REJECTS",
    help="Take only what this file names, as `bulkseed ledger rejects` writes it.",
)
@click.option("--dry-run", is_flag=True, help="Do what plan does; send and write nothing.")
@o.output_option
@o.progress_option
@o.watch_options
@o.log_options
def apply(**given: Any) -> int:
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
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given["log_level"], given["log_format"])
    o.require_manifests(given["manifests"])
    if given["dry_run"]:
        from bulkseed.cli.plan import make_plan, print_plan

        made = make_plan(given)
        print_plan(made, given["output"])
        return made.exit_code
    summary = anyio.run(_apply, o.TargetOptions.of(given), given, backend_options=o.loop_options())
    if given["output"] == "json":
        print_json(summary.as_dict())
    else:
        print_summary(summary)
    _say_what_next(summary)
    return summary.exit_code


async def _apply(target_options: o.TargetOptions, given: dict[str, Any]) -> Summary:
    from bulkseed.cli import events
    from bulkseed.cli.progress import Work, watch
    from bulkseed.cli.session import beside, on_record, open_target, stop_on_signals
    from bulkseed.cli.telemetry import prometheus, telemetry
    from bulkseed.engine.stats import Stats
    from bulkseed.engine.stop import Stop
    from bulkseed.jobs.apply import seed
    from bulkseed.ledger import open_ledger
    from bulkseed.manifest.selection import read_selection

    manifests, qps = given["manifests"], given["qps"]
    stop, stats = Stop(), Stats()
    rules = Rules(
        RetryPolicy(given["max_attempts"], given["retry_budget"]),
        OnExists(given["on_exists"]),
        OnDeleteWindow(given["on_delete_window"]),
    )
    async with AsyncExitStack() as stack:
        entries = stack.enter_context(o.open_manifests(given))
        selection = read_selection(given["only"]) if given["only"] else None
        target = await open_target(stack, target_options, qps)
        path = o.ledger_path_for(manifests, given["ledger_path"])
        ledger = stack.enter_context(open_ledger(path, target, binding=target_options.binding))
        stack.enter_context(on_record(ledger, given["output"]))
        o.require_applies(ledger)
        if selection is not None:
            ledger.forget_invalid(selection.places)
        stack.enter_context(prometheus(stats, given["metrics_port"]))
        spans = stack.enter_context(telemetry(stats, "apply", given["otel"]))
        events.tell("run.started", command="apply", ledger=str(path), endpoint=target.endpoint, qps=qps)
        size = None if selection is None else selection.size
        work = Work(stats, qps, stop, entries, size, given["limit"])
        gc.freeze()  # what exists by now lives as long as the run: the collector need not look at it again
        async with beside(
            (stop_on_signals, stop, entries.bytes_total is not None),
            (watch, given["progress"], work),
            (events.watch_service, stats),
        ):
            summary = await seed(
                selection.of(entries) if selection is not None else entries,
                target,
                ledger,
                qps=qps,
                workers=given["workers"],
                rules=rules,
                timeout=given["timeout"],
                stop_after=given["stop_after"],
                limit=given["limit"],
                account_for_rest=entries.bytes_total is not None,  # a pipe may never end
                on_row=events.row_teller(),
                observers=[*events.attempt_tellers(), *spans],
                stats=stats,
                stop=stop,
            )
        events.tell_end(summary, summary.outcomes)
    return summary


def _say_what_next(summary: Summary) -> None:
    from bulkseed.cli.session import this_call

    if summary.exit_code == 130:
        click.echo(f"interrupted; to resume: {this_call()}", err=True)
    elif summary.stopped_by is not None:
        click.echo(f"stopped early: {summary.stopped_by}\nto resume: {this_call()}", err=True)
    elif summary.exit_code == 1:
        see = f"bulkseed ledger rejects {summary.ledger}"
        click.echo(f"not finished; what and why: {see}; to retry: {this_call()}", err=True)
