"""What the sources of AWS share: a client of `botocore` without retries, and errors in our words."""

from __future__ import annotations

from typing import Any

import botocore.config
import botocore.exceptions as errors
import botocore.session

from bulkseed.errors import UsageError
from bulkseed.sources.protocol import TIMEOUT, Source, SourceFault


class AwsSource(Source):
    """A source with a client of one AWS service; `SERVICE` is botocore's name of it.

    Credentials, profiles, SSO, web identity and endpoints are found by botocore, as everywhere.
    """

    SERVICE = ""
    OPTIONS = frozenset({"profile", "endpoint"})
    AUTH = frozenset({"profile", "ca_file"})

    def open(self) -> None:
        """Open the client, and find the credentials."""
        spec = self.spec
        if not spec.host:
            raise UsageError(f"{spec.label}: the address must name a region: {spec.scheme}://region/prefix")
        config = botocore.config.Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=10,
            read_timeout=TIMEOUT,
            max_pool_connections=spec.in_flight,
        )
        profile = spec.setting("profile") or spec.option("profile") or None
        ca_file = spec.setting("ca_file")
        try:
            session = botocore.session.Session(profile=profile)
            self._client, self._accounts = (
                session.create_client(
                    service,
                    region_name=spec.host,
                    endpoint_url=spec.option("endpoint") or None,
                    verify=str(spec.folder / ca_file) if ca_file else None,
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
        """Tell the ARN of the caller."""
        with self.pacer.turn():
            try:
                return str(self._accounts.get_caller_identity()["Arn"])
            except (errors.BotoCoreError, errors.ClientError) as error:
                raise fault_of(error) from None

    def close(self) -> None:
        """Close the connections."""
        if hasattr(self, "_client"):
            self._client.close()
            self._accounts.close()


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
