"""One connection of the raw transport: a request at a time, as one write, and its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_parser import RawResponseMessage

from bulkseed.model import NoReply
from bulkseed.transport.aiohttp_internals import new_parser
from bulkseed.transport.endpoint import Endpoint
from bulkseed.transport.plain_reply import read_plain
from bulkseed.transport.results import MAX_REPLY, NOT_WRITTEN, TOO_LARGE, no_answer, to_response
from bulkseed.transport.round_trip import fastest_round_trip
from bulkseed.wire.message import Response

FRESH = 0.1
"""Seconds for which a round trip that the kernel told is believed: without a ceiling, asking takes a
twentieth of the time that a request takes."""


class ConnectionOwner(Protocol):
    """What a connection asks of its transport."""

    endpoint: Endpoint
    timeout: float

    def queue(self, connection: RawConnection) -> None:
        """Have the connection's request written at the end of this turn of the loop."""
        ...

    def watch(self, deadline: float) -> None:
        """Give up, when `deadline` has come, what should have been answered."""
        ...

    def ended(self, connection: RawConnection) -> None:
        """Forget a connection that is closed."""
        ...


class RawConnection(asyncio.Protocol):
    """One connection. It replaces aiohttp's protocol object, and tells that one when the connection ends."""

    _reading_paused = False  # the parser's streams ask; see pause_reading

    def __init__(self, connection: Connection, owner: ConnectionOwner) -> None:
        transport, handler = connection.transport, connection.protocol
        if transport is None or handler is None or handler.should_close:  # it has bytes that nobody asked for
            connection.close()
            raise aiohttp.ServerDisconnectedError
        if hasattr(transport, "max_size"):
            # asyncio asks for 256 KiB at every receive, which costs three memory-mapping calls each time
            # (measured). The attribute is asyncio's own: without it nothing is slower than asyncio is.
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
        self._replies: list[tuple[RawResponseMessage, aiohttp.StreamReader]] = []
        self._request: tuple[bytes, Callable[[], bool]] | None = None  # not yet written
        self._received = 0
        self._body_received = 0
        self._round_trip = fastest_round_trip(transport)
        self._round_trip_until = 0.0

    def exchange(
        self, data: bytes, deadline: float, on_write: Callable[[], bool]
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
            data, on_write = self._request
            if not on_write():
                self.give_up(NOT_WRITTEN)
                return
            self._request = None
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
        if isinstance(answer, Response):
            if (now := self._loop.time()) >= self._round_trip_until:
                self._round_trip = fastest_round_trip(self.transport) or self._round_trip
                self._round_trip_until = now + FRESH
            answer.round_trip = self._round_trip
        if self._request is not None:
            self._request = None
            if isinstance(answer, NoReply):
                answer = replace(answer, maybe_applied=False)
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _no_answer(self, error: BaseException | None) -> NoReply:
        return no_answer(error, self._owner.endpoint, self._owner.timeout)

    def data_received(self, data: bytes) -> None:
        """Take a part of a reply."""
        if self.waiter is None or self._request is not None:
            self.close()  # nobody asked for it
            return
        if not self._received and (plain := read_plain(data)) is not None:
            self.reusable = True
            self._settle(plain)
            return
        self._received += len(data)
        if self._received > MAX_REPLY:
            self.give_up(TOO_LARGE)
            return
        try:
            messages, _, _ = self._parser.feed_data(data)
            self._take(messages, data)
        except Exception as error:  # noqa: BLE001  # whatever hostile bytes make the parser raise
            self.give_up(self._no_answer(error))

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
        """Settle what is under way, and let everybody forget this connection."""
        self._end(error)
        self._owner.ended(self)
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
