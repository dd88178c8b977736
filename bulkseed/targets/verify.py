"""Read back what a manifest has for each target of a run, and compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import anyio

from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.stop import Stop
from bulkseed.jobs.verify import verify
from bulkseed.ledger import open_ledger
from bulkseed.model import Row
from bulkseed.targets.apply import ApplyOptions, raise_file_limit, resolve
from bulkseed.targets.manifests import Inputs, route
from bulkseed.targets.run_all import AllRuns, TargetEnd, TargetRun, run_all
from bulkseed.targets.run_folder import RunFolder


@dataclass(slots=True, frozen=True)
class VerifyHooks:
    """Who hears of it: of the runs before they begin, and of each target's rows."""

    on_surveyed: Callable[[Sequence[TargetRun]], object] = lambda _runs: None
    on_row: Callable[[str, Row], None] | None = None


async def verify_all(
    folder: RunFolder,
    inputs: Inputs,
    qps: float,
    options: ApplyOptions,
    stop: Stop,
    hooks: VerifyHooks,
    *,
    resume: bool = False,
) -> AllRuns:
    """Verify the manifests against every target of a run, `qps` reads a second at each. Lock it first.

    Raises:
        ManifestError: a manifest cannot be read at all.
        UsageError: the manifests make no sense, or so many targets need too many files.
    """
    raise_file_limit(len(folder.specs))
    routed = await anyio.to_thread.run_sync(route, inputs, folder.specs, folder)
    runs = [TargetRun(spec, routed.definitions[spec.name]) for spec in folder.specs]
    hooks.on_surveyed(runs)

    async def read_back(run: TargetRun, _threads: Executor) -> TargetEnd:
        spec = run.spec
        target = resolve(spec)
        on_row = partial(hooks.on_row, spec.name) if hooks.on_row is not None else None
        with ExitStack() as stack:
            open_it = partial(open_ledger, folder.verifications(spec.name), target)
            ledger = stack.enter_context(await anyio.to_thread.run_sync(open_it))
            entries = stack.enter_context(routed.open(spec))
            done = await verify(
                entries,
                target,
                ledger,
                resume=resume,
                options=RunOptions(qps, rules=options.rules, stop_after=options.stop_after),
                hooks=RunHooks(on_row, stats=run.stats, stop=run.stop),
                timeout=options.timeout,
            )
        results = {result.value: count for result, count in done.results.items()}
        return TargetEnd(done.run, results, done.as_dict())

    await run_all(runs, read_back, stop)
    return AllRuns(str(folder.path), runs, routed.lines, routed.unrouted, "results")
