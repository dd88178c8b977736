"""Google Secret Manager: ``gcp-sm://project/prefix``, through `google-auth` and the REST interface.

The vendor's larger client brings gRPC, needs five times the processor time for a read, and asks for nothing
else than these three requests. A list does not tell versions, so each secret's newest one is asked for: that
is of the quota of 600 reads a minute that a project has (quotas page of Secret Manager), while values
have one of 90,000. An older version that is enabled never stands for a newest one that is not.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import google.auth
import requests
from google.auth import exceptions as errors
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession, Request

from bulkseed.errors import CredentialsError, UsageError
from bulkseed.sources.kinds.shared.http import PacedSession, without_keys
from bulkseed.sources.kinds.shared.http import fault_of as fault_of_http
from bulkseed.sources.kinds.shared.lives import lives
from bulkseed.sources.mapping import relative, wanted
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.protocol import TIMEOUT, Content, Reference, Source, SourceFault, fault_of_status

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
PAGE = 1000


class _Session(PacedSession, AuthorizedSession):
    """Adds the token to each request, and takes turns."""

    def __init__(self, pacer: SourcePacer, credentials: Credentials) -> None:
        self._tokens = without_keys(requests.Session(), retries=3)  # as the library's own would have
        AuthorizedSession.__init__(self, credentials, auth_request=Request(self._tokens))
        self._pacer = pacer
        without_keys(self)

    def close(self) -> None:
        """Close the connections to the store, and to whoever gives out tokens."""
        super().close()
        self._tokens.close()


class GoogleSecretManager(Source):
    """The secrets of one project. With ``separator``, that text stands for "/" in the store's flat names.

    Credentials are found by `google.auth.default`: GOOGLE_APPLICATION_CREDENTIALS, workload identity, the
    vendor's command line, the metadata server.
    """

    OPTIONS = frozenset({"endpoint", "location", "separator"})
    AUTH = frozenset({"ca_file"})
    LOGGERS = frozenset({"google.auth.transport.requests"})
    RATE = 10.0
    PINS = True

    def open(self) -> None:
        """Find the credentials."""
        spec = self.spec
        if not spec.host:
            raise UsageError(f"{spec.label}: the address must name a project: gcp-sm://project")
        try:
            credentials, _ = google.auth.default(scopes=[SCOPE])
        except (errors.GoogleAuthError, ValueError) as error:
            raise CredentialsError(
                f"{spec.label}: there are no usable credentials for it ({type(error).__name__});"
                " set GOOGLE_APPLICATION_CREDENTIALS, or use `gcloud auth application-default login`"
            ) from None
        self._session = _Session(self.pacer, credentials)
        ca_file = spec.setting("ca_file")
        self._verify = str(spec.folder / ca_file) if ca_file else True  # of a session, a variable replaces it
        location = spec.option("location")
        host = f"secretmanager.{location}.rep.googleapis.com" if location else "secretmanager.googleapis.com"
        self._base = f"{spec.option('endpoint') or f'https://{host}'}/v1/"
        self._parent = f"projects/{quote(spec.host)}" + (f"/locations/{quote(location)}" if location else "")

    def list_all(self) -> Iterator[Reference]:
        """Yield every secret with its newest version."""
        query = {"pageSize": str(PAGE)}
        while True:
            page = self.patiently(partial(self._get, f"{self._parent}/secrets", query))
            for found in page.get("secrets") or ():
                name = str(found["name"]).rpartition("/")[2]
                separator = self.spec.option("separator")
                path = relative(name.replace(separator, "/") if separator else name, self.spec.path)
                if path is not None and wanted(self.spec, Reference(path)):  # a request is saved
                    yield self.patiently(partial(self._described, path, found))
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def _described(self, path: str, found: Mapping[str, Any]) -> Reference:
        listed = Reference(
            path,
            handle=str(found["name"]),
            tags={str(key): str(text) for key, text in (found.get("labels") or {}).items()},
            description=(found.get("annotations") or {}).get("description"),
        )
        version, changed, problem = None, None, None
        try:
            newest = self._get(f"{found['name']}/versions/latest")
        except SourceFault as fault:
            if fault.code not in {"Source.NotFound", "Source.Denied"}:
                raise
            problem = "has no version" if fault.code == "Source.NotFound" else "may not be looked at by us"
        else:
            version = f"v{str(newest['name']).rpartition('/')[2]}"
            changed = _epoch(newest.get("createTime"))
            if newest.get("state") != "ENABLED":
                state = "destroyed" if newest.get("state") == "DESTROYED" else "disabled"
                problem = f"has a newest version that is {state}"
        return Reference(
            path,
            version,
            problem,
            changed,
            handle=listed.handle,
            tags=listed.tags,
            description=listed.description,
        )

    def named(self, path: str) -> Reference:
        """Return what reads a name."""
        name = path.replace("/", self.spec.option("separator") or "/")
        return Reference(path, handle=f"{self._parent}/secrets/{quote(name, safe='')}")

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read each at its listed version."""
        return [self._read(reference) for reference in references]

    def _read(self, reference: Reference) -> Content | SourceFault:
        number = (reference.version or "latest").removeprefix("v")
        found = self._get(f"{reference.handle}/versions/{number}:access")
        value = base64.b64decode((found.get("payload") or {}).get("data") or "")
        version = f"v{str(found['name']).rpartition('/')[2]}"
        try:
            return Content(value.decode(), version)
        except UnicodeDecodeError:
            return Content(value, version)

    def who(self) -> str:
        """Tell whose credentials they are, and how long the token lives that they got."""
        found = self._session.credentials
        names = (getattr(found, name, None) for name in ("service_account_email", "account"))
        who = next(filter(None, names), "a user whom the credentials do not name")
        if not found.expiry:
            return f"{who}; there is no token yet"
        ends = lives(found.expiry.replace(tzinfo=UTC).timestamp())  # without a zone, and of this one
        return f"{who}; its token {ends}, and is renewed"

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Make one request in its turn.

        Raises:
            SourceFault: it failed.
        """
        try:
            answer = self._session.get(
                self._base + path, params=dict(query or {}), timeout=TIMEOUT, verify=self._verify
            )
        except requests.RequestException as error:
            raise fault_of_http(error) from None
        except errors.TransportError:
            raise SourceFault("Unavailable", "whoever gives out tokens does not answer") from None
        except errors.GoogleAuthError:
            raise SourceFault("Credentials", "there is no token for it to be had") from None
        if (
            answer.status_code == 400
            and path.endswith(":access")
            and b"FAILED_PRECONDITION" in answer.content
        ):
            raise SourceFault("Disabled", "its version is disabled or destroyed", status=400)
        if answer.status_code != 200:
            raise fault_of_status(answer.status_code, answer.headers)
        try:
            return answer.json()
        except ValueError:
            raise SourceFault("Unavailable", "its answer is no answer of Secret Manager") from None

    def close(self) -> None:
        """Close the connections."""
        if hasattr(self, "_session"):
            self._session.close()


def _epoch(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)[:19] + "+00:00").timestamp()
    except ValueError:
        return None
