"""The HTTP shell: aiohttp's low-level server in front of a `Gate`.

A plain request that arrives whole is answered at once, without aiohttp's messages, tasks and responses: they
cost more than the service itself. From the first other request on, a connection is aiohttp's for good.

Older clients send a value in the URL, percent-encoded: a request line of 92 KB, which is why the line limit
is raised (SDK up to 3.3.0).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge
from aiohttp.web_protocol import RequestHandler

from bulkseed.errors import UsageError
from bulkseed.service.kms import body_too_large
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.group_commit import Gate
from bulkseed.wire.fault import respond
from bulkseed.wire.message import Request, Response

LINE_LIMIT = 256 * 1024
FIELD_LIMIT = 16 * 1024
SHUTDOWN_SECONDS = 5.0
HELD_LIMIT = 1 << 20
"""Bytes of requests that a client may send ahead of a reply before it is read no further."""
_SERVER = f"Server: {SERVER_SOFTWARE}\r\n\r\n"

# aiohttp's messages quote what clients sent, which may be a value: they go nowhere.
_silent = logging.getLogger(f"{__name__}.aiohttp")
_silent.disabled = True


@asynccontextmanager
async def http_server(gate: Gate, options: ServiceOptions) -> AsyncIterator[str]:
    """Serve `gate` over HTTP/1.1 and give the endpoint; at the end, requests in flight are finished.

    Raises:
        UsageError: the address is taken, or the certificate cannot be used.
    """
    context = _tls(options)
    server = _Server(
        gate,
        access_log=None,
        logger=_silent,
        max_line_size=LINE_LIMIT,
        max_field_size=FIELD_LIMIT,
        auto_decompress=False,
    )
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, ssl_context=context, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            hint = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
            raise UsageError(
                f"cannot listen on {options.host} port {options.port}: {error.strerror}{hint}"
            ) from None
        host, port = runner.addresses[0][:2]
        yield f"{'https' if context else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        gate.commit()  # whoever waits for this group gets an answer before the connections close
        await runner.cleanup()


class _Server(web.Server):
    """Receives in pieces of 64 KiB.

    asyncio's own 256 KiB cost a memory mapping for each receive: an eighth of the time of a request.
    """

    def __init__(self, gate: Gate, **options: Any) -> None:
        super().__init__(_handler(gate), **options)
        self._gate = gate
        self._options = options

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self._gate, self, asyncio.get_running_loop(), self._options)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        if hasattr(transport, "max_size"):  # asyncio's selector transport; uvloop's has none
            transport.max_size = 64 * 1024
        super().connection_made(handler, transport)


class _Connection(RequestHandler):
    """Answers plain requests at once, one after the other; everything else is aiohttp's."""

    __slots__ = ("_answering", "_gate", "_held", "_plain")

    def __init__(
        self, gate: Gate, server: web.Server, loop: asyncio.AbstractEventLoop, options: Mapping[str, Any]
    ) -> None:
        super().__init__(server, loop=loop, **options)
        self._gate = gate
        self._plain = True
        self._answering = False
        self._held = b""

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; what comes before a reply is out waits for it."""
        if self._answering:
            self._held += data
            if len(self._held) > HELD_LIMIT and self.transport is not None:
                self.transport.pause_reading()
            return
        if self._plain and self._gate.answer_soon(data, self._reply):
            self._answering = True
        else:
            self._plain = False
            super().data_received(data)

    def _reply(self, response: Response) -> None:
        self._answering = False
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(_as_bytes(response))
        if self._held:
            held, self._held = self._held, b""
            self.transport.resume_reading()
            self.data_received(held)


def _as_bytes(response: Response) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    fixed = f"Content-Length: {len(response.body)}\r\nDate: {rfc822_formatted_time()}\r\n{_SERVER}"
    return f"{_status_line(response.status)}{headers}{fixed}".encode() + response.body


@cache
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"


def _handler(gate: Gate):  # type: ignore[no-untyped-def]  # aiohttp does not export the handler's type
    async def handle(incoming: web.BaseRequest) -> web.Response:
        path, query = _target(incoming.raw_path)
        if path == "/healthz":
            return web.Response(text="ok")
        if (expected := incoming.headers.get("Expect", "").lower()) and incoming.version == HttpVersion11:
            if expected != "100-continue":
                return web.Response(status=417)
            if incoming.transport is not None and not incoming.content.total_bytes:
                incoming.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            body = await incoming.read()
        except HTTPRequestEntityTooLarge:
            return _render(respond(body_too_large()))
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        response = await gate.answer(Request(incoming.method, query, headers, body, path))
        if response is None:
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response()  # goes nowhere
        return _render(response)

    return handle


def _target(raw: str) -> tuple[str, str]:
    """Return path and query; a proxy's client names the whole address (RFC 9112, absolute-form)."""
    if raw[:7].lower() == "http://" or raw[:8].lower() == "https://":
        parts = urlsplit(raw)
        return parts.path or "/", parts.query
    path, _, query = raw.partition("?")
    return path, query


def _render(response: Response) -> web.Response:
    return web.Response(status=response.status, headers=response.headers, body=response.body)


def _tls(options: ServiceOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        return None
    # Not `create_default_context`: where SSLKEYLOGFILE is set, that writes the keys of every connection.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"cannot use the certificate {options.tls_cert}: {error}") from None
    return context
