"""Load for the local KMS: requests signed beforehand, sent over many connections without a pause.

Signing and reading a manifest cost a client more than the service spends on a request; this one only copies
bytes, so that it is not the limit.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from bulkseed.model import Credentials, SecretValue
from bulkseed.wire.message import Call, Request
from bulkseed.wire.signing.verify import SIGNATURES

CONNECTIONS = 64
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
_NONCES = (f"{number:032x}" for number in itertools.count(time.time_ns()))


def signed(calls: list[Call], endpoint: str, key: tuple[str, str], signature: str = "acs3") -> list[bytes]:
    """Return the calls as bytes to send; they are good for 15 minutes."""
    credentials = Credentials(key[0], SecretValue(key[1]))
    signer = SIGNATURES[signature](urlsplit(endpoint).netloc, credentials)
    now = time.time()
    return [_as_bytes(signer.sign(call, now, next(_NONCES))) for call in calls]


def _as_bytes(request: Request) -> bytes:
    headers = request.headers | {"content-length": str(len(request.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /?{request.query} HTTP/1.1\r\n{lines}\r\n".encode() + request.body


def blast(endpoint: str, requests: list[bytes]) -> tuple[float, Counter[bytes]]:
    """Send everything; return the seconds that it took and how many replies had which status."""
    return asyncio.run(_blast(endpoint, requests))


async def _blast(endpoint: str, requests: list[bytes]) -> tuple[float, Counter[bytes]]:
    parts = urlsplit(endpoint)
    loop = asyncio.get_running_loop()
    rest, statuses = iter(requests), Counter[bytes]()
    done = loop.create_future()
    connections = [_Connection(rest, statuses, len(requests), done) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for connection in connections:
        await loop.create_connection(lambda it=connection: it, str(parts.hostname), parts.port or 80)  # type: ignore[misc]  # mypy cannot see a default's type
    await done
    return time.perf_counter() - began, statuses


class _Connection(asyncio.Protocol):
    """Sends one request after the other, each when the reply before it is whole."""

    def __init__(
        self, rest: Iterator[bytes], statuses: Counter[bytes], total: int, done: asyncio.Future[None]
    ) -> None:
        self._rest = rest
        self._statuses = statuses
        self._total = total
        self._done = done
        self._reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._reply += data
        head, end, body = self._reply.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        self._statuses[head[9:12]] += 1
        self._reply = b""
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the service closed a connection"))

    def _next(self) -> None:
        request = next(self._rest, None)
        if request is not None:
            self._transport.write(request)  # type: ignore[attr-defined]  # a TCP transport
        elif self._statuses.total() == self._total and not self._done.done():
            self._done.set_result(None)
