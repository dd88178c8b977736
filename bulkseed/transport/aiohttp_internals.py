"""The aiohttp internals that the raw transport relies on, and a check that they are unchanged."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_parser import HttpResponseParser

from bulkseed.transport.results import MAX_REPLY

SUPPORTED = ((3, 11), (3, 14))
"""First and last aiohttp version whose internals were tried with the raw transport."""

_HEAD = b"HTTP/1.1 201 A\r\nContent-Length: 2\r\nX-Y: z\r\n\r\n"


def new_parser(protocol: Any, loop: asyncio.AbstractEventLoop) -> HttpResponseParser:
    """Return aiohttp's C parser for replies."""
    return HttpResponseParser(protocol, loop, MAX_REPLY, read_until_eof=True, auto_decompress=False)


def incompatibility(version: str = aiohttp.__version__) -> str | None:
    """Say why the raw transport cannot be used here, or return None. Call it in a running event loop."""
    major_minor = tuple(int(part) for part in version.split(".")[:2])
    if not SUPPORTED[0] <= major_minor <= SUPPORTED[1]:
        return f"it was not tried with aiohttp {version}"
    try:
        return None if _internals_fit() else "aiohttp's internals have changed"
    except Exception as error:  # noqa: BLE001  # any surprise means that they have changed
        return f"aiohttp's internals have changed: {type(error).__name__}"


def _internals_fit() -> bool:
    loop = asyncio.get_running_loop()
    parser = new_parser(ResponseHandler(loop), loop)
    ((head, payload),), upgraded, _ = parser.feed_data(_HEAD + b"ok")
    return (
        type(parser).__module__ == "aiohttp._http_parser"  # the pure Python parser is slower than a session
        and (head.code, head.headers["x-y"], head.chunked, head.should_close) == (201, "z", False, False)
        and (payload.is_eof(), payload.read_nowait(), upgraded) == (True, b"ok", False)
        and list(inspect.signature(aiohttp.TCPConnector.connect).parameters)[1:]
        == ["req", "traces", "timeout"]
        and all(hasattr(Connection, name) for name in ("transport", "protocol", "close"))
        and hasattr(ResponseHandler, "connection_lost")
    )
