"""Starting the local KMS: for a block of code in this process, or as a service until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bulkseed.model import Target
from bulkseed.service.build import build_kms
from bulkseed.service.explorer.calls import Composer
from bulkseed.service.explorer.journal import Journal
from bulkseed.service.explorer.routes import explorer
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.databases import Databases, read_databases
from bulkseed.service.shell.faults import Hook, read_faults
from bulkseed.service.shell.group_commit import Gate
from bulkseed.service.shell.http_server import http_server


@asynccontextmanager
async def local_service(
    options: ServiceOptions | None = None, *, hook: Hook | None = None
) -> AsyncIterator[Target]:
    """Run a local KMS on a loopback port and give a target on it.

    Without options it keeps everything in memory and forgets it at the end. `hook` is asked for every request
    whether to disturb it (`bulkseed.service.shell.faults`).

    Raises:
        UsageError: the options cannot be used.
    """
    async with _running(options or ServiceOptions(), hook) as (target, _):
        yield target


@asynccontextmanager
async def _running(
    options: ServiceOptions, hook: Hook | None = None
) -> AsyncIterator[tuple[Target, str | None]]:
    """Give the target and the explorer's address."""
    hook = hook or (read_faults(options.faults) if options.faults else None)
    databases = read_databases(options.rds) if options.rds else Databases({})
    kms, credentials = build_kms(options, databases.administrators)
    journal = Journal() if options.explorer else None
    gate = Gate(kms, hook, databases, note=journal.note if journal else None)
    try:
        async with http_server(gate, options) as endpoint, gate.ticking(), AsyncExitStack() as stack:
            page = None
            if journal:
                composer = Composer(endpoint, options.region, credentials)
                page = await stack.enter_async_context(explorer(gate, kms, journal, composer))
            target = Target(
                endpoint=endpoint,
                region=options.region,
                credentials=credentials,
                ca_file=str(options.tls_cert) if options.tls_cert else None,
            )
            yield target, page
    finally:
        kms.close()


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a service listens, once it does; `explorer` is the page's address with its token."""

    endpoint: str
    region: str
    access_key_id: str
    data_dir: str | None
    explorer: str | None


async def serve(options: ServiceOptions, on_ready: Callable[[Ready], None]) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` is called once, when requests are answered.

    Raises:
        UsageError: the options cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        async with _running(options) as (target, page):
            data_dir = str(options.data_dir) if options.data_dir else None
            on_ready(Ready(target.endpoint, target.region, options.access_key_id, data_dir, page))
            await stop.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
