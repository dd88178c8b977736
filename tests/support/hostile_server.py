"""A server on a raw socket that does to each connection what a script says, however rude."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from bulkseed.wire.message import Request

REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

GONE = (OSError, RuntimeError)
"""What asyncio and uvloop raise for a connection that the client has closed."""

STUCK = Request("POST", "", {"host": "kms.example"}, b"stuck")

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(
        self, server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self.number = server.connections
        """Which connection this is, counted from 1."""

    async def read_request(self) -> bytes | None:
        """Return the next request as it was sent, or None when the client has closed."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            request = head + await self._reader.readexactly(int(fields[b"content-length"]))
        except (asyncio.IncompleteReadError, *GONE):
            return None
        await self._server.note(request=request)
        return request

    async def send(self, *parts: bytes) -> None:
        """Send `parts`, each as a segment of its own as far as the kernel allows."""
        for part in parts:
            with contextlib.suppress(*GONE):
                self._writer.write(part)
                await self._writer.drain()
            await turns()

    async def reply(self, *parts: bytes) -> bool:
        """Read a request and send `parts` for it; False when the client has closed."""
        if await self.read_request() is None:
            return False
        await self.send(*parts)
        return True

    def half_close(self) -> None:
        """Say that nothing more will be sent, and stay open for reading."""
        with contextlib.suppress(*GONE):
            self._writer.write_eof()

    def reset(self) -> None:
        """Send RST instead of FIN."""
        with contextlib.suppress(AttributeError, *GONE):  # uvloop has no socket then
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def drip(self) -> bool:
        """Send a byte every 10 ms until the client closes; False then."""
        try:
            self._writer.write(b"x")
            return bool(await asyncio.wait_for(self._reader.read(1), 0.01))
        except TimeoutError:
            return True
        except GONE:
            return False

    async def until_closed(self) -> None:
        """Wait in silence until the client closes."""
        with contextlib.suppress(*GONE):
            while await self._reader.read(1 << 16):
                pass


class HostileServer:
    """What the server saw, and where it is."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.requests: list[bytes] = []
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """Address for plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    async def all_closed(self) -> None:
        """Wait until every connection is closed and the client can have seen it."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.open == 0)
        await turns()

    async def asked(self) -> None:
        """Wait until a request has arrived."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self.requests))

    async def note(self, opened: int = 0, request: bytes | None = None) -> None:
        """Note that a connection was opened (1) or closed (-1), or a request arrived."""
        async with self._changed:
            self.connections += opened > 0
            self.open += opened
            self.most_open = max(self.most_open, self.open)
            if request is not None:
                self.requests.append(request)
            self._changed.notify_all()


async def answering(peer: Peer) -> None:
    """Script: answer every request with `REPLY`."""
    while await peer.reply(REPLY):
        pass


async def silent(peer: Peer) -> None:
    """Script: read a request and say nothing."""
    await peer.read_request()
    await peer.until_closed()


async def answering_unless_stuck(peer: Peer) -> None:
    """Script: answer every request but `STUCK`."""
    while request := await peer.read_request():
        if request.endswith(STUCK.body):
            await peer.until_closed()
        await peer.send(REPLY)


def with_length(body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n") -> bytes:
    """Return a reply with `body`, its length, and the lines of `head`."""
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@contextlib.asynccontextmanager
async def hostile_server(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[HostileServer]:
    """Serve `script` on a free port of 127.0.0.1; the connection is closed when the script returns."""
    server = HostileServer()
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # a callback of asyncio runs in a task
        writers.add(writer)
        await server.note(opened=1)
        # A handler that is cancelled, as the server closes, must not end so: asyncio would report it.
        with contextlib.suppress(asyncio.CancelledError):
            await script(Peer(server, reader, writer))
        writer.close()
        with contextlib.suppress(asyncio.CancelledError, *GONE):
            await writer.wait_closed()
        await server.note(opened=-1)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await end_all(tasks, writers)


async def end_all(tasks: set[asyncio.Task[None]], writers: set[asyncio.StreamWriter]) -> None:
    """End the handlers of a server, and every connection they have."""
    for writer in writers:
        writer.transport.abort()
    await turns()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await turns()


async def turns(count: int = 8) -> None:
    """Let the event loop turn, so that what is on a loopback socket is seen."""
    for _ in range(count):
        await asyncio.sleep(0)
