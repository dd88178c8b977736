"""Roll back what a run over many targets made: each target's ledger, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

import anyio

from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.stop import Stop
from bulkseed.errors import LedgerError
from bulkseed.jobs.account import check_account
from bulkseed.jobs.rollback import (
    MOST_WORKERS,
    LedgerRollback,
    OnEnd,
    RollbackRules,
    RolledBack,
    roll_back_in,
)
from bulkseed.ledger import read_ledger
from bulkseed.ledger.rollbacks import forecast
from bulkseed.model import Target
from bulkseed.pacing.ceilings import limits
from bulkseed.policy.jobs import ROLLBACK
from bulkseed.policy.rollback import RollbackEnd
from bulkseed.targets.apply import ApplyOptions, raise_file_limit, resolve
from bulkseed.targets.ledgers import ledger_at
from bulkseed.targets.run_all import AllRuns, TargetEnd, TargetRun, run_all
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.sending_right import ALWAYS, SendingRight
from bulkseed.targets.spec import TargetSpec


async def roll_back_one(
    spec: TargetSpec,
    target: Target,
    what: LedgerRollback,
    options: ApplyOptions,
    hooks: RunHooks,
    on_end: OnEnd | None,
    threads: Executor,
    right: SendingRight = ALWAYS,
) -> RolledBack:
    """Roll back what one target's ledger did; `threads` are those that all ledgers share.

    Raises:
        CredentialsError: there are none.
        LedgerError: the ledger cannot be written; nothing was deleted that it does not know of.
        UsageError: the target's endpoint makes no sense.
    """
    run_options = RunOptions(spec.qps, rules=options.rules, stop_after=options.stop_after)
    ceilings = limits(ROLLBACK.group, spec.qps)
    async with right.open_lane(target, ceilings, MOST_WORKERS, options.timeout) as lane:
        await check_account(lane, what.ledger, threads)
        await right.begin()
        return await roll_back_in(lane, what, run_options, hooks, on_end, threads)


def to_roll_back(folder: RunFolder, *, restore_values: bool = False) -> list[TargetRun]:
    """Return the runs of a rollback: the targets that have a ledger, and how many rows each would take up.

    A ledger that cannot be read is the end of its target's run alone.
    """
    runs = []
    for spec in folder.specs:
        path = folder.ledger(spec.name)
        if path.exists():
            run = TargetRun(spec, 0)
            try:
                with read_ledger(path) as ledger:
                    run.expected = forecast(ledger, 0, restore_values=restore_values).total
            except LedgerError as error:
                run.error = error
            runs.append(run)
    return runs


async def roll_back_all(
    folder: RunFolder,
    rules: RollbackRules,
    options: ApplyOptions,
    stop: Stop,
    on_begin: Callable[[Sequence[TargetRun]], object] = lambda _runs: None,
    on_end: Callable[[str, str, RollbackEnd], None] = lambda _target, _name, _end: None,
) -> AllRuns:
    """Roll back what the run's ledgers did, each at its target's own pace. The folder must be locked.

    `on_begin` is called with the runs, `on_end` with a target, a secret's name and its end.

    Raises:
        UsageError: so many targets need too many files.
    """
    runs = await anyio.to_thread.run_sync(partial(to_roll_back, folder, restore_values=rules.restore_values))
    raise_file_limit(len(runs))
    on_begin(runs)

    async def roll_back(run: TargetRun, threads: Executor) -> TargetEnd:
        spec = run.spec
        target = resolve(spec)
        hooks = RunHooks(stats=run.stats, stop=run.stop)

        def ended(name: str, end: RollbackEnd) -> None:
            run.note_undone(end)
            on_end(spec.name, name, end)

        async with ledger_at(folder.ledger(spec.name), target, threads, create=False) as ledger:
            what = LedgerRollback(ledger, rules)
            right = SendingRight(run.begin)
            found = await roll_back_one(spec, target, what, options, hooks, ended, threads, right)
        return TargetEnd.of(found)

    await run_all(runs, roll_back, stop)
    return AllRuns(str(folder.path), runs, 0, 0, "results")
