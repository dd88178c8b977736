"""What can be known of a cluster before a run: its workers, versions, clocks, manifests, keys and pages."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

import orjson

import bulkseed
from bulkseed.cluster.dask_cluster import CoordinatorAnswers, DaskCluster, TlsFiles, connect
from bulkseed.cluster.placement import WorkerSeen
from bulkseed.errors import ServiceError
from bulkseed.jobs.check_result import CheckResult, State
from bulkseed.jobs.checkup import CLOCK_TOLERANCE
from bulkseed.targets.manifests import Manifests
from bulkseed.targets.spec import TargetSpec

ANSWER_TIME, EACH_TARGET = 10.0, 2.0
"""Seconds in which a worker must have looked around, and how many more for each target's credentials."""

REACH_TIME = 2.0
"""Seconds that a connection to the scheduler's page may take."""


async def check_cluster(
    address: str, tls: TlsFiles, paths: Sequence[str], specs: Sequence[TargetSpec]
) -> AsyncIterator[CheckResult]:
    """Look at a cluster, and from each worker at the manifests and for the targets' credentials.

    Raises:
        UsageError: the extra is not installed, or address and TLS files make no sense.
    """
    try:
        async with connect(address, tls, CoordinatorAnswers()) as cluster:
            yield _encryption(address)
            workers = await cluster.seen()
            if not workers:
                yield CheckResult("workers", State.PROBLEM, "there are none", "start some: dask worker …")
                return
            names = ", ".join(sorted(worker.name for worker in workers.values()))
            yield CheckResult("workers", State.OK, f"{len(workers)}: {names}")
            async for result in _workers(cluster, workers, paths, specs):
                yield result
            yield await _page(cluster)
    except ServiceError as error:
        yield CheckResult("scheduler", State.PROBLEM, str(error))


def _encryption(address: str) -> CheckResult:
    if address.startswith("tls://"):
        return CheckResult("encryption", State.OK, "TLS, and both ends show certificates")
    text = "none: whoever can reach the scheduler can run code on its workers, with their keys"
    if address == "local":
        return CheckResult("encryption", State.NOTE, "none: the workers are on this machine alone")
    return CheckResult("encryption", State.WARNING, text, "start scheduler and workers with TLS")


async def _workers(
    cluster: DaskCluster,
    workers: Mapping[str, WorkerSeen],
    paths: Sequence[str],
    specs: Sequence[TargetSpec],
) -> AsyncIterator[CheckResult]:
    there = Manifests(tuple(paths)).absolute().paths
    asked = orjson.dumps({"paths": there, "specs": [asdict(spec) for spec in specs]})
    from bulkseed.cluster.dask_worker import look_around

    told: dict[str, dict[str, Any]] = {}
    for address, worker in workers.items():
        try:
            found = await cluster.ask(address, look_around, asked, ANSWER_TIME + EACH_TARGET * len(specs))
        except ServiceError as error:
            yield CheckResult(f"worker {worker.name}", State.PROBLEM, str(error), "install bulkseed there")
            continue
        found["ahead"] = found["time"] - time.time()  # it looks at its clock last
        told[worker.name] = found
    if not told:
        return
    yield _versions({name: found["version"] for name, found in told.items()})
    yield _clocks({name: found["ahead"] for name, found in told.items()})
    for number, path in enumerate(there):
        yield _manifest(path, {name: found["sizes"][number] for name, found in told.items()})
    for number, spec in enumerate(specs):
        yield _keys(spec, {name: found["callers"][number] for name, found in told.items()})


def _versions(found: Mapping[str, str]) -> CheckResult:
    ours = bulkseed.__version__
    others = {name: version for name, version in found.items() if version != ours}
    if not others:
        return CheckResult("version", State.OK, f"bulkseed {ours} here and at all workers")
    text = ", ".join(f"{name} has {version}" for name, version in others.items())
    return CheckResult("version", State.PROBLEM, f"{text}; here it is {ours}", "install the same everywhere")


def _clocks(found: Mapping[str, float]) -> CheckResult:
    name, ahead = max(found.items(), key=lambda item: abs(item[1]))
    text = f"at most {abs(ahead):,.1f} s from this machine's ({name})"
    if abs(ahead) > CLOCK_TOLERANCE:
        return CheckResult("clocks", State.WARNING, text, "set it: the service refuses such requests")
    return CheckResult("clocks", State.OK, text)


def _manifest(path: str, found: Mapping[str, int | str]) -> CheckResult:
    about = f"manifest {path}"
    names = defaultdict(list)
    for name, size in found.items():
        names[size if isinstance(size, str) else f"{size:,} bytes"].append(name)
    if len(names) == 1 and all(isinstance(size, int) for size in found.values()):
        return CheckResult(about, State.OK, f"{next(iter(names))} at all workers")
    text = "; ".join(f"{size} at {', '.join(those)}" for size, those in names.items())
    return CheckResult(about, State.PROBLEM, text, "put the same file in the same place everywhere")


def _keys(spec: TargetSpec, found: Mapping[str, dict[str, str | None]]) -> CheckResult:
    about = f"credentials of {spec.name}"
    may = [name for name in found if not spec.workers or any(fnmatchcase(name, g) for g in spec.workers)]
    if not may:
        return CheckResult(about, State.PROBLEM, f"no worker's name fits {', '.join(spec.workers)}")
    without = [name for name in may if found[name]["wrong"] is not None]
    if without:
        state = State.PROBLEM if len(without) == len(may) else State.WARNING
        return CheckResult(about, state, f"not at {', '.join(without)}: {found[without[0]]['wrong']}")
    callers = {name: caller for name in may if (caller := found[name]["caller"]) is not None}
    if len(set(callers.values())) > 1:
        text = "; ".join(f"{name} is {caller}" for name, caller in callers.items())
        return CheckResult(about, State.WARNING, f"workers are different callers: {text}", "let all be one")
    who = f", as {next(iter(callers.values()))}" if callers else ""
    return CheckResult(about, State.OK, f"at all of its workers: {', '.join(may)}{who}")


async def _page(cluster: DaskCluster) -> CheckResult:
    """Tell whether the scheduler's page can be reached from here; it asks nobody for a password."""
    where = await cluster.dashboard()
    if where is None:
        return CheckResult("dashboard", State.OK, "the scheduler has none")
    shown = f"http://{where[0]}:{where[1]}"
    try:
        async with asyncio.timeout(REACH_TIME):
            _, writer = await asyncio.open_connection(*where)
    except (OSError, TimeoutError):
        return CheckResult("dashboard", State.OK, f"{shown} cannot be reached from here")
    writer.close()
    if where[0].startswith("127."):
        return CheckResult("dashboard", State.NOTE, f"{shown}, for this machine alone")
    text = f"{shown} answers whoever reaches it: it shows the names of targets and workers"
    return CheckResult(
        "dashboard", State.WARNING, text, "--no-dashboard, or --dashboard-address 127.0.0.1:8787"
    )
