"""Apply to many targets on a cluster: the workers read and send, the coordinator keeps the ledgers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from bulkseed.cluster.dask_cluster import TlsFiles, connect
from bulkseed.cluster.host import HostedLedger, LedgerCall, Placement
from bulkseed.cluster.lease import LEASE
from bulkseed.cluster.placement import Placer
from bulkseed.cluster.progress import take_progress
from bulkseed.cluster.task import RunWork, Task
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError, CredentialsError
from bulkseed.ledger import Ledger, open_ledger
from bulkseed.model import Credentials, Target
from bulkseed.targets.apply import ApplyOptions, endpoint_of, raise_file_limit, shared_quota
from bulkseed.targets.manifests import Manifests
from bulkseed.targets.run_all import THREADS, Accounts, AllRuns, TargetRun
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.sources import NamedSources
from bulkseed.wire.shapes import account_of


@dataclass(slots=True, frozen=True)
class ClusterOptions:
    """Where the cluster is; `lease` is in seconds, `source_rate` as in `RunWork`."""

    address: str
    tls: TlsFiles = field(default_factory=TlsFiles)
    lease: float = LEASE
    source_rate: float | None = None


class _NoKeys:
    """Stands for credentials where there are none: those who send have their own."""

    def fetch(self) -> Credentials:
        raise CredentialsError("the coordinator has no credentials")


async def apply_on_cluster(
    inputs: Manifests | NamedSources,
    folder: RunFolder,
    options: ApplyOptions,
    cluster: ClusterOptions,
    stop: Stop,
    on_surveyed: Callable[[Sequence[TargetRun]], object] = lambda _runs: None,
) -> AllRuns:
    """Provision what is read into all targets; run it again to resume. The folder must be locked.

    The workers read, with credentials of their own. `on_surveyed` is called once, with the runs that begin.

    Raises:
        ManifestError: a worker cannot read a manifest at all.
        ServiceError: the cluster does not answer, or has no worker.
        UsageError: the manifests or the cluster's options make no sense.
    """
    raise_file_limit(len(folder.specs))
    hosted: dict[str, HostedLedger] = {}
    with ThreadPoolExecutor(THREADS, "bulkseed-ledgers") as threads:

        def answer_one(call: LedgerCall) -> dict[str, Any]:
            ledger = hosted.get(call["target"])
            return {"refused": "this run has no such target"} if ledger is None else ledger.answer(call)

        async def answer(message: bytes) -> bytes:
            loop = asyncio.get_running_loop()
            work = (loop.run_in_executor(threads, answer_one, call) for call in orjson.loads(message))
            return orjson.dumps(await asyncio.gather(*work))

        async with connect(cluster.address, cluster.tls, answer) as dask:
            readers = max(1, len(await dask.seen()))
            work = RunWork(
                *(folder.specs, inputs.absolute().shared_by(readers), options),
                source_rate=cluster.source_rate,
                readers=readers,
            )
            found = await stop.wait_for(asyncio.ensure_future(dask.survey(work)))
            if found is None:
                return AllRuns(str(folder.path), [TargetRun(spec, 0) for spec in folder.specs], 0, 0)
            unrouted = [(manifest, line, why) for manifest, line, why in found["unrouted"]]
            folder.write_unrouted(unrouted)
            runs = [TargetRun(spec, found["definitions"].get(spec.name, 0)) for spec in folder.specs]
            on_surveyed(runs)
            as_json = work.to_json()

            def task(name: str, placement: Placement) -> bytes:
                ledger = str(folder.ledger(name))
                return Task(dask.address, name, placement.ticket, ledger, cluster.lease, as_json).to_bytes()

            with ExitStack() as stack:
                accounts = Accounts()
                for run in runs:
                    opening = partial(_open, stack, folder, run)
                    ledger = await asyncio.get_running_loop().run_in_executor(threads, opening)
                    if ledger is not None:
                        hosted[run.spec.name] = _host(run, ledger, accounts, cluster.lease)
                placed = [run for run in runs if run.error is None]
                await Placer(placed, hosted, dask, task, stop).run()
                hosted.clear()  # whoever still calls is refused
    for run in runs:
        if options.limit is not None and run.summary is not None:
            run.expected = run.summary.definitions  # no more was asked for
    return AllRuns(str(folder.path), runs, found["lines"], len(unrouted))


def _open(stack: ExitStack, folder: RunFolder, run: TargetRun) -> Ledger | None:
    spec = run.spec
    target = Target(endpoint_of(spec), spec.region, _NoKeys(), spec.signature, spec.ca_file)
    try:
        return stack.enter_context(open_ledger(folder.ledger(spec.name), target))
    except BulkseedError as error:
        run.error = error
        return None


def _host(run: TargetRun, ledger: Ledger, accounts: Accounts, lease: float) -> HostedLedger:
    spec = run.spec

    def on_arn(arn: str) -> None:
        account = account_of(arn)
        other = accounts.other(spec.name, spec.region, account) if account else None
        if other:
            hosted.stop = shared_quota(other, account or "", spec.region)

    hosted = HostedLedger(ledger, lease, partial(take_progress, run.stats), on_arn)
    return hosted
