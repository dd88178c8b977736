"""The harness of commands that run: target, ledger, signals, progress, metrics, and the end."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import anyio
import anyio.lowlevel
import click

from bulkseed.cli.options import WatchArguments
from bulkseed.cli.render import heading, print_json, say, say_aside
from bulkseed.cli.target import TargetOptions, open_target
from bulkseed.cli.watching import events
from bulkseed.cli.watching.progress import Work, watch
from bulkseed.cli.watching.telemetry import prometheus, telemetry
from bulkseed.client.credentials import require_credentials
from bulkseed.engine.options import RunHooks
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError, CredentialsError, LedgerError, UsageError
from bulkseed.humanize import visible
from bulkseed.ledger import Ledger, LedgerReader, Run, open_ledger, read_ledger
from bulkseed.model import Outcome, QuotaGroup, Summary, Target
from bulkseed.policy.jobs import JOBS

_NOT_BEGUN = "Nothing was sent, and no ledger was begun"


@dataclass(slots=True, frozen=True)
class Session:
    """A command's run: its target and ledger are open, and machines can watch it."""

    target: Target
    ledger: Ledger
    hooks: RunHooks
    progress: str

    @asynccontextmanager
    async def watched(self, work: Work, *, counts: bool = False) -> AsyncIterator[None]:
        """Heed signals and show progress while the body runs; `counts` as in `stop_on_signals`."""
        async with beside(
            (stop_on_signals, self.hooks.stop, counts),
            (watch, self.progress, work),
            (events.watch_service, self.hooks.stats),
        ):
            yield


@asynccontextmanager
async def open_session(
    command: str, given: WatchArguments, chosen: TargetOptions, path: Path, qps: float, *, create: bool = True
) -> AsyncIterator[Session]:
    """Open the target and the ledger that a command needs.

    Args:
        command: its name.
        given: how it is watched.
        chosen: the target.
        path: the ledger.
        qps: the ceiling of its sends a second; of creates, if the local KMS is embedded. 0 for none.
        create: whether a ledger that does not exist is made.

    Raises:
        BulkseedError: one of them cannot be opened.
    """
    stats, kind = Stats(), JOBS[command]
    lines = heading(chosen, path)  # before there is a ledger
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(
            open_target(chosen, qps if kind.group is QuotaGroup.CREATE else 0)
        )
        if not _is_there(path):
            try:
                await require_credentials(target)  # a run that cannot begin leaves no ledger that is bound
            except CredentialsError as error:
                _begin(lines, given.output)
                raise CredentialsError(f"{error}. {_NOT_BEGUN}") from None
        ledger = stack.enter_context(open_ledger(path, target, data_dir=chosen.local_dir, create=create))
        ledger.require_shared_with(kind)
        _begin(lines, given.output)
        stack.enter_context(report_if_it_fails(ledger, given.output))
        stack.enter_context(prometheus(stats, given.metrics_port))
        spans = stack.enter_context(telemetry(stats, command, given.otel))
        events.tell("run.started", command=command, ledger=str(path), endpoint=target.endpoint, qps=qps)
        tellers = [*events.attempt_tellers(), *spans.attempts]
        hooks = RunHooks(None, tellers, stats, Stop(), spans.source_reads)
        yield Session(target, ledger, hooks, given.progress)


def _begin(lines: str, output: str) -> None:
    """Say what a command touches: before its results, or to people only if those are for machines."""
    if output == "text":
        say(lines)
    elif sys.stderr.isatty():
        say(lines, err=True)


async def confirm_first_write(
    chosen: TargetOptions, path: Path, count: Callable[[], int | None], *, yes: bool
) -> None:
    """Ask at a terminal before a new ledger's first write to the public service.

    Whose account it is and how many definitions there are stands before the question, as far as that is told.

    Raises:
        CredentialsError: there are none.
        UsageError: the answer is no.
    """
    if yes or not chosen.is_public or not sys.stderr.isatty() or has_runs(path):
        return
    if (terminal := _terminal()) is None:
        return
    terminal.close()
    try:
        account = await _account(chosen)
    except CredentialsError as error:
        raise CredentialsError(f"{error}. {_NOT_BEGUN}") from None
    number = count()
    what = "definitions, as many as are read" if number is None else f"{number:,} definitions at most"
    question = f"{what}: this is the public service. Write there? [y/N] "
    ask_at_terminal(f"{heading(chosen, path)}\naccount: {account}", question)


def ask_at_terminal(lines: str, question: str) -> None:
    """Ask a person whether to write there, below `lines`; where there is no terminal, nobody is asked.

    Raises:
        UsageError: the answer is no.
    """
    if (terminal := _terminal()) is None:
        return
    with terminal:
        say(lines, err=True)
        click.echo(visible(question), err=True, nl=False)
        if terminal.readline().strip().lower() not in {"y", "yes"}:
            raise UsageError("nothing was sent: --endpoint names another target, --yes asks no question")


def _terminal() -> TextIO | None:
    """Open what a person answers at: standard input may be a manifest."""
    try:
        return open("/dev/tty", encoding="utf-8", errors="replace")  # noqa: PTH123  # no path of ours
    except OSError:
        return None


async def _account(chosen: TargetOptions) -> str:
    """Say whose account the credentials are of, which STS tells, and who they are."""
    from bulkseed.client.caller import ask_caller, sts_endpoint
    from bulkseed.wire.caller_identity import CallerIdentity

    async with open_target(chosen, 0) as target:
        told = await ask_caller(target, sts_endpoint(os.environ))
    if isinstance(told, CallerIdentity):
        return f"{told.account_id}, as {told.arn}"
    return "not told by STS; `bulkseed doctor` says why"


def _is_there(path: Path) -> bool:
    return path.exists()


def has_runs(path: Path) -> bool:
    """Tell whether a run was begun with this ledger; one may have ended before that, and left it empty."""
    with suppress(LedgerError), read_ledger(path) as ledger:
        return ledger.last_run() is not None
    return False


def conclude(
    run: Summary,
    results: Mapping[Any, int],
    output: str,
    document: Callable[[], Mapping[str, Any]],
    show: Callable[[], None],
) -> None:
    """Log a run's end and print its summary: the JSON `document`, or what `show` prints."""
    events.tell_end(run, results)
    if output == "json":
        print_json(document())
    else:
        show()


def say_what_next(run: Summary, again: str, unsettled: str | None = None) -> None:
    """Say on standard error how to go on after a run that did not end well.

    `again`: the command that resumes it. `unsettled`: what to do about definitions that are not settled.
    """
    if run.exit_code == 130:
        say(f"interrupted; to resume: {again}", err=True)
    elif run.stopped_by is not None:
        say_aside(f"stopped early: {run.stopped_by}")
        say(f"to resume when that is mended: {again}", err=True)
    elif run.exit_code == 1 and unsettled is not None:
        say(unsettled, err=True)


@contextmanager
def report_if_it_fails(ledger: LedgerReader, output: str) -> Iterator[None]:
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
    if run.summary is None:
        tally = run.tally
        rest = tally.claimed + tally.unsent - tally.settled
        counts = (
            f"{tally.read:,} read = {tally.known:,} settled before + {tally.settled:,} settled now"
            f" + {tally.invalid:,} invalid + {rest:,} not settled; more of it"
        )
        what = counts if JOBS[run.command].takes_definitions else "what was deleted"
        say(f"on record: {what}: bulkseed ledger status {path}", err=True)
    elif output == "json":
        outcomes = "outcomes" if JOBS[run.command].words is Outcome else "results"
        print_json({outcomes if key == "outcomes" else key: told for key, told in run.summary.items()})
    else:
        ends = run.summary.get("outcomes") or run.summary["results"]
        terms = " + ".join(f"{count:,} {end}" for end, count in ends.items() if count) or "0"
        say(f"definitions: {run.summary['definitions']:,} = {terms}\nledger: {path}")


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
    """Ask the run to stop at the first SIGINT, SIGTERM or SIGHUP; end it at the second.

    `counts`: a run that is asked to stop reads what is left of its manifests, to count it.
    """
    heeded = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        heeded.append(signal.SIGHUP)
    with anyio.open_signal_receiver(*heeded) as signals:
        async for number in signals:
            name = signal.Signals(number).name
            # Not by `click.echo`, which goes round a progress bar: that would overwrite it.
            if stop.requested:
                sys.stderr.write(f"\n{name}: stopping now; to resume: {this_call()}\n")
                raise click.Abort
            rest = ", counting what is left" if counts else ""
            sys.stderr.write(f"\n{name}: finishing what is in flight{rest}; again to stop now\n")
            stop.request(f"interrupted by {name}", 130)


def this_call(ledger: Path | str | None = None) -> str:
    """Return the command line of this process, ready to be pasted; with its ledger, from any folder."""
    call = ["bulkseed", *sys.argv[1:]]
    if ledger is not None and not any(word.split("=")[0] == "--ledger" for word in call):
        call += ["--ledger", str(ledger)]
    return shlex.join(call)
