"""Read back what a manifest has for each target of a run, and compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import anyio

from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.run import Entries, connections
from bulkseed.engine.stop import Stop
from bulkseed.jobs.verify import VERIFY, Verification, verify_in
from bulkseed.ledger import LedgerPort
from bulkseed.model import Row, Target
from bulkseed.pacing.ceilings import limits
from bulkseed.targets.apply import ApplyOptions, raise_file_limit, resolve
from bulkseed.targets.ledgers import ledger_at
from bulkseed.targets.manifests import Inputs, route
from bulkseed.targets.run_all import AllRuns, TargetEnd, TargetRun, run_all
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.sending_right import ALWAYS, SendingRight


@dataclass(slots=True, frozen=True)
class VerifyHooks:
    """Who hears of it: of the runs before they begin, and of each target's rows."""

    on_surveyed: Callable[[Sequence[TargetRun]], object] = lambda _runs: None
    on_row: Callable[[str, Row], None] | None = None


class ReadBack(NamedTuple):
    """How a verify reads: so many reads a second at each target; `resume` as of `verify`."""

    qps: float
    resume: bool = False


async def verify_one(
    target: Target,
    entries: Entries,
    ledger: LedgerPort,
    reading: ReadBack,
    options: ApplyOptions,
    hooks: RunHooks,
    threads: Executor,
    right: SendingRight = ALWAYS,
) -> Verification:
    """Read back the entries of one target; `threads` are those that all ledgers share.

    Raises:
        CredentialsError: there are none.
        LedgerError: the ledger cannot be written, or records other runs than verifies.
        UsageError: the target's endpoint makes no sense.
    """
    run_options = RunOptions(
        reading.qps,
        rules=options.rules,
        stop_after=options.stop_after,
        account_for_rest=right.account_for_rest,
        afresh=not reading.resume,
    )
    ceilings, most = limits(VERIFY.kind.group, reading.qps), connections(run_options)
    async with right.open_lane(target, ceilings, most, options.timeout) as lane:
        await right.begin()
        return await verify_in(lane, entries, ledger, run_options, hooks, threads)


async def verify_all(
    folder: RunFolder,
    inputs: Inputs,
    reading: ReadBack,
    options: ApplyOptions,
    stop: Stop,
    hooks: VerifyHooks,
) -> AllRuns:
    """Verify the manifests against every target of a run. Lock it first.

    Raises:
        ManifestError: a manifest cannot be read at all.
        UsageError: the manifests make no sense, or so many targets need too many files.
    """
    raise_file_limit(len(folder.specs))
    routed = await anyio.to_thread.run_sync(route, inputs, folder.specs, folder)
    runs = [TargetRun(spec, routed.definitions[spec.name]) for spec in folder.specs]
    hooks.on_surveyed(runs)

    async def read_back(run: TargetRun, threads: Executor) -> TargetEnd:
        spec = run.spec
        target = resolve(spec)
        on_row = partial(hooks.on_row, spec.name) if hooks.on_row is not None else None
        heard = RunHooks(on_row, stats=run.stats, stop=run.stop)
        async with ledger_at(folder.verifications(spec.name), target, threads) as ledger:
            with routed.open(spec) as entries:
                right = SendingRight(run.begin)
                found = await verify_one(target, entries, ledger, reading, options, heard, threads, right)
        return TargetEnd.of(found)

    await run_all(runs, read_back, stop)
    return AllRuns(str(folder.path), runs, routed.lines, routed.unrouted, "results")
