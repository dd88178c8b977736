"""What became of an attempt: raw replies to `Response`, errors to `NoReply`.

Both transports answer through this room, so they cannot disagree. Reasons are in our words and name host and
port; they never carry a URL, a header or a body.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import zlib

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from bulkseed.model import NoReply
from bulkseed.transport.endpoint import Endpoint
from bulkseed.wire.message import Response

MAX_REPLY = 1 << 20
"""Bytes of a reply. The largest value of the API is 30,720 bytes, so more is not the service."""

TOO_LARGE = NoReply("reply larger than 1 MiB", maybe_applied=True)
NOT_WRITTEN = NoReply("the right to send had ended", maybe_applied=False)


_NO_SUCH_HOST = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
"""What resolvers say of a name that is not there; of one that did not answer they say another thing."""


def to_response(status: int, headers: CIMultiDictProxy[str], body: bytes) -> Response | NoReply:
    """Build a `Response`, unpacking a body that is compressed although nobody asked for it."""
    if (coding := headers.get("content-encoding")) in ("gzip", "x-gzip", "deflate"):
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: either header, zlib's or gzip's
        try:
            body = unpack.decompress(body, MAX_REPLY + 1)
        except zlib.error:
            return NoReply(f"a reply that is not the {coding} it claims to be", maybe_applied=True)
        if len(body) > MAX_REPLY:
            return TOO_LARGE
    return Response(status, headers, body)


def not_connected(error: Exception, endpoint: Endpoint, connect_timeout: float) -> NoReply:
    """Say why no connection came about. Nothing was sent."""
    where = endpoint.address
    match error:
        case aiohttp.ClientConnectorCertificateError(
            certificate_error=ssl.SSLCertVerificationError() as cause
        ):
            why = cause.verify_message.rstrip(".")
            return NoReply(
                f"the certificate of {endpoint.host} does not verify: {why}", maybe_applied=False, fatal=True
            )
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as cause):
            reason = f"TLS with {where} failed: {cause.reason or 'handshake broken off'}"
        case aiohttp.ClientConnectorDNSError():
            reason = f"the name {error.host} cannot be resolved: {_errno_text(error.os_error)}"
            return NoReply(reason, maybe_applied=False, no_such_host=error.os_error.errno in _NO_SUCH_HOST)
        case aiohttp.ClientProxyConnectionError():
            reason = f"no connection to the proxy {error.host}:{error.port}: {_errno_text(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            reason = f"the proxy refuses to connect to {where}: status {error.status}"
        case TimeoutError():
            reason = f"no connection to {where} within {connect_timeout:g} s"
        case aiohttp.ServerDisconnectedError():
            reason = f"{where} did not wait for a request"
        case aiohttp.ClientConnectorError(os_error=cause):
            reason = f"no connection to {where}: {_errno_text(cause)}"
        case _:
            reason = f"no connection to {where}: {type(error).__name__}"
    return NoReply(reason, maybe_applied=False)


def no_answer(error: BaseException | None, endpoint: Endpoint, timeout: float) -> NoReply:
    """Say why a request that was written, at least in part, has no readable reply."""
    where = endpoint.address
    match error:
        case TimeoutError():
            reason = f"no complete reply from {where} within {timeout:g} s"
        case None | aiohttp.ServerDisconnectedError():
            reason = f"{where} closed the connection without a reply"
        case aiohttp.ClientPayloadError():
            reason = f"the reply of {where} broke off"
        case HttpProcessingError() | aiohttp.ClientResponseError():
            reason = f"the reply of {where} is not HTTP"
        case OSError():
            reason = f"the connection to {where} broke: {_errno_text(error)}"
        case _:
            reason = f"no reply from {where}: {type(error).__name__}"
    return NoReply(reason, maybe_applied=True)


def _errno_text(error: OSError) -> str:
    """Say what the number means; aiohttp writes the URL into some messages."""
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, socket.gaierror):
        return error.strerror or "unknown"
    return os.strerror(error.errno) if error.errno else "closed by the other end"


class CancelledAfterReplyError(asyncio.CancelledError):
    """The task was cancelled in the turn of the loop in which its reply came.

    `reply` is that reply, and `answer` what it means, once somebody has read it.
    """

    def __init__(self, reply: Response | NoReply) -> None:
        super().__init__()
        self.reply = reply
        self.answer: object = None
