"""Chooses the transport for an endpoint."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bulkseed.transport.aiohttp_session import SessionTransport
from bulkseed.transport.endpoint import ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, Endpoint, parse_endpoint
from bulkseed.wire.message import Transport

if TYPE_CHECKING:
    from bulkseed.transport.raw import RawTransport

_LOG = logging.getLogger("bulkseed.transport")


@asynccontextmanager
async def open_transport(
    endpoint: str,
    *,
    connections: int,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109  # of each attempt, not of opening
    connect_timeout: float = CONNECT_TIMEOUT,
    ca_file: str | None = None,
) -> AsyncIterator[Transport]:
    """Open a transport to `endpoint` (``https://host[:port]``) with at most `connections` connections.

    Raises:
        UsageError: the endpoint, the CA file or the environment's proxy makes no sense.
    """
    where = parse_endpoint(endpoint, ca_file)
    kind, why = _choose(where)
    _LOG.debug("transport: %s%s", kind.__name__, why)
    async with kind(
        where, connections=connections, timeout=timeout, connect_timeout=connect_timeout
    ) as transport:
        yield transport


def open_raw(
    where: Endpoint, *, connections: int, timeout: float, connect_timeout: float
) -> RawTransport | None:
    """Return the transport that carries requests of every method, each once; None: none such works here.

    Call it in its event loop, and close it as a context manager.
    """
    kind, _ = _choose(where)
    if issubclass(kind, SessionTransport):
        return None
    return kind(where, connections=connections, timeout=timeout, connect_timeout=connect_timeout)


def _choose(endpoint: Endpoint) -> tuple[type[SessionTransport | RawTransport], str]:
    if endpoint.proxy is not None:
        return SessionTransport, ", as a proxy applies"
    try:
        from bulkseed.transport.aiohttp_internals import incompatibility
        from bulkseed.transport.raw import RawTransport
    except ImportError:
        return SessionTransport, ", as aiohttp's internals have moved"
    if why := incompatibility():
        return SessionTransport, f", as {why}"
    return RawTransport, ""
