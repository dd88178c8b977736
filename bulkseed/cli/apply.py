"""``bulkseed apply``: provision manifests, or go on where an earlier run stopped."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import anyio
import click

from bulkseed.cli import options as o
from bulkseed.cli.logs import set_up_logging
from bulkseed.cli.render import print_json, print_summary
from bulkseed.errors import BulkseedError, UsageError
from bulkseed.model import SignatureName, Summary, Target
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.journey import OnDeleteWindow, OnExists, Rules


@click.command()
@o.manifest_options
@o.target_options
@click.option(
    "--qps",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="The most attempts in any one-second window; 0: no ceiling.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="The most definitions in flight.  [default: as rate and latency need]",
)
@click.option(
    "--on-exists",
    type=click.Choice([x.value for x in OnExists]),
    default="skip",
    show_default=True,
    help="What a secret that exists and is not ours means.",
)
@click.option(
    "--on-delete-window",
    type=click.Choice([x.value for x in OnDeleteWindow]),
    default="fail",
    show_default=True,
    help="What a secret that is scheduled for deletion means.",
)
@click.option(
    "--max-attempts", type=click.IntRange(min=1), default=8, show_default=True, help="Per definition."
)
@click.option(
    "--retry-budget",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Per definition, from its first attempt to its last.",
)
@click.option(
    "--stop-after",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="This many equal rejections in a row stop the run.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Send at most this many definitions.")
@click.option("--dry-run", is_flag=True, help="Do what plan does; send and write nothing.")
@o.output_option
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "plain", "none"]),
    default="auto",
    show_default=True,
    help="On standard error; a bar only on a terminal.",
)
@o.log_options
def apply(**given: Any) -> int:
    r"""Provision the secrets that MANIFEST… define; run it again to resume.

    \b
    Exit codes: 0 all settled, 1 some are not, 2 usage, 3 stopped early,
    4 the ledger cannot be used, 130 interrupted.

    \b
    Examples:
      bulkseed apply prod.jsonl
      bulkseed apply prod.jsonl --endpoint embedded --qps 100
      gunzip -c prod.jsonl.gz | bulkseed apply - --ledger prod.ledger.db
    """  # fmt: skip
    set_up_logging(given.pop("log_level"), given.pop("log_format"))
    o.need_manifests(given["manifests"])
    if given["dry_run"]:
        from bulkseed.cli.plan import make_plan, print_plan

        plan = make_plan(
            given["manifests"], given["format_name"], given["defaults"], given["ledger_path"], given["qps"]
        )
        print_plan(plan, given["output"])
        return int(plan.exit_code)
    call = _Apply(
        target=_take_target(given), **{name: given[name] for name in _Apply.__slots__ if name in given}
    )
    backend_options = o.loop_options()
    summary = anyio.run(call.run, backend_options=backend_options)
    if call.output == "json":
        print_json(summary.as_dict())
    else:
        print_summary(summary)
    _say_what_next(summary)
    return summary.exit_code


def _take_target(given: dict[str, Any]) -> o.TargetOptions:
    names = ("endpoint", "region", "profile", "signature", "ca_file", "data_dir")
    return o.TargetOptions(**{name: given.pop(name) for name in names})


def _say_what_next(summary: Summary) -> None:
    again = shlex.join(["bulkseed", *sys.argv[1:]])
    if summary.exit_code == 130:
        click.echo(f"interrupted; to resume: {again}", err=True)
    elif summary.stopped_by is not None:
        click.echo(f"stopped early: {summary.stopped_by}\nto resume: {again}", err=True)
    elif summary.exit_code == 1:
        click.echo(
            f"not finished: see `bulkseed ledger rejects {summary.ledger}`; to retry: {again}", err=True
        )


@dataclass(slots=True, frozen=True, kw_only=True)
class _Apply:
    target: o.TargetOptions
    manifests: tuple[str, ...]
    format_name: str | None
    defaults: tuple[str, ...]
    ledger_path: str | None
    qps: float
    workers: int | None
    on_exists: str
    on_delete_window: str
    max_attempts: int
    retry_budget: float
    stop_after: int
    limit: int | None
    output: str
    progress: str

    async def run(self) -> Summary:
        from bulkseed.cli.progress import watch
        from bulkseed.engine.seed import seed
        from bulkseed.engine.stats import Stats
        from bulkseed.engine.stop import Stop
        from bulkseed.ledger import open_ledger
        from bulkseed.manifest import open_manifest

        stop, stats = Stop(), Stats()
        rules = Rules(
            RetryPolicy(self.max_attempts, self.retry_budget),
            OnExists(self.on_exists),
            OnDeleteWindow(self.on_delete_window),
        )
        path = o.ledger_path_for(self.manifests, self.ledger_path)
        async with AsyncExitStack() as stack:
            entries = stack.enter_context(
                open_manifest(
                    *self.manifests, format=self.format_name, defaults=o.parse_defaults(self.defaults)
                )
            )
            target = await open_target(stack, self.target, self.qps)
            binding = o.EMBEDDED if self.target.embedded else None
            ledger = stack.enter_context(open_ledger(path, target, binding=binding))
            # What exists by now lives as long as the run: the collector need not look at it again.
            gc.freeze()
            async with beside((_stop_on_signals, stop), (watch, self.progress, stats, entries, self.qps)):
                return await seed(
                    entries,
                    target,
                    ledger,
                    qps=self.qps,
                    workers=self.workers,
                    rules=rules,
                    stop_after=self.stop_after,
                    limit=self.limit,
                    account_for_rest="-" not in self.manifests,
                    stats=stats,
                    stop=stop,
                )


@asynccontextmanager
async def beside(*tasks: tuple[Any, ...]) -> AsyncIterator[None]:
    """Run `tasks` (function, arguments…) while the body runs; what the body raises comes out as it is."""
    failure: BaseException | None = None
    async with anyio.create_task_group() as group:
        for function, *arguments in tasks:
            group.start_soon(function, *arguments)
        try:
            yield
        except BulkseedError as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def open_target(stack: AsyncExitStack, given: o.TargetOptions, qps: float) -> Target:
    """Return the target that the options name; the embedded local KMS runs until `stack` is closed.

    Raises:
        CredentialsError: there are none.
        UsageError: the signature's name is unknown.
    """
    if given.signature not in get_args(SignatureName):
        raise UsageError(f"unknown signature {given.signature!r}")
    signature: SignatureName = "rpc1" if given.signature == "rpc1" else "acs3"
    if given.embedded:
        from bulkseed.service.local import local_service
        from bulkseed.service.options import ServiceOptions

        service = ServiceOptions(data_dir=Path(given.data_dir), region=given.region, create_qps=qps)
        target = await stack.enter_async_context(local_service(service))
        return Target(target.endpoint, target.region, target.credentials, signature)
    from bulkseed.engine.credentials import find_credentials

    credentials = find_credentials(os.environ, given.profile)
    return Target(given.url, given.region, credentials, signature, given.ca_file)


async def _stop_on_signals(stop: Any) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            name = signal.Signals(number).name
            if stop.requested:
                click.echo(f"{name} again: stopping now", err=True)
                raise KeyboardInterrupt
            click.echo(f"{name}: finishing what is in flight; again to stop now", err=True)
            stop.request(f"interrupted by {name}", 130)
