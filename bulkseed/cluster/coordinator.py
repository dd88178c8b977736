"""A run over many targets on a cluster: the workers read and send, the coordinator keeps the ledgers."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import orjson

from bulkseed.cluster.dask_cluster import CoordinatorAnswers, DaskCluster, TlsFiles, connect
from bulkseed.cluster.hosted_ledger import HostedLedger, LedgerCall, Placement
from bulkseed.cluster.lease import LEASE
from bulkseed.cluster.placement import Placer, WorkerSeen
from bulkseed.cluster.progress import take_progress
from bulkseed.cluster.task import CoordinatorAddress, RunWork, Task
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError, CredentialsError, ServiceError
from bulkseed.jobs.rollback import RolledBack
from bulkseed.jobs.verify import verification_of
from bulkseed.ledger import Ledger, open_ledger
from bulkseed.manifest.selection import Selection, read_selections
from bulkseed.model import Credentials, Outcome, Summary, Target, Verified
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome
from bulkseed.targets.apply import endpoint_of, raise_file_limit, shared_quota
from bulkseed.targets.rollback import to_roll_back
from bulkseed.targets.run_all import THREADS, Accounts, AllRuns, TargetEnd, TargetRun
from bulkseed.targets.run_folder import RunFolder
from bulkseed.wire.identifiers import account_of


@dataclass(slots=True, frozen=True)
class ClusterOptions:
    """Where the cluster is; `lease` is in seconds, `source_rate` as in `RunWork`."""

    address: str
    tls: TlsFiles = field(default_factory=TlsFiles)
    lease: float = LEASE
    source_rate: float | None = None


@dataclass(slots=True, frozen=True)
class ClusterHooks:
    """Who hears of it: of the runs before they begin, and of each end of a rollback.

    `on_end` is called in a thread of the ledgers', with a target, a secret's name and its end.
    """

    on_begun: Callable[[Sequence[TargetRun]], object] = lambda _runs: None
    on_end: Callable[[str, str, RollbackEnd], object] = lambda _target, _name, _end: None


class _NoKeys:
    """Stands for credentials where there are none: those who send have their own."""

    def fetch(self) -> Credentials:
        raise CredentialsError("the coordinator has no credentials")


async def run_on_cluster(
    work: RunWork, folder: RunFolder, cluster: ClusterOptions, stop: Stop, hooks: ClusterHooks
) -> AllRuns:
    """Do the work for all targets of a run; run it again to resume. The folder must be locked.

    The workers read, with credentials of their own.

    Raises:
        LedgerError: the folder cannot be written.
        ManifestError: a worker cannot read a manifest at all, or the file of rejects cannot be read.
        ServiceError: the cluster does not answer, or has no worker.
        UsageError: the manifests or the cluster's options make no sense.
    """
    raise_file_limit(len(folder.specs))
    if work.options.only is not None:
        names = [spec.name for spec in folder.specs]
        selections = await asyncio.to_thread(read_selections, work.options.only, names)
        work = replace(work, selections={name: found.to_json() for name, found in selections.items()})
    hosted: dict[str, HostedLedger] = {}
    with ThreadPoolExecutor(THREADS, "bulkseed-ledgers") as threads:

        def answer_one(call: LedgerCall) -> dict[str, Any]:
            ledger = hosted.get(call["target"])
            return {"refused": "this run has no such target"} if ledger is None else ledger.answer(call)

        async def answer(message: bytes) -> bytes:
            loop = asyncio.get_running_loop()
            replies = (loop.run_in_executor(threads, answer_one, call) for call in orjson.loads(message))
            return orjson.dumps(await asyncio.gather(*replies))

        answers = CoordinatorAnswers(answer)
        async with connect(cluster.address, cluster.tls, answers) as dask:
            readers = max(1, len(await dask.seen()))
            inputs = None if work.inputs is None else work.inputs.absolute().shared_by(readers)
            work = replace(
                work,
                specs=folder.specs,
                inputs=inputs,
                source_rate=cluster.source_rate,
                readers=readers,
            )
            answers.work = work.to_bytes()
            us = CoordinatorAddress(dask.address, os.urandom(8).hex())
            found = await stop.wait_for(asyncio.ensure_future(_look(work, folder, dask, us)))
            if found is None:
                return AllRuns(
                    str(folder.path), [TargetRun(spec, 0) for spec in folder.specs], 0, 0, word(work)
                )
            hooks.on_begun(found.runs)

            def task(name: str, placement: Placement) -> bytes:
                ledger = str(work.ledger(folder, name))
                limit = hosted[name].rest_of(work.options.limit)
                return Task(us, name, placement.ticket, ledger, cluster.lease, limit).to_bytes()

            with ExitStack() as stack:
                accounts = Accounts()
                for run in found.runs:
                    if run.error is not None:
                        continue
                    opening = partial(_open, stack, work, folder, run)
                    ledger = await asyncio.get_running_loop().run_in_executor(threads, opening)
                    if ledger is not None:
                        hosted[run.spec.name] = _host(work, run, ledger, accounts, cluster.lease, hooks)
                placed = [run for run in found.runs if run.error is None]
                await Placer(placed, hosted, dask, task, partial(end_of, work), stop).run()
                hosted.clear()  # whoever still calls is refused
                found = replace(found, stopped=stop.exit_code if stop.requested else 0)
    for run in found.runs:
        if work.options.limit is not None and run.summary is not None:
            run.expected = run.summary.definitions  # no more was asked for
    return found


async def _look(work: RunWork, folder: RunFolder, dask: DaskCluster, us: CoordinatorAddress) -> AllRuns:
    """Return the runs, and how much each is about: values are for workers only, so one of them looks."""
    path = str(folder.path)
    if work.rollback is not None:
        restores = work.rollback.restore_values
        owned = await asyncio.to_thread(partial(to_roll_back, folder, restore_values=restores))
        return AllRuns(path, owned, 0, 0, word(work))
    found = await surveyed(dask, us)
    folder.write_unrouted((manifest, line, why) for manifest, line, why in found["unrouted"])
    if work.reading is None:
        folder.write_survey(found["lines"], found["definitions"])
    sizes = {name: Selection.from_json(told).size or 0 for name, told in work.selections.items()}
    sizes = sizes or found["definitions"]
    runs = [TargetRun(spec, sizes.get(spec.name, 0)) for spec in folder.specs]
    return AllRuns(path, runs, found["lines"], len(found["unrouted"]), word(work))


class Surveyors(Protocol):
    """The workers, as far as they can look through manifests; see `DaskCluster`."""

    async def seen(self) -> Mapping[str, WorkerSeen]:
        """Return the workers by address."""
        ...

    async def survey(self, us: CoordinatorAddress, worker: str) -> dict[str, Any]:
        """Have a worker look through the manifests."""
        ...


async def surveyed(workers: Surveyors, us: CoordinatorAddress) -> dict[str, Any]:
    """Return what the first worker has found that can reach us, and what it reads.

    Raises:
        BulkseedError: one cannot read a manifest, or makes no sense of it.
        ServiceError: there is no worker, or none can.
    """
    trouble = ServiceError("the cluster has no worker")
    for worker in await workers.seen():
        try:
            return await workers.survey(us, worker)
        except BulkseedError as error:
            if error.exit_code != ServiceError.exit_code:
                raise
            trouble = ServiceError(str(error))
    raise trouble


def word(work: RunWork) -> str:
    """Return what results are called in JSON."""
    return "outcomes" if work.reading is None and work.rollback is None else "results"


def _open(stack: ExitStack, work: RunWork, folder: RunFolder, run: TargetRun) -> Ledger | None:
    spec = run.spec
    target = Target(endpoint_of(spec), spec.region, _NoKeys(), spec.signature, spec.ca_file)
    opening = open_ledger(work.ledger(folder, spec.name), target, create=work.rollback is None)
    try:
        return stack.enter_context(opening)
    except BulkseedError as error:
        run.error = error
        return None


def _host(
    work: RunWork, run: TargetRun, ledger: Ledger, accounts: Accounts, lease: float, hooks: ClusterHooks
) -> HostedLedger:
    spec = run.spec

    def on_arn(arn: str) -> None:
        account = account_of(arn)
        other = accounts.other(spec.name, spec.region, account) if account else None
        if other:
            hosted.stop = shared_quota(other, account or "", spec.region)

    def on_end(name: str, end: RollbackEnd) -> None:
        run.note_undone(end)
        hooks.on_end(spec.name, name, end)

    told = partial(take_progress, run.stats, Outcome if work.reading is None else Verified)
    hosted = HostedLedger(ledger, lease, told, on_arn, on_end)
    return hosted


def end_of(work: RunWork, hosted: HostedLedger, ended: Mapping[str, Any]) -> TargetEnd:
    """Return the end of a target whose last run has told this, in the shape of its summary."""
    if work.reading is not None:
        return TargetEnd.of(verification_of(Summary.from_dict(ended, Verified)))
    if work.rollback is None:
        return TargetEnd.of_apply(Summary.from_dict(ended))
    told = dict(ended)
    results = Counter({RollbackOutcome(word): count for word, count in told.pop("results").items()})
    results.update(hosted.undone_before)  # at workers that were lost, and not taken up again
    run = Summary.from_dict({**told, "outcomes": {}, "definitions": results.total()})
    return TargetEnd.of(RolledBack(run, results))
