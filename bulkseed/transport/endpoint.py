"""Where requests go: the endpoint's address, the TLS rules, and the proxy the environment asks for.

Certificates are verified, TLS is 1.2 or newer, and a CA file replaces the system's CAs. Plain ``http://`` is
for a local KMS; whether it is acceptable for a target is decided above. Requests to this machine never go
through a proxy: it would read their values.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies, proxy_bypass
from weakref import WeakValueDictionary

from yarl import URL

from bulkseed.errors import UsageError

CONNECT_TIMEOUT = 5.0
"""Seconds for TCP and TLS together."""

ATTEMPT_TIMEOUT = 30.0
"""Seconds for one attempt, from waiting for a connection to the last byte of the reply."""

KEEP_ALIVE = 10.0
"""Seconds that a connection may idle: less than the 15 s after which common load balancers drop it."""


_CONTEXTS: MutableMapping[tuple[str | None, int], ssl.SSLContext] = WeakValueDictionary()
"""By CA file and when it was changed, as long as an endpoint has them. Reading the system's CAs takes 20 ms
and 0.8 MiB (measured), and each of many targets would take that much."""


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
        shown = re.sub(r"//[^/]*@", "//…@", endpoint)  # it may hold a password
        raise UsageError(f"the endpoint {shown!r} is not like https://host or https://host:port")
    return Endpoint(url.origin(), _tls(ca_file) if url.scheme == "https" else None, _proxy(url))


def is_public(endpoint: str) -> bool:
    """Tell whether an endpoint is the service's own, not a local KMS. False where it makes no sense."""
    try:
        host = URL(endpoint).raw_host or ""
    except ValueError:
        return False
    return f".{host.rstrip('.').lower()}".endswith(".aliyuncs.com")


def _tls(ca_file: str | None) -> ssl.SSLContext:
    changed = 0
    if ca_file is not None:
        with suppress(OSError):  # said below
            changed = Path(ca_file).stat().st_mtime_ns
    context = _CONTEXTS.get((ca_file, changed))
    if context is None:
        context = _CONTEXTS[ca_file, changed] = _new_tls(ca_file)
    return context


def _new_tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        # Not `create_default_context`: where SSLKEYLOGFILE is set, that writes the keys of every connection.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca_file)
        context.verify_flags |= ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_STRICT
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
    proxies = getproxies()
    text = proxies.get(url.scheme)
    host = (url.raw_host or "").rstrip(".")
    if not text or _is_loopback(host) or _in_networks(host, proxies.get("no", "")):
        return None
    if proxy_bypass(f"{host}:{url.port}"):
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


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _in_networks(host: str, no_proxy: str) -> bool:
    """Tell whether NO_PROXY names a network that the address is in, which `proxy_bypass` does not know."""
    address = _address(host)
    if address is None:
        return False
    for entry in no_proxy.split(","):
        try:
            if address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
        except ValueError:
            continue  # a name
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
