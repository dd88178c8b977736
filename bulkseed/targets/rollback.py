"""Roll back what a run over many targets made: each target's ledger, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import anyio

from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.stop import Stop
from bulkseed.jobs.rollback import restore_values, rollback
from bulkseed.ledger import open_ledger, read_ledger
from bulkseed.ledger.rollbacks import forecast
from bulkseed.policy.rollback import RollbackEnd
from bulkseed.targets.apply import ApplyOptions, raise_file_limit, resolve
from bulkseed.targets.run_all import AllRuns, TargetEnd, TargetRun, run_all
from bulkseed.targets.run_folder import RunFolder


class Undo(NamedTuple):
    """What a rollback does: it deletes, or it puts versions back and deletes nothing.

    `recovery_days`: how long secrets can be restored (7 to 30); None deletes at once.
    """

    recovery_days: int | None = 30
    restore_values: bool = False


def to_roll_back(folder: RunFolder, *, restore_values: bool = False) -> list[TargetRun]:
    """Return the runs of a rollback: the targets that have a ledger, and how many rows each would take up.

    Raises:
        LedgerError: a ledger cannot be read.
    """
    runs = []
    for spec in folder.specs:
        path = folder.ledger(spec.name)
        if path.exists():
            with read_ledger(path) as ledger:
                runs.append(TargetRun(spec, forecast(ledger, 0, restore_values=restore_values).total))
    return runs


async def roll_back_all(
    folder: RunFolder,
    undo: Undo,
    options: ApplyOptions,
    stop: Stop,
    on_begin: Callable[[Sequence[TargetRun]], object] = lambda _runs: None,
    on_end: Callable[[str, str, RollbackEnd], None] = lambda _target, _name, _end: None,
) -> AllRuns:
    """Undo what the run's ledgers did, each at its target's own pace. The folder must be locked.

    `on_begin` is called
    with the runs, `on_end` with a target, a secret's name and its end.

    Raises:
        LedgerError: a ledger cannot be read.
        UsageError: so many targets need too many files.
    """
    runs = await anyio.to_thread.run_sync(partial(to_roll_back, folder, restore_values=undo.restore_values))
    raise_file_limit(len(runs))
    on_begin(runs)

    async def roll_back(run: TargetRun, _threads: Executor) -> TargetEnd:
        spec = run.spec
        target = resolve(spec)
        with ExitStack() as stack:
            open_it = partial(open_ledger, folder.ledger(spec.name), target, create=False)
            ledger = stack.enter_context(await anyio.to_thread.run_sync(open_it))
            act = partial(rollback, recovery_days=undo.recovery_days)
            done = await (restore_values if undo.restore_values else act)(
                target,
                ledger,
                options=RunOptions(spec.qps, rules=options.rules, stop_after=options.stop_after),
                hooks=RunHooks(stats=run.stats, stop=run.stop),
                on_end=partial(on_end, spec.name),
                timeout=options.timeout,
            )
        results = {outcome.value: count for outcome, count in done.results.items()}
        return TargetEnd(done.run, results, done.as_dict())

    await run_all(runs, roll_back, stop)
    return AllRuns(str(folder.path), runs, 0, 0, "results")
