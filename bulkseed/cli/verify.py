"""``bulkseed verify``: read every definition back and compare."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

from bulkseed.cli import options as o
from bulkseed.cli.logs import set_up_logging
from bulkseed.cli.render import print_effort, print_json
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.policy.verify import Verified, verified

if TYPE_CHECKING:
    from bulkseed.jobs.verify import Verification
    from bulkseed.model import Row

LISTED = 1000
"""The most problems in the JSON summary; the ledger has all of them."""

MEANINGS = {
    Verified.IDENTICAL: "the service has this version with this value",
    Verified.PRESENT: "there; its value was generated, so not compared",
    Verified.DIFFERS: "the service has this version with another value",
    Verified.MISSING: "the service has no such secret, or not this version",
    Verified.UNREADABLE: "could not be read, so it is not known",
    Verified.INVALID: "bad manifest line, nothing to compare",
    Verified.PENDING: "the run ended before this was read",
}


@click.command()
@o.verify_options
@o.target_options
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where a verify was interrupted; what was identical then is not read again.",
)
@click.option(
    "--qps",
    type=click.FloatRange(min=0),
    default=450,
    show_default=True,
    metavar="N",
    help="The most reads in any one-second window; 0: no ceiling.",
)
@o.retry_options
@o.output_option
@o.progress_option
@o.log_options
def verify(**given: Any) -> int:
    """Read back what MANIFEST… define and compare it in memory: identical, differs, missing.

    Everything is read again each time, unless --resume goes on with a verify that was interrupted. What was
    found is kept in a ledger of its own; `bulkseed ledger rejects` lists what is not identical.

    \b
    Exit codes: 0 all identical or present, 1 some are not, 2 usage,
    3 stopped early, 4 the ledger cannot be used, 130 interrupted.
    """  # noqa: D301  # \b is how click is told not to re-wrap a paragraph
    set_up_logging(given["log_level"], given["log_format"])
    o.require_manifests(given["manifests"])
    found = anyio.run(_verify, o.TargetOptions.of(given), given, backend_options=o.loop_options())
    _print(found, given["output"])
    _say_what_next(found, resumed=given["resume"])
    return found.run.exit_code


async def _verify(target_options: o.TargetOptions, given: dict[str, Any]) -> Verification:
    from bulkseed.cli import events
    from bulkseed.cli.progress import Work, watch
    from bulkseed.cli.session import beside, on_record, open_target, stop_on_signals
    from bulkseed.engine.options import RunHooks, RunOptions
    from bulkseed.jobs.verify import verify as read_back
    from bulkseed.ledger import open_ledger

    manifests, qps = given["manifests"], given["qps"]
    ends, tell_row = Counter[str](), events.row_teller()

    def on_row(row: Row) -> None:
        result = verified(row.outcome, row.code)
        ends[result.value] += 1
        if tell_row is not None:
            tell_row(row, result=result.value)

    hooks = RunHooks(on_row=on_row, observers=events.attempt_tellers())
    stop, stats = hooks.stop, hooks.stats
    async with AsyncExitStack() as stack:
        entries = stack.enter_context(o.open_manifests(given))
        options = RunOptions(
            qps=qps,
            rules=Rules(RetryPolicy(given["max_attempts"], given["retry_budget"])),
            stop_after=given["stop_after"],
            account_for_rest=entries.bytes_total is not None,  # a pipe may never end
        )
        target = await open_target(stack, target_options, 0)
        path = o.ledger_path_for(manifests, given["ledger_path"], "verify")
        ledger = stack.enter_context(open_ledger(path, target, binding=target_options.binding))
        stack.enter_context(on_record(ledger, given["output"]))
        events.tell("run.started", command="verify", ledger=str(path), endpoint=target.endpoint, qps=qps)
        work = Work(stats, qps, stop, entries, ends=ends, usual=Verified.IDENTICAL.value)
        async with beside(
            (stop_on_signals, stop, entries.bytes_total is not None),
            (watch, given["progress"], work),
            (events.watch_service, stats),
        ):
            found = await read_back(
                entries,
                target,
                ledger,
                resume=given["resume"],
                options=options,
                hooks=hooks,
                timeout=given["timeout"],
            )
        events.tell_end(found.run, found.results)
    return found


def _print(found: Verification, output: str) -> None:
    from bulkseed.ledger import read_ledger

    with read_ledger(Path(found.run.ledger)) as ledger:
        problems = found.problems(ledger)
        if output == "json":
            listed = [
                {
                    "secret_name": row.name,
                    "version_id": row.version_id,
                    "result": result.value,
                    "code": row.code,
                    "message": row.message,
                    "manifest": row.manifest,
                    "line": row.line,
                }
                for result, row in islice(problems, LISTED)
            ]
            print_json({**found.as_dict(), "problems": listed})
            return
        for result, row in problems:
            click.echo(f"{row.manifest}:{row.line}: {row.name or '-'}: {result.value}: {row.message}")
    results = {result: count for result in Verified if (count := found.results[result])}
    for result, count in results.items():
        click.echo(f"{f'{result.value}: {count:,}':<22} {MEANINGS[result]}")
    terms = " + ".join(f"{count:,} {result.value}" for result, count in results.items()) or "0"
    click.echo(f"definitions: {found.run.definitions:,} = {terms}")
    print_effort(found.run)


def _say_what_next(found: Verification, *, resumed: bool) -> None:
    from bulkseed.cli.session import this_call

    again = this_call() + ("" if resumed else " --resume")
    if found.run.exit_code == 130:
        click.echo(f"interrupted; to resume: {again}", err=True)
    elif found.run.stopped_by is not None:
        click.echo(f"stopped early: {found.run.stopped_by}\nto resume: {again}", err=True)
