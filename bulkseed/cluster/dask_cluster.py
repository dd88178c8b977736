"""A Dask cluster as the coordinator uses it: its workers, its tasks, and a server for the ledgers."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from bulkseed.cluster.placement import WorkerSeen
from bulkseed.cluster.progress import failure_from_json
from bulkseed.cluster.task import CoordinatorAddress
from bulkseed.errors import ServiceError, UsageError, how_to_install

_SILENT = logging.CRITICAL + 1

_OF_A_TERMINAL = (signal.SIGINT, signal.SIGHUP)
"""They go to all processes of a terminal's command: workers of ours would end before they are asked to."""

CONNECT_TIME = 30.0
"""Seconds until a scheduler must have answered, as Dask has it: on a busy machine it took over ten."""


@dataclass(slots=True, frozen=True)
class TlsFiles:
    """The files of a mutual TLS: the authority's certificate, and ours with its key."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclass(slots=True)
class CoordinatorAnswers:
    """What workers may ask a coordinator for: to write to its ledgers, and the work (`RunWork`)."""

    answer: Callable[[bytes], Awaitable[bytes]] | None = None
    work: bytes = b""


class DaskCluster:
    """A connected cluster; `address` is where the coordinator's own server answers."""

    def __init__(self, client: Any, address: str) -> None:
        from bulkseed.cluster.dask_worker import serve_target

        self.address = address
        self._client = client
        self._serve_target = serve_target

    @property
    def is_lost(self) -> bool:
        """True if the scheduler does not answer any more: its workers leave, too."""
        return bool(self._client.status != "running")

    async def seen(self) -> Mapping[str, WorkerSeen]:
        """Return the workers by address."""
        try:
            found = await self._client.scheduler.identity(n_workers=-1)
        except OSError:
            return {}
        return {
            address: WorkerSeen(str(about["name"]), about["last_seen"])
            for address, about in found["workers"].items()
            if about["status"] == "running"
        }

    async def dashboard(self) -> tuple[str, int] | None:
        """Return host and port of the scheduler's page; None if it has none."""
        found = await self._client.scheduler.identity(n_workers=0)
        port = found["services"].get("dashboard")
        return None if port is None else (urlsplit(found["address"]).hostname or "", port)

    async def ask(self, worker: str, function: Callable[[bytes], bytes], data: bytes, within: float) -> Any:
        """Have a worker do something that takes no longer than `within` seconds; return its JSON.

        Raises:
            ServiceError: it does not answer, or cannot.
        """
        try:
            async with asyncio.timeout(within):
                return orjson.loads(await self._client.gather(self._submit(worker, function, data)))
        except Exception as error:  # noqa: BLE001  # a task fails with whatever its worker raises
            raise ServiceError(f"it does not answer, or has no bulkseed ({type(error).__name__})") from None

    def _submit(
        self, worker: str, function: Callable[[bytes], Any], data: bytes, key: str | None = None
    ) -> Any:
        """Have this worker and no other do something; return Dask's future of it."""
        only = {"workers": [worker], "allow_other_workers": False, "pure": False, "retries": 0}
        return self._client.submit(function, data, key=key, **only)

    def begin(self, worker: str, key: str, task: bytes) -> Any:
        """Have a worker work on a target; return Dask's future of it."""
        return self._submit(worker, self._serve_target, task, key)

    async def load(self, worker: str, share: bytes) -> dict[str, Any]:
        """Have a worker send its share of a load test.

        Raises:
            BulkseedError: it cannot.
            ServiceError: it was lost.
        """
        from bulkseed.cluster.dask_worker import load

        return await self._json_of(self._submit(worker, load, share))

    async def _json_of(self, future: Any) -> dict[str, Any]:
        try:
            found = orjson.loads(await self._client.gather(future, asynchronous=True))
        except Exception as error:  # noqa: BLE001  # a task fails with whatever its worker raises
            raise ServiceError(
                f"no worker could do it ({type(error).__name__}): "
                f"bulkseed and its extra must be installed there, too; {how_to_install('cluster')}"
            ) from None
        if "failed" in found:
            raise failure_from_json(found["failed"])
        return dict(found)

    async def survey(self, us: CoordinatorAddress, worker: str) -> dict[str, Any]:
        """Have a worker, or another one if it is lost, look through the manifests.

        Raises:
            BulkseedError: it cannot.
            ServiceError: it cannot run bulkseed, reach us, or reach a source.
        """
        from bulkseed.cluster.dask_worker import survey

        asked = orjson.dumps(asdict(us))
        future = self._client.submit(survey, asked, pure=False, workers=[worker], allow_other_workers=True)
        return await self._json_of(future)


@asynccontextmanager
async def connect(address: str, tls: TlsFiles, answers: CoordinatorAnswers) -> AsyncIterator[DaskCluster]:
    """Connect to a scheduler; workers may ask for `answers`.

    `address`: ``tls://host:port``, ``tcp://host:port``, or ``local`` for workers of our own on this machine.

    Raises:
        UsageError: the extra is not installed, or the address or the TLS files make no sense.
        ServiceError: the scheduler does not answer.
    """
    try:
        import distributed
        from distributed.core import Server
        from distributed.utils import get_ip
    except ImportError:
        raise UsageError(f"--cluster needs Dask: {how_to_install('cluster')}") from None
    from bulkseed.cluster.dask_worker import LEDGERS, WORK, Drain

    for name in ("distributed", "distributed.client"):  # what matters is said in our words
        logging.getLogger(name).setLevel(_SILENT)
    security = _security(distributed, address, tls)
    local = None
    try:
        if address == "local":
            with _kept_from(_OF_A_TERMINAL):
                local = await distributed.LocalCluster(
                    n_workers=2,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=_SILENT,
                    asynchronous=True,
                )
            address = local.scheduler_address
        client = await distributed.Client(
            address, asynchronous=True, security=security, timeout=CONNECT_TIME, set_as_default=False
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise ServiceError(
            f"no connection to the scheduler {address}: is it running, with these TLS files? "
            f"({type(error).__name__})"
        ) from None
    host = urlsplit(address).hostname or "127.0.0.1"

    async def on_message(message: bytes) -> bytes:
        return b"[]" if answers.answer is None else await answers.answer(message)

    async def on_work() -> bytes:
        return answers.work

    server = Server({LEDGERS: on_message, WORK: on_work}, needs_workdir=False)
    try:
        listen_args = security.get_listen_args("scheduler") if security is not None else {}
        await server.listen(f"{address.partition('://')[0]}://{get_ip(host)}:0", **listen_args)
        await client.register_plugin(Drain())
        yield DaskCluster(client, server.address)
    finally:
        await server.close()
        with suppress(OSError, ValueError):  # Dask ends so where the scheduler has gone, and perhaps is anew
            await client.close()
        if local is not None:
            await local.close()  # type: ignore[misc]  # None is for use without a loop


@contextmanager
def _kept_from(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Keep signals from processes that are started meanwhile; here they arrive after the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _security(distributed: Any, address: str, tls: TlsFiles) -> Any:
    """Return Dask's TLS configuration; our certificate serves for our client and our server."""
    given = [name for name in ("ca", "cert", "key") if getattr(tls, name) is not None]
    if address.startswith("tls://") != (len(given) == 3) or (given and len(given) != 3):
        raise UsageError(
            "a scheduler at tls:// needs --tls-ca, --tls-cert and --tls-key, and others take none of them"
        )
    if not given:
        return None
    files = {"tls_ca_file": tls.ca}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": tls.cert, f"tls_{role}_key": tls.key}
    return distributed.Security(require_encryption=True, **files)
