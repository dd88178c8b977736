"""The HTTP shell: aiohttp's low-level server in front of a gate.

Older clients send a value in the URL, percent-encoded: a request line of 92 KB, which is why the line limit
is raised (SDK up to 3.3.0).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
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
        _handler(gate),
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
        await runner.cleanup()


class _Server(web.Server):
    """Receives in pieces of 64 KiB.

    asyncio's own 256 KiB cost a memory mapping for each receive: an eighth of the time of a request.
    """

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        if hasattr(transport, "max_size"):  # asyncio's selector transport; uvloop's has none
            transport.max_size = 64 * 1024
        super().connection_made(handler, transport)


def _handler(gate: Gate):  # type: ignore[no-untyped-def]  # aiohttp does not export the handler's type
    async def handle(incoming: web.BaseRequest) -> web.Response:
        path, _, query = incoming.raw_path.partition("?")
        if path == "/healthz":
            return web.Response(text="ok")
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
