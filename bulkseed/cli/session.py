"""What commands that talk to a service share: the target, signals, and tasks beside the main one."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import click

from bulkseed.cli.options import TargetOptions
from bulkseed.cli.render import print_json
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError, UsageError
from bulkseed.ledger import LedgerReader, Run
from bulkseed.model import SignatureName, Target


async def open_target(stack: AsyncExitStack, given: TargetOptions, create_qps: float) -> Target:
    """Return the target that the options name; the embedded local KMS runs until `stack` is closed.

    Raises:
        CredentialsError: there are none.
        UsageError: the endpoint makes no sense, or values would travel to the public service in plaintext.
    """
    signature: SignatureName = "rpc1" if given.signature == "rpc1" else "acs3"
    if given.embedded:
        from bulkseed.service.options import ServiceOptions
        from bulkseed.service.shell.local import local_service

        service = ServiceOptions(data_dir=Path(given.data_dir), region=given.region, create_qps=create_qps)
        local = await stack.enter_async_context(local_service(service))
        return Target(local.endpoint, local.region, local.credentials, signature)
    from bulkseed.client.credentials import find_credentials
    from bulkseed.transport.endpoint import is_public, parse_endpoint

    where = parse_endpoint(given.url, given.ca_file)  # before a ledger is bound to it
    if where.tls is None and is_public(given.url):
        raise UsageError(f"{given.url} would carry values in plaintext: use https")
    credentials = find_credentials(os.environ, given.profile)
    return Target(given.url, given.region, credentials, signature, given.ca_file)


@contextmanager
def on_record(ledger: LedgerReader, output: str) -> Iterator[None]:
    """When the run inside ends by an exception, print its summary, or what is on record of it.

    The summary goes to standard output if the ledger has it: it was written, and so it is true. Else one line
    on standard error adds up what the run has counted, and names the command that shows more.
    """
    before = ledger.last_run()
    try:
        yield
    except BaseException:
        with suppress(BulkseedError, OSError):  # what ended the run says more
            run = ledger.last_run()
            if run is not None and (before is None or run.run_id != before.run_id):
                _tell(run, output, str(ledger.path))
        raise


def _tell(run: Run, output: str, path: str) -> None:
    if run.summary is None or run.command == "verify":  # whose summary is in the words of an apply
        tally = run.tally
        rest = tally.claimed + tally.unsent - tally.settled
        counts = (
            f"{tally.read:,} read = {tally.known:,} settled before + {tally.settled:,} settled now"
            f" + {tally.invalid:,} invalid + {rest:,} not settled; more of it"
        )
        what = "what was deleted" if run.command == "rollback" else counts
        click.echo(f"on record: {what}: bulkseed ledger status {path}", err=True)
    elif output == "json":
        print_json(run.summary)
    else:
        ends = run.summary.get("outcomes") or run.summary["results"]
        terms = " + ".join(f"{count:,} {end}" for end, count in ends.items() if count) or "0"
        click.echo(f"definitions: {run.summary['definitions']:,} = {terms}\nledger: {path}")


@asynccontextmanager
async def beside(*tasks: tuple[Any, ...]) -> AsyncIterator[None]:
    """Run `tasks` (function, arguments…) while the body runs; what the body raises comes out as it is.

    A task that raises `click.Abort` cancels the body.
    """
    failure: BulkseedError | click.Abort | None = None
    try:
        async with anyio.create_task_group() as group:
            for function, *arguments in tasks:
                group.start_soon(function, *arguments)
            await anyio.lowlevel.checkpoint()  # they begin: from here on signals are heeded
            try:
                yield
            except BulkseedError as error:
                failure = error
            group.cancel_scope.cancel()
    except* click.Abort:
        failure = click.Abort()
    if failure is not None:
        raise failure


async def stop_on_signals(stop: Stop, counts: bool = False) -> None:
    """Ask the run to stop at the first SIGINT or SIGTERM; end it at the second.

    `counts`: a run that is asked to stop reads what is left of its manifests, to count it.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            name = signal.Signals(number).name
            # Not by `click.echo`, which goes round a progress bar: that would overwrite it.
            if stop.requested:
                sys.stderr.write(f"\n{name}: stopping now; to resume: {this_call()}\n")
                raise click.Abort
            rest = ", counting what is left" if counts else ""
            sys.stderr.write(f"\n{name}: finishing what is in flight{rest}; again to stop now\n")
            stop.request(f"interrupted by {name}", 130)


def this_call() -> str:
    """Return the command line of this process, ready to be pasted."""
    return shlex.join(["bulkseed", *sys.argv[1:]])
