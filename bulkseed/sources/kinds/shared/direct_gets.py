"""GETs of a source over the product's own transport: no thread, a tenth of the time that `requests` takes.

The vendor's library logs in and decides what is trusted. Where something else than a plain answer is needed
(a proxy, a redirect, a new token), the caller asks again through the library.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

import requests
from requests.utils import select_proxy
from yarl import URL

from bulkseed.model import NoReply
from bulkseed.sources.kinds.shared.tls import keyless_context
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.protocol import TIMEOUT, SourceFault, retry_after
from bulkseed.transport.choose import open_raw
from bulkseed.transport.endpoint import Endpoint
from bulkseed.transport.raw import RawTransport
from bulkseed.transport.results import TOO_LARGE
from bulkseed.wire.message import Request, Response

CONNECT_TIMEOUT = 10.0
"""Seconds for TCP and TLS."""

Files = str | tuple[str, str] | None
"""A client's certificate and key, as `requests` takes them."""


class DirectGets:
    """Sends each GET in its turn of the pacer. Belongs to the pacer's loop."""

    def __init__(self, transport: RawTransport, pacer: SourcePacer, below: str) -> None:
        self._transport = transport
        self._below = below
        self._host = transport.endpoint.address
        self._pacer = pacer

    @classmethod
    async def open(
        cls, session: requests.Session, address: str, pacer: SourcePacer, *, connections: int, cert: Files
    ) -> Self | None:
        """Return what sends to an address as `session` would; None where only the session can."""
        found = session.merge_environment_settings(address, {}, False, session.verify, cert)
        if select_proxy(address, found["proxies"]):
            return None
        url = URL(address)
        tls = _context(found["verify"], cert) if url.scheme == "https" else None
        transport = open_raw(
            Endpoint(url.origin(), tls, None),
            connections=connections,
            timeout=TIMEOUT,
            connect_timeout=CONNECT_TIMEOUT,
        )
        return cls(transport, pacer, url.raw_path.rstrip("/")) if transport else None

    async def get(self, target: str, headers: dict[str, str]) -> Response | SourceFault | None:
        """Send one request; `target` is a path below the address and a query, encoded.

        None: the answer is larger than the transport takes.
        """
        path, _, query = target.partition("?")
        request = Request("GET", query, {"host": self._host, **headers}, b"", self._below + path)
        async with self._pacer.turn_in_loop() as turn:
            answer = await self._transport.send(request, _granted)
            if isinstance(answer, Response):
                turn.answered(throttled=answer.status == 429, retry_after=retry_after(answer.headers))
                return answer
        return None if answer == TOO_LARGE else _fault_of(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.__aexit__(None, None, None)


def _granted() -> bool:
    """Let a request be written: its turn counts from before that."""
    return True


def _fault_of(lost: NoReply) -> SourceFault:
    return SourceFault("Certificate") if lost.fatal else SourceFault("Unavailable", lost.reason)


def _context(verify: bool | str, cert: Files) -> ssl.SSLContext:
    """Return the rules by which `requests` would trust a server and show a certificate."""
    context = keyless_context()
    where = requests.certs.where() if verify is True else str(verify)
    context.load_verify_locations(**{"capath" if Path(where).is_dir() else "cafile": where})
    context.set_alpn_protocols(["http/1.1"])
    if cert:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context
