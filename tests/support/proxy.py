"""A forward proxy for tests: takes absolute URLs and CONNECT; every name leads to one port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from support.hostile_server import GONE, end_all


class Proxy:
    """What the proxy was asked, and where it is."""

    def __init__(self) -> None:
        self.port = 0
        self.heads: list[bytes] = []

    @property
    def url(self) -> str:
        """Value for HTTP_PROXY and HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def forward_proxy(behind: int, connect_status: bytes = b"200 OK") -> AsyncIterator[Proxy]:
    """Serve as a proxy to port `behind`; CONNECT is answered with `connect_status`."""
    proxy = Proxy()
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # a callback of asyncio runs in a task
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            await forward(reader, writer)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        proxy.heads.append(head)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", behind)
        writers.update((writer, far_writer))
        if not head.startswith(b"CONNECT "):
            far_writer.write(head)
        else:
            writer.write(b"HTTP/1.1 " + connect_status + b"\r\n\r\n")
            if not connect_status.startswith(b"200"):
                far_writer.close()
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        for end in (writer, far_writer):
            with contextlib.suppress(*GONE):
                await end.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await end_all(tasks, writers)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*GONE):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()
