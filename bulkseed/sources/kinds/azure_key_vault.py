"""Azure Key Vault, through the vendor's client: ``azure-kv://vault/prefix``.

A list tells neither values nor versions, so the time of the last update stands for the version. An edit of
what surrounds the value moves it, too: the answer of a read is compared with the listed one. A client of the
store cannot read what is disabled, and a secret that is ``managed`` is the private part of a certificate
(REST reference of Key Vault: Get Secrets, Get Secret).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from json import JSONDecodeError
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from azure.core import exceptions as errors
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient, SecretProperties

from bulkseed.errors import UsageError
from bulkseed.sources.kinds.shared.http import PacedSession, without_keys
from bulkseed.sources.kinds.shared.lives import claims_of, lives
from bulkseed.sources.mapping import relative
from bulkseed.sources.protocol import TIMEOUT, Content, Reference, Source, SourceFault, fault_of_status

T = TypeVar("T")


class AzureKeyVault(Source):
    """The secrets of one vault. With ``separator``, that text stands for "/" in the store's flat names.

    Credentials are found by the vendor's `DefaultAzureCredential`: variables, workload identity, managed
    identity, the vendor's command line.
    """

    OPTIONS = frozenset({"endpoint", "separator"})
    AUTH = frozenset({"ca_file"})
    RATE = 100.0  # of 4,000 in 10 seconds that all users of a vault share (service limits of Key Vault)

    def open(self) -> None:
        """Open the client. The store asks for a token at the first request."""
        spec = self.spec
        if not spec.host:
            raise UsageError(f"{spec.label}: the address must name a vault: azure-kv://vault")
        host = spec.host if "." in spec.host else f"{spec.host}.vault.azure.net"
        ca_file = spec.setting("ca_file")
        transport = RequestsTransport(
            session=PacedSession(self.pacer),
            connection_timeout=10,
            read_timeout=TIMEOUT,
            **({"connection_verify": str(spec.folder / ca_file)} if ca_file else {}),
        )
        self._tokens = without_keys(requests.Session())
        by = RequestsTransport(session=self._tokens, session_owner=False)
        self._credential = DefaultAzureCredential(transport=by)
        self._client = SecretClient(
            spec.option("endpoint") or f"https://{host}",
            self._credential,
            transport=transport,
            retry_total=0,
        )

    def list_all(self) -> Iterator[Reference]:
        """Yield every secret of the vault; those in their recovery window are not listed by the store."""
        pages = self._client.list_properties_of_secrets().by_page()
        while True:
            page: list[SecretProperties] | None = self.patiently(partial(_called, partial(_next, pages)))
            if page is None:
                return
            for found in page:
                name = str(found.name)
                separator = self.spec.option("separator")
                path = relative(name.replace(separator, "/") if separator else name, self.spec.path)
                if path is not None:
                    yield _reference(path, name, found)

    def named(self, path: str) -> Reference:
        """Return what reads a name."""
        return Reference(path, handle=path.replace("/", self.spec.option("separator") or "/"))

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read each as it is now."""
        return [self._read(reference) for reference in references]

    def _read(self, reference: Reference) -> Content:
        found = _called(partial(self._client.get_secret, reference.handle))
        return Content(found.value or "", _version(found.properties))

    def who(self) -> str:
        """Tell whose token it is, as the token itself says, and how long it lives."""
        domain = (urlsplit(self._client.vault_url).hostname or "").partition(".")[2]
        token = _called(partial(self._credential.get_token, f"https://{domain}/.default"))
        claims = claims_of(token.token)
        names = (f"{what}{claims[key]}" for key, what in _WHO.items() if claims.get(key))
        who = next(names, "an identity that its token does not name")
        return f"{who}; its token {lives(token.expires_on)}, and is renewed"

    def close(self) -> None:
        """Close the connections."""
        if hasattr(self, "_client"):
            self._client.close()
            self._credential.close()
            self._tokens.close()


_WHO = {
    "upn": "",
    "unique_name": "",
    "xms_mirid": "",
    "appid": "application ",
    "azp": "application ",
    "oid": "",
}
"""Claims of a token that tell whose it is, the most telling first (reference of access token claims)."""


def _next(pages: Iterator[Iterator[Any]]) -> list[Any] | None:
    page = next(pages, None)
    return None if page is None else list(page)


def _called(call: Callable[[], T]) -> T:
    """Return what the client returns.

    Raises:
        SourceFault: it failed; said in our words.
    """
    try:
        return call()
    except errors.AzureError as error:
        raise fault_of(error) from None
    except (JSONDecodeError, AttributeError, KeyError, TypeError):  # of the client, about a page of HTML
        raise SourceFault("Unavailable", "its answer is no answer of a vault") from None
    except ValueError:  # of the client: the address or the store's demand for a token is not to be trusted
        raise SourceFault("Unreadable", "it does not answer as a vault of this address does") from None


def fault_of(error: errors.AzureError) -> SourceFault:
    """Say in our words why there is no answer."""
    status = getattr(error, "status_code", None)
    if isinstance(error, errors.HttpResponseError) and isinstance(status, int) and status != 200:
        headers = dict(error.response.headers) if error.response is not None else {}
        if status == 403 and "SecretDisabled" in str(error.error):
            return SourceFault("Disabled", status=403)
        return fault_of_status(status, headers)
    if isinstance(error, errors.ClientAuthenticationError):
        return SourceFault("Credentials", "there are no credentials for it that work")
    if isinstance(error, errors.ServiceRequestError | errors.ServiceResponseError):
        if isinstance(error.inner_exception, requests.exceptions.SSLError):
            return SourceFault("Certificate")
        return SourceFault("Unavailable", f"it does not answer ({type(error).__name__})")
    return SourceFault("Unavailable", f"its answer is no answer of a vault ({type(error).__name__})")


def _version(found: SecretProperties) -> str | None:
    return f"u{found.updated_on.timestamp():.0f}" if found.updated_on else None


def _reference(path: str, name: str, found: SecretProperties) -> Reference:
    problem = None
    if found.enabled is False:
        problem = "is disabled"
    elif found.managed:
        problem = "is the private part of a certificate, which the vault manages"
    return Reference(
        path,
        _version(found),
        problem,
        found.updated_on.timestamp() if found.updated_on else None,
        handle=name,
        tags=dict(found.tags or {}),
        description=found.content_type,
    )
