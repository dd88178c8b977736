"""What sources over `requests` share: a session that takes turns, and errors in our words."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bulkseed.sources.kinds.shared.tls import keyless_context
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.protocol import TIMEOUT, SourceFault, retry_after


class _KeylessAdapter(HTTPAdapter):
    """Gives its connections a context of ours, also those through a proxy."""

    def init_poolmanager(self, *sizes: Any, **wishes: Any) -> None:
        super().init_poolmanager(*sizes, **wishes, ssl_context=keyless_context())

    def proxy_manager_for(self, proxy: str, **wishes: Any) -> Any:
        wishes = {"ssl_context": keyless_context(), "proxy_ssl_context": keyless_context(), **wishes}
        if proxy.lower().startswith("socks"):
            del wishes["proxy_ssl_context"]
        return super().proxy_manager_for(proxy, **wishes)


def without_keys(session: requests.Session, retries: int = 0) -> requests.Session:
    """Let a session write no keys, and return it; `retries` are those of connections that fail."""
    session.mount("https://", _KeylessAdapter(max_retries=retries))
    return session


class PacedSession(requests.Session):
    """Takes a turn of the source's pacer for every request, redirects and logins included."""

    def __init__(self, pacer: SourcePacer) -> None:
        super().__init__()
        self._pacer = pacer
        without_keys(self)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request in its turn."""
        kwargs["timeout"] = kwargs.get("timeout") or TIMEOUT
        with self._pacer.turn() as turn:
            response = super().send(request, **kwargs)
            turn.answered(throttled=response.status_code == 429, retry_after=retry_after(response.headers))
            return response


def fault_of(error: requests.RequestException) -> SourceFault:
    """Say in our words why there is no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        return SourceFault("Certificate")
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
        return SourceFault("Unavailable", f"it does not answer ({type(error).__name__})")
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return SourceFault("Unavailable", "its answer broke off")
    return SourceFault("Unreadable", f"the request cannot be made ({type(error).__name__})")
