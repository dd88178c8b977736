"""Chooses the transport for an endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bulkseed.engine.endpoint import ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, parse_endpoint
from bulkseed.engine.session_transport import SessionTransport
from bulkseed.wire.message import Transport


@asynccontextmanager
async def open_transport(
    endpoint: str,
    *,
    connections: int,
    timeout: float = ATTEMPT_TIMEOUT,  # noqa: ASYNC109 - of each attempt, not of opening
    connect_timeout: float = CONNECT_TIMEOUT,
    ca_file: str | None = None,
) -> AsyncIterator[Transport]:
    """Open a transport to `endpoint` (``https://host[:port]``) with at most `connections` connections.

    Raises:
        UsageError: the endpoint, the CA file or the environment's proxy makes no sense.
    """
    where = parse_endpoint(endpoint, ca_file)
    session = SessionTransport(
        where, connections=connections, timeout=timeout, connect_timeout=connect_timeout
    )
    async with session as transport:
        yield transport
