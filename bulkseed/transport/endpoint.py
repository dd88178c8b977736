"""Where requests go: the endpoint's address, the TLS rules, and the proxy the environment asks for.

Certificates are verified, TLS is 1.2 or newer, and a CA file replaces the system's CAs. Plain ``http://`` is
for a local KMS; whether it is acceptable for a target is decided above.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from bulkseed.errors import UsageError

CONNECT_TIMEOUT = 5.0
"""Seconds for TCP and TLS together."""

ATTEMPT_TIMEOUT = 30.0
"""Seconds for one attempt, from waiting for a connection to the last byte of the reply."""

KEEP_ALIVE = 10.0
"""Seconds that a connection may idle: less than the 15 s after which common load balancers drop it."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """One service address; `tls` is None for plain HTTP, `proxy` is None without one."""

    url: URL
    tls: ssl.SSLContext | None
    proxy: URL | None

    @property
    def host(self) -> str:
        """Host name or address, without the port."""
        return self.url.raw_host or ""

    @property
    def address(self) -> str:
        """``host:port``, for messages and for the Host header when a request brings none."""
        return f"{self.url.host_subcomponent}:{self.url.port}"


def parse_endpoint(endpoint: str, ca_file: str | None = None) -> Endpoint:
    """Read ``https://host[:port]`` and prepare what every connection to it shares.

    Raises:
        UsageError: not such a URL, or the CA file cannot be used.
    """
    try:
        url = URL(endpoint)
        usable = url.scheme in ("http", "https") and url.host and url.port and url.raw_path in ("", "/")
        usable = usable and not (url.user or url.password or url.raw_query_string or url.raw_fragment)
        (url.raw_host or "").encode("idna")  # what resolving it does first
    except ValueError:  # UnicodeError is one
        usable = False
    if not usable:
        raise UsageError(f"the endpoint {endpoint!r} is not like https://host or https://host:port")
    return Endpoint(url.origin(), _tls(ca_file) if url.scheme == "https" else None, _proxy(url))


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(f"the CA file {ca_file!r} cannot be used: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy(url: URL) -> URL | None:
    """Return the proxy of the environment, looked up once.

    aiohttp's ``trust_env`` would look it up for every request in a thread, and read ``.netrc``, whose entries
    collide with the Authorization header that ACS3 puts in every request.
    """
    text = getproxies().get(url.scheme)
    if not text or proxy_bypass(f"{url.raw_host}:{url.port}"):
        return None
    if "//" not in text:
        text = f"http://{text}"
    try:
        proxy = URL(text)
        usable = proxy.scheme in ("http", "https") and proxy.host
    except ValueError:
        usable = None
    if not usable:
        raise UsageError(f"the {url.scheme} proxy of the environment is not like http://host:port")
    return proxy
