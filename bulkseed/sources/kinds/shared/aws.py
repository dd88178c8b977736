"""What the sources of AWS share: a client of `botocore` without retries, and errors in our words."""

from __future__ import annotations

import os
import ssl
import threading
from typing import Any

import botocore.config
import botocore.exceptions as errors
import botocore.session
from botocore import httpsession
from botocore.credentials import RefreshableCredentials
from botocore.utils import get_environ_proxies

from bulkseed.errors import UsageError
from bulkseed.sources.kinds.shared.lives import lives
from bulkseed.sources.kinds.shared.tls import keyless_context
from bulkseed.sources.protocol import TIMEOUT, Source, SourceFault
from bulkseed.sources.spec import SourceSpec

CONNECT_TIMEOUT = 10.0
"""Seconds for TCP and TLS."""


class AwsSource(Source):
    """A source with a client of one AWS service; `SERVICE` is botocore's name of it.

    Credentials, profiles, SSO, web identity and endpoints are found by botocore, as everywhere.
    """

    SERVICE = ""
    OPTIONS = frozenset({"profile", "endpoint"})
    AUTH = frozenset({"profile", "ca_file"})
    LOGGERS = frozenset({"botocore.parsers", "botocore.endpoint", "botocore.auth"})

    def open(self) -> None:
        """Open the client, and find the credentials."""
        spec = self.spec
        if not spec.host:
            raise UsageError(f"{spec.label}: the address must name a region: {spec.scheme}://region/prefix")
        config = botocore.config.Config(retries={"total_max_attempts": 1, "mode": "standard"})
        profile = spec.setting("profile") or spec.option("profile") or None
        ca_file = spec.setting("ca_file")
        try:
            self._session = session = botocore.session.Session(profile=profile)
            self._sending = _Sending(session, str(spec.folder / ca_file) if ca_file else None, spec)
            session.register("before-send", self._sending)
            self._client, self._accounts = (
                session.create_client(
                    service,
                    region_name=spec.host,
                    endpoint_url=spec.option("endpoint") or None,
                    config=config,
                )
                for service in (self.SERVICE, "sts")
            )
        except (errors.BotoCoreError, ValueError) as error:
            raise fault_of(error) from None

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make one request in its turn.

        Raises:
            SourceFault: it failed.
        """
        with self.pacer.turn() as turn:
            try:
                found: dict[str, Any] = getattr(self._client, operation)(**parameters)
            except (errors.BotoCoreError, errors.ClientError) as error:
                fault = fault_of(error)
                turn.answered(throttled=fault.code == "Source.Throttled")
                raise fault from None
        if found.keys() <= {
            "ResponseMetadata"
        }:  # botocore takes a page of HTML for an answer with nothing in it
            raise SourceFault("Unavailable", "its answer is no answer of AWS")
        return found

    def who(self) -> str:
        """Tell the ARN of the caller, and how long its keys live."""
        with self.pacer.turn():
            try:
                arn = self._accounts.get_caller_identity()["Arn"]
            except (errors.BotoCoreError, errors.ClientError) as error:
                raise fault_of(error) from None
        keys = self._session.get_credentials()
        if isinstance(keys, RefreshableCredentials):
            return f"{arn}; its key {lives(keys._expiry_time.timestamp())}, and is renewed"  # noqa: SLF001  # no other way
        ends = "expires, and when is not told" if keys and keys.token else lives(None)
        return f"{arn}; its key {ends}"

    def close(self) -> None:
        """Close the connections."""
        if hasattr(self, "_client"):
            self._client.close()
            self._accounts.close()
            self._sending.close()


class _Keyless(httpsession.URLLib3Session):  # type: ignore[misc]  # the library has no types
    def _get_ssl_context(self) -> ssl.SSLContext:
        return keyless_context()


class _Sending:
    """Sends what all clients of a session ask, those that fetch credentials included: see `shared.tls`.

    It stands before the library's own sending, which has no option for a context.
    """

    def __init__(self, session: Any, ca_file: str | None, spec: SourceSpec) -> None:
        usual = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._verify = (ca_file or usual, usual)
        self._endpoint = spec.option("endpoint")
        self._connections = spec.in_flight
        self._opened: dict[tuple[object, ...], _Keyless] = {}
        self._opening = threading.Lock()

    def __call__(self, request: Any, **_event: Any) -> Any:
        """Return the answer to a request; the library takes it for that of its own sending."""
        verify = self._verify[not request.url.startswith(self._endpoint)]
        proxies = get_environ_proxies(request.url)
        key = (verify, *sorted(proxies.items()))
        with self._opening:
            if key not in self._opened:
                self._opened[key] = _Keyless(
                    verify=verify,
                    proxies=proxies,
                    timeout=(CONNECT_TIMEOUT, TIMEOUT),
                    max_pool_connections=self._connections,
                )
        return self._opened[key].send(request)

    def close(self) -> None:
        """Close the connections."""
        for opened in self._opened.values():
            opened.close()


def fault_of(error: Exception) -> SourceFault:
    """Say in our words why there is no answer."""
    if isinstance(error, errors.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return fault_of_code(code, status)
    if isinstance(error, errors.SSLError):
        return SourceFault("Certificate")
    if isinstance(error, errors.HTTPClientError | errors.EndpointConnectionError | errors.ReadTimeoutError):
        return SourceFault("Unavailable", f"it does not answer ({type(error).__name__})")
    if isinstance(error, _NO_CREDENTIALS):
        return SourceFault("Credentials", f"there are no credentials for it ({type(error).__name__})")
    return SourceFault("Unreadable", f"the request cannot be made ({type(error).__name__})")


def fault_of_code(code: str, status: int = 400) -> SourceFault:
    """Say in our words what an error code of AWS means."""
    code = code.rpartition("#")[2].removesuffix("Exception")
    kind = _CODES.get(code)
    if kind is None:  # as of what stands before the service
        kind = "Throttled" if status == 429 else "Unavailable" if status >= 500 else "Unreadable"
    return SourceFault(kind, status=status)


_NO_CREDENTIALS = (
    errors.NoCredentialsError,
    errors.PartialCredentialsError,
    errors.CredentialRetrievalError,
    errors.ProfileNotFound,
    errors.SSOError,
    errors.InvalidConfigError,
)

_CODES = {
    "Throttling": "Throttled",
    "TooManyRequests": "Throttled",
    "RequestLimitExceeded": "Throttled",
    "LimitExceeded": "Throttled",
    "AccessDenied": "Denied",
    "DecryptionFailure": "Denied",
    "InvalidKeyId": "Denied",
    "UnrecognizedClient": "Credentials",
    "InvalidClientTokenId": "Credentials",
    "InvalidAccessKeyId": "Credentials",
    "ExpiredToken": "Credentials",
    "InvalidSignature": "Credentials",
    "SignatureDoesNotMatch": "Credentials",
    "IncompleteSignature": "Credentials",
    "MissingAuthenticationToken": "Credentials",
    "ResourceNotFound": "NotFound",
    "ParameterNotFound": "NotFound",
    "ParameterVersionNotFound": "NotFound",
    "InvalidRequest": "Deleted",
    "InternalServiceError": "Unavailable",
    "InternalServerError": "Unavailable",
    "ServiceUnavailable": "Unavailable",
}
"""Code without "Exception" → ours. Secrets Manager answers InvalidRequest for what is to be deleted."""
