"""What a Dask worker is asked to do. Nothing is raised and nothing but JSON returned: see `runner`."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import orjson
from distributed import WorkerPlugin, get_worker, secede
from distributed.core import ConnectionPool

import bulkseed
from bulkseed.client.caller import ask_caller, sts_endpoint
from bulkseed.cluster.progress import failure_to_json
from bulkseed.cluster.runner import CoordinatorLink, Runner
from bulkseed.cluster.task import CoordinatorAddress, RunWork, Task
from bulkseed.errors import BulkseedError, ManifestError, ServiceError
from bulkseed.manifest.location import size_of
from bulkseed.model import Credentials, Origin
from bulkseed.targets.apply import resolve
from bulkseed.targets.run_folder import spec_from_json
from bulkseed.transport.endpoint import is_public
from bulkseed.wire.caller_identity import CallerIdentity

LEDGERS, WORK = "bulkseed_ledgers", "bulkseed_work"
"""What the coordinator's server answers to."""

REACH_TIME = 10.0
"""Seconds until a coordinator must have said what is to be done."""

DRAIN_TIME = 10.0
"""Seconds that a worker which is shut down waits for its runs to end in order."""

CALLERS_AT_A_TIME = 16
"""Targets whose credentials are looked for at a time."""

_lock = threading.Lock()
_runners: dict[CoordinatorAddress, tuple[Runner, int]] = {}  # with how many of its targets are here


def serve_target(data: bytes) -> None:
    """Work on a target until its run has ended. In the ledger stands how."""
    task = Task.from_bytes(data)
    connection_args = _connection_args()
    secede()  # a worker serves many targets, and each mostly waits
    with _runner(task, connection_args) as runner:
        runner.start(task).result()


def _connection_args() -> dict[str, Any]:
    return dict(get_worker().security.get_connection_args("worker"))


def survey(data: bytes) -> bytes:
    """Look through the manifests; return what each target gets, and what goes nowhere.

    `data`: JSON of a `CoordinatorAddress`.
    """
    unrouted: list[tuple[str, int | str, str]] = []

    def note(origin: Origin, why: str) -> None:
        unrouted.append((*origin, str(why)))

    try:
        work = asyncio.run(_work_of(CoordinatorAddress(**orjson.loads(data)), _connection_args()))
        routed = work.what_is_read().route(work.specs, note)
        routed.close()
    except BulkseedError as error:
        return orjson.dumps({"failed": failure_to_json(error)})
    except Exception as error:  # noqa: BLE001  # its text may hold anything, a value too
        told = BulkseedError(f"unexpected {type(error).__name__} at the worker")
        return orjson.dumps({"failed": failure_to_json(told)})
    return orjson.dumps(
        {"lines": routed.lines, "definitions": dict(routed.definitions), "unrouted": unrouted}
    )


def look_around(data: bytes) -> bytes:
    """Tell what a run would find here: our version, the time, manifests, credentials and whose they are.

    `data`: JSON with ``paths`` and ``specs``. What is found is in the same order; a text says what is wrong.
    """
    secede()
    asked = orjson.loads(data)
    found = {
        "version": bulkseed.__version__,
        "sizes": list(map(_size, asked["paths"])),
        "callers": asyncio.run(_callers(asked["specs"])),
    }
    return orjson.dumps({**found, "time": time.time()})


def _size(path: str) -> int | str:
    try:
        size = size_of(path)
    except ManifestError as error:
        return str(error).removeprefix(f"{path}: ")
    return "can be read only once" if size is None else size


async def _callers(specs: list[dict[str, Any]]) -> list[dict[str, str | None]]:
    """Tell for each target why there are no credentials, or who signs with them; nothing of them is told."""
    turns = asyncio.Semaphore(CALLERS_AT_A_TIME)

    async def caller(spec: dict[str, Any]) -> dict[str, str | None]:
        async with turns:
            try:
                target = resolve(spec_from_json(spec))
                if not is_public(target.endpoint):
                    if not isinstance(target.credentials, Credentials):
                        await asyncio.to_thread(target.credentials.fetch)
                    return {"wrong": None, "caller": None}
                answer = await ask_caller(target, sts_endpoint(os.environ))
            except BulkseedError as error:
                return {"wrong": str(error), "caller": None}
            except Exception as error:  # noqa: BLE001  # its text may hold anything, a key too
                return {"wrong": f"unexpected {type(error).__name__}", "caller": None}
        return {"wrong": None, "caller": answer.arn if isinstance(answer, CallerIdentity) else None}

    return await asyncio.gather(*map(caller, specs))


def load(data: bytes) -> bytes:
    """Send one worker's share of a load test."""
    from bulkseed.cluster.load_share import Share, send

    secede()
    try:
        return orjson.dumps(asyncio.run(send(Share(**orjson.loads(data)))))
    except BulkseedError as error:
        return orjson.dumps({"failed": failure_to_json(error)})
    except Exception as error:  # noqa: BLE001  # its text may hold anything, a key too
        told = BulkseedError(f"unexpected {type(error).__name__} at the worker")
        return orjson.dumps({"failed": failure_to_json(told)})


class Drain(WorkerPlugin):
    """Ends runs in order when their worker is shut down: what is on its way is answered and recorded."""

    name = "bulkseed-drain"

    async def teardown(self, worker: Any) -> None:  # noqa: ARG002  # Dask's signature
        """Wait for the runs of all coordinators; Dask waits for this before it closes connections."""
        await asyncio.gather(*(runner.drain(DRAIN_TIME) for runner, _ in list(_runners.values())))


async def _work_of(coordinator: CoordinatorAddress, connection_args: dict[str, Any]) -> RunWork:
    try:
        async with asyncio.timeout(REACH_TIME), _connect(coordinator, connection_args) as link:
            work = await link.work()
    except Exception as error:  # noqa: BLE001  # whatever a connection that cannot be made raises
        raise ServiceError(
            f"a worker cannot connect to this command at {coordinator.address} ({type(error).__name__})"
        ) from None
    return RunWork.from_bytes(work)


@contextmanager
def _runner(task: Task, connection_args: dict[str, Any]) -> Iterator[Runner]:
    """Give the runner of the task's coordinator; it ends with the last of its targets."""
    key = task.coordinator
    with _lock:
        runner, users = _runners.get(key) or (_new_runner(task, connection_args), 0)
        _runners[key] = (runner, users + 1)
    try:
        yield runner
    finally:
        with _lock:
            runner, users = _runners.pop(key)
            if users > 1:
                _runners[key] = (runner, users - 1)
            else:
                runner.close()


def _new_runner(task: Task, connection_args: dict[str, Any]) -> Runner:
    return Runner(partial(_connect, task.coordinator, connection_args), task.lease)


@asynccontextmanager
async def _connect(
    coordinator: CoordinatorAddress, connection_args: dict[str, Any]
) -> AsyncIterator[CoordinatorLink]:
    pool = await ConnectionPool(deserialize=False, connection_args=connection_args)
    there = pool(coordinator.address)

    async def send(message: bytes) -> bytes:
        answer: bytes = await getattr(there, LEDGERS)(message=message)
        return answer

    async def work() -> bytes:
        told: bytes = await getattr(there, WORK)()
        return told

    try:
        yield CoordinatorLink(send, work)
    finally:
        await pool.close()
