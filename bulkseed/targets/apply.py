"""Apply to many targets: one survey of the manifest, then an ordinary apply for each target."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio

from bulkseed.client.credentials import find_credentials, require_credentials
from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.run import Entries, connections, run_job
from bulkseed.engine.stop import Stop
from bulkseed.errors import UsageError
from bulkseed.jobs.account import check_account
from bulkseed.jobs.apply import APPLY
from bulkseed.ledger import LedgerPort, read_ledger
from bulkseed.manifest.selection import read_selections
from bulkseed.model import ManifestEntry, Row, Summary, Target
from bulkseed.pacing.ceilings import limits
from bulkseed.policy.options import Rules
from bulkseed.targets.ledgers import ledger_at
from bulkseed.targets.manifests import Inputs, route
from bulkseed.targets.run_all import Accounts, AllRuns, TargetEnd, TargetRun, run_all
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.sending_right import ALWAYS, SendingRight
from bulkseed.targets.spec import TargetSpec
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT, is_public
from bulkseed.wire.identifiers import account_of

FILES_PER_TARGET = 24
"""A ledger, its log, a manifest, and a connection for each request that is under way at 10 a second."""


def endpoint_of(spec: TargetSpec) -> str:
    """Return where a target is reached."""
    return spec.endpoint or f"https://kms.{spec.region}.aliyuncs.com"


def shared_quota(other: str, account: str, region: str) -> tuple[str, int]:
    """Return why a target is stopped that writes where another does, and the exit code."""
    return (
        f"target {other} writes into account {account} in {region}, too: they share one quota; leave one out",
        2,
    )


def resolve(spec: TargetSpec) -> Target:
    """Return the target that a spec describes, with its credentials.

    Raises:
        CredentialsError: there are none.
        UsageError: values would travel to the public service in plaintext.
    """
    endpoint = endpoint_of(spec)
    if urlsplit(endpoint).scheme == "http" and is_public(endpoint):
        raise UsageError(f"target {spec.name}: {endpoint} would carry values in plaintext: use https")
    credentials = find_credentials(os.environ, spec.profile, spec.role_arn)
    return Target(endpoint, spec.region, credentials, spec.signature, spec.ca_file)


def raise_file_limit(targets: int) -> None:
    """Let this process open as many files as so many targets need.

    Raises:
        UsageError: it may not.
    """
    needed = 64 + FILES_PER_TARGET * targets
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise UsageError(
                f"{targets} targets need {needed:,} open files, and this process may have {hard:,}: "
                f"raise the limit (ulimit -Hn {needed}), or use fewer targets at a time"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@dataclass(slots=True, frozen=True)
class ApplyOptions:
    """The choices for the runs of all targets, as in `RunOptions`; `limit` is for each of them.

    `only` is a file of rejects of the run folder: each target takes just what it says of it.
    """

    rules: Rules
    stop_after: int = 50
    workers: int | None = None
    timeout: float = ATTEMPT_TIMEOUT
    limit: int | None = None
    only: str | None = None


async def apply_to_one(
    spec: TargetSpec,
    target: Target,
    entries: Entries,
    ledger: LedgerPort,
    options: ApplyOptions,
    hooks: RunHooks,
    threads: Executor,
    right: SendingRight = ALWAYS,
) -> Summary:
    """Provision the entries of one target; `threads` are those that all ledgers share.

    Raises:
        CredentialsError: there are none, or they have expired and no new ones can be had.
        LedgerError: the ledger cannot be written; nothing was sent that it does not know of.
        UsageError: the target's endpoint makes no sense.
    """
    run_options = RunOptions(
        spec.qps,
        options.workers,
        options.rules,
        options.stop_after,
        options.limit,
        account_for_rest=right.account_for_rest,
    )
    ceilings, most = limits(APPLY.kind.group, spec.qps), connections(run_options)
    async with right.open_lane(target, ceilings, most, options.timeout) as lane:
        await check_account(lane, ledger, threads)
        await right.begin()
        return await run_job(APPLY, entries, lane, ledger, run_options, hooks, threads)


async def apply_to_all(
    specs: Sequence[TargetSpec],
    inputs: Inputs,
    folder: RunFolder,
    options: ApplyOptions,
    stop: Stop,
    on_surveyed: Callable[[Sequence[TargetRun]], object] = lambda _runs: None,
    on_row: Callable[[str, Row], None] | None = None,
) -> AllRuns:
    """Provision the manifests into all targets; run it again to resume. The folder must be locked.

    `on_surveyed` is called once, with the runs that begin. `on_row` is called with a target's name and a row.

    Raises:
        ManifestError: a manifest, or the file of rejects, cannot be read at all.
        UsageError: the manifests make no sense, or so many targets need too many files.
    """
    raise_file_limit(len(specs))
    accounts = Accounts()
    routed = await anyio.to_thread.run_sync(route, inputs, specs, folder)
    folder.write_survey(routed.lines, routed.definitions)
    selections = {} if options.only is None else read_selections(options.only, [spec.name for spec in specs])
    sizes = {name: selection.size for name, selection in selections.items() if selection.size is not None}
    runs = [TargetRun(spec, sizes.get(spec.name, routed.definitions[spec.name])) for spec in specs]
    on_surveyed(runs)

    async def apply(run: TargetRun, threads: Executor) -> TargetEnd:
        spec = run.spec
        target = resolve(spec)

        ours = ""  # how the ARNs of the account begin that is known to be ours alone

        def told(row: Row) -> None:
            nonlocal ours
            if row.arn and not (ours and row.arn.startswith(ours)):
                account = account_of(row.arn)
                if account and (other := accounts.other(spec.name, spec.region, account)):
                    run.stop.request(*shared_quota(other, account, spec.region))
                elif account:
                    ours = row.arn.rpartition(":")[0] + ":"
            if on_row is not None:
                on_row(spec.name, row)

        if not folder.ledger(spec.name).exists():
            await require_credentials(target)  # a run that cannot begin leaves no ledger that is bound
        async with ledger_at(folder.ledger(spec.name), target, threads) as ledger:
            with ExitStack() as stack:
                entries = stack.enter_context(routed.open(spec))
                wanted: Iterable[ManifestEntry] = entries
                if (selection := selections.get(spec.name)) is not None:
                    before = stack.enter_context(read_ledger(folder.ledger(spec.name)))
                    wanted = selection.of(entries, before.rows_before())
                hooks = RunHooks(told, (), run.stats, run.stop)
                right = SendingRight(run.begin)
                done = await apply_to_one(spec, target, wanted, ledger, options, hooks, threads, right)
        if selection is not None and (more := selection.more_in_words()):
            run.notes.append(more)
        if options.limit is not None:
            run.expected = done.definitions  # no more was asked for
        return TargetEnd.of_apply(done)

    await run_all(runs, apply, stop)
    return AllRuns(str(folder.path), runs, routed.lines, routed.unrouted)
