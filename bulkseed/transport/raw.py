"""The transport for speed: aiohttp's connections and C parser, without its request and response objects.

`aiohttp.TCPConnector` makes the connections (names, addresses, TLS). Each carries one request at a time, as
one write, and its replies go through aiohttp's C parser. The calls below `ClientSession` are not documented
API, so `incompatibility` checks the version and tries them, and `bulkseed.transport.choose` falls back in
doubt.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage

from bulkseed.model import NoReply
from bulkseed.transport.aiohttp_internals import new_parser, reads_heads_alone
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, KEEP_ALIVE, Endpoint
from bulkseed.transport.results import MAX_REPLY, TOO_LARGE, no_answer, not_connected, to_response
from bulkseed.wire.message import Request, Response


class RawTransport:
    """Carries requests over connections of its own; an async context manager.

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
        self.links: set[_Link] = set()
        self._connect_timeout = min(connect_timeout, timeout)
        self._free_slots = connections  # a number, and not a semaphore: nearly always nobody waits
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: list[_Link] = []
        self._unwritten: list[_Link] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.reads_heads_alone = reads_heads_alone(self._loop)
        tls = self.endpoint.tls or True
        self._connector = aiohttp.TCPConnector(limit=0, ssl=tls)
        self._connect_request = ClientRequest("POST", self.endpoint.url, loop=self._loop, ssl=tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for link in tuple(self.links):
            link.close()
        await self._connector.close()

    async def send(self, request: Request, on_write: Callable[[], None]) -> Response | NoReply:
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
            link = self._idle_link()
            if link is None:
                try:
                    link = await self._new_link(deadline)
                except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
                    return not_connected(error, self.endpoint, self._connect_timeout)
            try:
                answer = await link.exchange(data, deadline, on_write)
            except BaseException:  # cancelled: the reply to come belongs to nobody
                link.close()
                raise
            if link.reusable:
                link.idle_since = self._loop.time()
                self._idle.append(link)
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

    def queue(self, link: _Link) -> None:
        """Have the link's request written at the end of this turn of the loop, with all others of the turn.

        One write right after the other costs less than each by itself: the other end is woken once.
        """
        if not self._unwritten:
            self._loop.call_soon(self._write_all)
        self._unwritten.append(link)

    def _write_all(self) -> None:
        links, self._unwritten = self._unwritten, []
        for link in links:
            link.write()

    def _idle_link(self) -> _Link | None:
        """Return the connection used last, so that those not needed grow old and close."""
        while self._idle:
            link = self._idle.pop()
            if not link.transport.is_closing():
                if self._loop.time() - link.idle_since < KEEP_ALIVE:
                    return link
                link.close()
        return None

    async def _new_link(self, deadline: float) -> _Link:
        timeout = aiohttp.ClientTimeout(sock_connect=self._connect_timeout)
        async with asyncio.timeout_at(deadline):
            connection = await self._connector.connect(self._connect_request, [], timeout)
        link = _Link(connection, self)
        self.links.add(link)
        return link

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
        waiting = [link for link in self.links if link.waiter is not None]
        for link in waiting:
            if link.deadline <= now:
                link.give_up(no_answer(TimeoutError(), self.endpoint, self.timeout))
        self._timer = None
        deadlines = [link.deadline for link in waiting if link.waiter is not None]
        if deadlines:
            self.watch(min(deadlines))


class _Link(asyncio.Protocol):
    """One connection. It takes the place of aiohttp's protocol, which still hears of the connection's end."""

    _reading_paused = False  # the parser's streams ask; see pause_reading

    def __init__(self, connection: Connection, owner: RawTransport) -> None:
        transport, handler = connection.transport, connection.protocol
        if transport is None or handler is None:
            connection.close()
            raise aiohttp.ServerDisconnectedError
        if hasattr(transport, "max_size"):
            # asyncio asks for 256 KiB at every receive, which costs three memory-mapping calls each time
            transport.max_size = 1 << 16
        transport.set_protocol(self)
        self.transport = transport
        self.waiter: asyncio.Future[Response | NoReply] | None = None
        self.reusable = False
        self.deadline = 0.0
        self.idle_since = 0.0
        self._connection = connection
        self._handler = handler
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._parser = new_parser(self, self._loop)
        self._head_parser: HttpResponseParser | None = None
        if owner.reads_heads_alone:
            self._head_parser = new_parser(self, self._loop, with_body=False)
        self._replies: list[tuple[RawResponseMessage, aiohttp.StreamReader]] = []
        self._request: tuple[bytes, Callable[[], None]] | None = None  # not yet written
        self._received = 0
        self._body_received = 0

    def exchange(
        self, data: bytes, deadline: float, on_write: Callable[[], None]
    ) -> asyncio.Future[Response | NoReply]:
        """Send a request; the future brings what comes of it."""
        self.waiter = waiter = self._loop.create_future()
        self.deadline = deadline
        self.reusable = False
        self._replies = []
        self._received = 0
        self._request = data, on_write
        self._owner.queue(self)
        self._owner.watch(deadline)
        return waiter

    def write(self) -> None:
        """Write the request, unless the connection has ended meanwhile: `connection_lost` says so then."""
        if self._request is not None and not self.transport.is_closing():
            (data, on_write), self._request = self._request, None
            on_write()
            self.transport.write(data)

    def close(self) -> None:
        """Close at once; `connection_lost` tidies up."""
        self.transport.abort()

    def give_up(self, lost: NoReply) -> None:
        """Settle with `lost`, and close: what still arrives must not be taken for the next reply."""
        self._settle(lost)
        self.close()

    def _settle(self, answer: Response | NoReply) -> None:
        waiter, self.waiter = self.waiter, None
        if self._request is not None:
            self._request = None
            if isinstance(answer, NoReply):
                answer = replace(answer, maybe_applied=False)
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _no_answer(self, error: BaseException | None) -> NoReply:
        return no_answer(error, self._owner.endpoint, self._owner.timeout)

    def data_received(self, data: bytes) -> None:
        if self.waiter is None or self._request is not None:
            self.close()  # nobody asked for it
            return
        if self._head_parser is not None and not self._received and self._take_whole(data, self._head_parser):
            return
        self._received += len(data)
        if self._received > MAX_REPLY:
            self.give_up(TOO_LARGE)
            return
        try:
            messages, _, _ = self._parser.feed_data(data)
            self._take(messages, data)
        except Exception as error:  # noqa: BLE001 - whatever hostile bytes make the parser raise
            self.give_up(self._no_answer(error))

    def _take_whole(self, data: bytes, parser: HttpResponseParser) -> bool:
        """Settle with the reply that `data` consists of, if it is one that says its length: nearly all are.

        It costs a third less without aiohttp's stream for the body. All others are for the other parser.
        """
        end = data.find(b"\n\r\n") + 3
        head_data = data[:end]
        if b"\n\n" in head_data:  # ends earlier, as aiohttp reads it
            return False
        try:
            ((head, _),), _, _ = parser.feed_data(head_data)
            length = int(head.headers["content-length"])
        except Exception:  # noqa: BLE001 - the other parser will say what is wrong
            self._head_parser = None
            return False
        if len(data) != end + length or not (head.code == 200 or head.code >= 400):
            return False
        self.reusable = not head.should_close
        self._settle(to_response(head.code, head.headers, data[end:]))
        if not self.reusable:
            self.close()
        return True

    def _take(self, messages: Sequence[tuple[RawResponseMessage, aiohttp.StreamReader]], data: bytes) -> None:
        if self._replies:
            self._body_received += len(data)
        else:
            self._body_received = len(data) - data.find(b"\r\n\r\n") - 4
        for message in messages:
            if message[0].code >= 200 or message[0].code == 101:  # others only announce a reply
                self._replies.append(message)
        if self._replies and self._replies[0][1].is_eof():
            self._finish(data)

    def _finish(self, data: bytes) -> None:
        """Settle with the first reply. The connection lives on only if its bytes end where the reply ends."""
        (head, payload), *more = self._replies
        self._replies = []  # a value in the body must not stay while the connection idles
        body = payload.read_nowait()
        ends_here = data.endswith(b"\r\n\r\n") if head.chunked else self._body_received == len(body)
        self.reusable = ends_here and not more and not head.should_close
        self._settle(to_response(head.code, head.headers, body))
        if not self.reusable:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)
        self._owner.links.discard(self)
        self._handler.connection_lost(error)  # the connector waits for it when it closes
        self._connection.close()

    def _end(self, error: Exception | None) -> None:
        """Settle what is under way: a reply without a length ends with the connection, others break off."""
        if self.waiter is None:
            return
        if self._replies:
            if error is None:
                with suppress(Exception):  # the parser raises when more had to come
                    self._parser.feed_eof()
                    self._finish(b"")
            error = aiohttp.ClientPayloadError()
        self._settle(self._no_answer(error))

    def pause_reading(self) -> None:
        """Do nothing. The parser's streams ask for it; replies are capped, so reading never pauses."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """See `pause_reading`."""


def _to_bytes(request: Request) -> bytes:
    target = f"{request.path}?{request.query}" if request.query else request.path
    given = target + "".join(request.headers.values())
    if "\n" in given or "\r" in given:
        raise ValueError("a header or the query holds a line break")
    fields = "\r\n".join(map(": ".join, request.headers.items()))
    head = f"{request.method} {target} HTTP/1.1\r\n{fields}\r\ncontent-length: {len(request.body)}\r\n\r\n"
    return head.encode() + request.body
