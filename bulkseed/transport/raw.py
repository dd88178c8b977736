"""The transport for speed: aiohttp's connections and C parser, without its request and response objects.

`aiohttp.TCPConnector` makes the connections (names, addresses, TLS). Each carries one request at a time, as
one write; replies that are not plain go through aiohttp's C parser. The calls below `ClientSession` are not
documented API, so `incompatibility` checks the version and tries them, and `bulkseed.transport.choose` falls
back in doubt.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.client_reqrep import ClientRequest

from bulkseed.model import NoReply
from bulkseed.transport.connection import RawConnection
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, KEEP_ALIVE, Endpoint
from bulkseed.transport.results import CancelledAfterReplyError, no_answer, not_connected
from bulkseed.wire.message import Request, Response, WrittenRequest


class RawTransport:
    """Carries requests over connections of its own; an async context manager. Make it inside its event loop.

    Timeouts are in seconds: `connect_timeout` for TCP and TLS, `timeout` for the whole attempt.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connections: int,
        timeout: float = ATTEMPT_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self._loop = asyncio.get_running_loop()
        tls = endpoint.tls or True
        self._connector = aiohttp.TCPConnector(limit=0, ssl=tls)
        self._connect_request = ClientRequest("POST", endpoint.url, loop=self._loop, ssl=tls)
        self.connections: set[RawConnection] = set()
        self._connect_timeout = min(connect_timeout, timeout)
        self._free_slots = connections  # a number, and not a semaphore: nearly always nobody waits
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: list[RawConnection] = []
        self._unwritten: list[RawConnection] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self.connections):
            connection.close()
        await self._connector.close()

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Carry `request`; see `bulkseed.wire.message.Transport`."""
        data = _to_bytes(request)
        deadline = self._loop.time() + self.timeout
        if self._free_slots:
            self._free_slots -= 1
        else:
            try:
                await self._wait_for_slot(deadline)
            except TimeoutError as error:
                return not_connected(error, self.endpoint, self.timeout)
        try:
            connection = self._idle_connection()
            if connection is None:
                try:
                    connection = await self._new_connection(deadline)
                except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
                    return not_connected(error, self.endpoint, self._connect_timeout)
            exchange = connection.exchange(data, deadline, on_write)
            try:
                answer = await exchange
            except BaseException as error:  # cancelled: the reply to come belongs to nobody
                connection.close()
                if exchange.done() and not exchange.cancelled():  # but this one has come
                    raise CancelledAfterReplyError(exchange.result()) from error
                raise
            if connection.reusable:
                connection.idle_since = self._loop.time()
                self._idle.append(connection)
            return answer
        finally:
            self._give_back_slot()

    async def _wait_for_slot(self, deadline: float) -> None:
        slot = self._loop.create_future()
        self._waiting.append(slot)
        try:
            async with asyncio.timeout_at(deadline):
                await slot
        except BaseException:
            if slot.done() and not slot.cancelled():  # it came at the same moment
                self._give_back_slot()
            raise

    def _give_back_slot(self) -> None:
        while self._waiting:
            slot = self._waiting.popleft()
            if not slot.done():
                slot.set_result(None)
                return
        self._free_slots += 1

    def queue(self, connection: RawConnection) -> None:
        """Have the connection's request written at the end of this turn of the loop.

        All of a turn are written then. One write right after the other costs less than each by itself: the
        other end is woken once.
        """
        if not self._unwritten:
            self._loop.call_soon(self._write_all)
        self._unwritten.append(connection)

    def _write_all(self) -> None:
        queued, self._unwritten = self._unwritten, []
        for connection in queued:
            connection.write()

    def _idle_connection(self) -> RawConnection | None:
        """Return the connection used last, so that those not needed grow old and close."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                if self._loop.time() - connection.idle_since < KEEP_ALIVE:
                    return connection
                connection.close()
        return None

    async def _new_connection(self, deadline: float) -> RawConnection:
        timeout = aiohttp.ClientTimeout(sock_connect=self._connect_timeout)
        async with asyncio.timeout_at(deadline):
            connected = await self._connector.connect(self._connect_request, [], timeout)
        connection = RawConnection(connected, self)
        self.connections.add(connection)
        return connection

    def ended(self, connection: RawConnection) -> None:
        """Forget a connection that is closed."""
        self.connections.discard(connection)

    def watch(self, deadline: float) -> None:
        """See to it that `deadline` is kept, with one timer for all connections.

        It is set anew only by an attempt that took long to connect; others end later than those before them.
        """
        if self._timer is not None:
            if self._due <= deadline:
                return
            self._timer.cancel()
        self._due = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        now = self._loop.time()
        waiting = [connection for connection in self.connections if connection.waiter is not None]
        for connection in waiting:
            if connection.deadline <= now:
                connection.give_up(no_answer(TimeoutError(), self.endpoint, self.timeout))
        self._timer = None
        deadlines = [connection.deadline for connection in waiting if connection.waiter is not None]
        if deadlines:
            self.watch(min(deadlines))


def _to_bytes(request: Request) -> bytes:
    if isinstance(request, WrittenRequest) and request.head:
        return request.head.encode() + request.body
    target = f"{request.path}?{request.query}" if request.query else request.path
    given = target + "".join(request.headers.values())
    if "\n" in given or "\r" in given:
        raise ValueError("a header or the query holds a line break")
    fields = "\r\n".join(map(": ".join, request.headers.items()))
    head = f"{request.method} {target} HTTP/1.1\r\n{fields}\r\ncontent-length: {len(request.body)}\r\n\r\n"
    return head.encode() + request.body
