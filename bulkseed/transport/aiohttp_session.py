"""The transport on aiohttp's public API: it works with any aiohttp and through proxies.

aiohttp repeats an idempotent request by itself when a kept connection turns out to be closed. POST is not
idempotent, and every request of this API is a POST. Any other method is refused here, because a request that
is sent twice would be counted once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from bulkseed.model import NoReply
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, KEEP_ALIVE, Endpoint
from bulkseed.transport.results import (
    MAX_REPLY,
    NOT_WRITTEN,
    TOO_LARGE,
    no_answer,
    not_connected,
    to_response,
)
from bulkseed.transport.round_trip import fastest_round_trip
from bulkseed.wire.message import Request, Response

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class SessionTransport:
    """Carries requests over one `aiohttp.ClientSession`; an async context manager.

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
        self._endpoint = endpoint
        self._base = str(endpoint.url)
        self._connections = connections
        self._timeout = timeout
        self._connect_timeout = connect_timeout

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=self._connections,
                ssl=self._endpoint.tls or True,
                keepalive_timeout=KEEP_ALIVE,
            ),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=self._connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTO_HEADERS,
            trace_configs=[_trace_of_writes()],
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Carry `request`; see `bulkseed.wire.message.Transport`."""
        if request.method != "POST":
            raise ValueError("only POST requests are sent")
        write = _Write(on_write, with_body=bool(request.body))
        _CONNECTING.set(write)
        target = f"{request.path}?{request.query}" if request.query else request.path
        try:
            async with self._session.post(
                # encoded: yarl would turn %3A %2A %2F %7E into characters, and the signature covers the bytes
                URL(self._base + target, encoded=True),
                data=request.body or None,
                headers=request.headers,
                allow_redirects=False,
                proxy=self._endpoint.proxy,
                trace_request_ctx=write,
            ) as reply:
                body = await _read(reply.content)
                if not write.done:
                    return NoReply("a reply came before the request was sent", maybe_applied=False)
                if body is None:
                    return TOO_LARGE
                response = to_response(reply.status, reply.headers, body)
                if isinstance(response, Response):
                    response.round_trip = write.round_trip()
                return response
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            if write.refused:
                return NOT_WRITTEN
            if write.done:
                return no_answer(error, self._endpoint, self._timeout)
            return not_connected(error, self._endpoint, min(self._connect_timeout, self._timeout))


class _Connector(aiohttp.TCPConnector):
    """Refuses a connection that holds bytes nobody asked for: aiohttp would take them for the reply."""

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        connection = await super().connect(*args, **kwargs)
        if getattr(connection.protocol, "should_close", False):
            connection.close()
            raise aiohttp.ServerDisconnectedError
        _CONNECTING.get().connected(connection.transport)
        return connection


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    """Read the body to its end, or return None when it is larger than a reply may be."""
    body = await content.readany()
    while not content.at_eof():
        if len(body) > MAX_REPLY:
            return None
        body += await content.readany()
    return body if len(body) <= MAX_REPLY else None


class _Write:
    """One request's `on_write`, whether it was called, and whether it said no."""

    __slots__ = ("_at_first", "_transport", "done", "on_write", "refused", "with_body")

    def __init__(self, on_write: Callable[[], bool], *, with_body: bool) -> None:
        self.on_write = on_write
        self.with_body = with_body
        self.done = self.refused = False
        self._transport: asyncio.BaseTransport | None = None
        self._at_first: float | None = None

    def connected(self, transport: asyncio.BaseTransport | None) -> None:
        """Take the connection that will carry the request."""
        self._transport = transport
        self._at_first = fastest_round_trip(transport)

    def round_trip(self) -> float | None:
        """Return the fastest that the kernel has seen, or had seen at first if it is closed now."""
        now = fastest_round_trip(self._transport)
        return self._at_first if now is None else now

    def now(self) -> None:
        if not self.on_write():
            self.refused = True
            raise ConnectionAbortedError  # keeps aiohttp from writing
        self.done = True


_CONNECTING: ContextVar[_Write] = ContextVar("_CONNECTING")
"""The request for which the running task makes or takes a connection."""


def _trace_of_writes() -> aiohttp.TraceConfig:
    """Call `on_write` where aiohttp writes.

    With a body, aiohttp holds the head back until the first chunk of the body, and says "chunk sent" right
    before it writes both; "headers sent" would come a turn of the loop earlier. Without a body, the head is
    written right after "headers sent".
    """

    async def headers_sent(
        _session: aiohttp.ClientSession, context: Any, _params: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        if not context.with_body:
            context.now()

    async def chunk_sent(
        _session: aiohttp.ClientSession, context: Any, _params: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        if not context.done:
            context.now()

    def context_of(trace_request_ctx: _Write) -> _Write:
        return trace_request_ctx

    trace = aiohttp.TraceConfig(context_of)  # type: ignore[arg-type]  # typed as SimpleNamespace, used as a call
    trace.on_request_headers_sent.append(headers_sent)
    trace.on_request_chunk_sent.append(chunk_sent)
    return trace
