"""HashiCorp Vault and OpenBao: the key-value engines, version 2 and 1, through `hvac`.

`hvac` logs in and carries requests; the requests themselves are its low-level ones, because the detailed
listing of OpenBao and states of versions are not in its methods. Values are read over the product's own
transport with the token that `hvac` got. Facts are of the real server (OpenBao 2.7):

- a soft-deleted or destroyed version answers 404 with ``data.metadata``, one that is not there without;
- LIST ``detailed-metadata`` (OpenBao) tells all versions of a folder; Vault needs a GET for each secret;
- a name and a folder of the same name (``a`` beside ``a/``) are two things;
- 403 is the answer to what is denied, to a dead token, and to a mount that is not there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import quote

import anyio.from_thread
import requests

from bulkseed.errors import CredentialsError, UsageError
from bulkseed.sources.content import decode_json
from bulkseed.sources.kinds.shared.direct_gets import DirectGets
from bulkseed.sources.kinds.shared.http import fault_of
from bulkseed.sources.kinds.shared.lives import lives
from bulkseed.sources.kinds.vault_login import connect, login
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.protocol import (
    UNLISTED,
    Content,
    Reference,
    Source,
    SourceFault,
    fault_of_status,
)
from bulkseed.sources.spec import SourceSpec
from bulkseed.wire.message import Response

NO_VERSIONS = (
    "versions cannot be seen, so later changes will not be noticed: grant read on {mount}/metadata/*"
)


class _GoneError(Exception):
    """A secret was deleted for good after its folder had been listed."""


class Vault(Source):
    """The secrets of one key-value engine, below a prefix."""

    OPTIONS = frozenset({"kv"})
    PINS = True
    IN_LOOP = True
    AUTH = frozenset(
        {"method", "mount", "namespace", "ca_file", "cert_file", "key_file", "token", "role_id", "secret_id"}
        | {"role", "jwt", "username", "password", "profile", "region", "header"}
    )

    def __init__(self, spec: SourceSpec, pacer: SourcePacer) -> None:
        super().__init__(spec, pacer)
        self._client, self._session, self._cert = connect(spec, pacer)
        self._direct: DirectGets | None = None
        self._login = threading.Lock()
        self._renew_at = float("inf")
        self._detailed = True
        self._version = 0
        self._mount = ""
        self._prefix = ""

    def open(self) -> None:
        """Log in, and find the engine that the path belongs to, with its version."""
        login(self._client, self.spec)
        self._renewed(self._ask("GET", "auth/token/lookup-self"))
        self._mount, self._version = self._engine()
        self._prefix = self.spec.path.strip("/")[len(self._mount) :].strip("/")
        self.fields = {"mount": self._mount, "namespace": self._client.adapter.namespace or ""}
        self._direct = anyio.from_thread.run(self._open_direct)

    async def _open_direct(self) -> DirectGets | None:
        address, connections = self._client.adapter.base_uri, self.spec.in_flight
        return await DirectGets.open(
            self._session, address, self.pacer, connections=connections, cert=self._cert
        )

    def list_all(self) -> Iterator[Reference]:
        """Yield every secret, folder by folder, each folder in the order of its names."""
        folders, first = [self._prefix + "/" if self._prefix else ""], True
        while folders:
            folder = folders.pop()
            try:
                names, details = self.patiently(lambda: self._folder(folder))  # noqa: B023  # called at once
            except SourceFault as fault:
                if fault.code == "Source.NotFound" and first and self._prefix:
                    yield from self._single(self._prefix)
                    return
                if fault.code == "Source.NotFound":  # nothing is there, or all of it was deleted meanwhile
                    continue
                if fault.code != "Source.Denied" or first:
                    raise
                yield Reference(self._below(folder), problem=UNLISTED, handle=folder)
                continue
            first = False
            folders += sorted((folder + name for name in names if name.endswith("/")), reverse=True)
            for name in sorted(name for name in names if not name.endswith("/")):
                with suppress(_GoneError):
                    yield self._reference(folder + name, details.get(name))

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read each at its listed version."""
        return [self._read(reference) for reference in references]

    def named(self, path: str) -> Reference | None:
        """Return what reads a path of this engine."""
        below = path.removeprefix(self._mount + "/")
        return None if below == path else Reference(below, handle=below)

    def keys(self, reference: Reference) -> list[str] | None:
        """Return the keys, which version 2 tells without values."""
        if self._version == 1:
            return None
        answer = self._ask("GET", self._path("subkeys", reference.handle), version=_number(reference))
        if answer.status_code != 200:
            return None  # an older server, or not allowed: reading tells
        return sorted(_data(answer)["subkeys"] or {})

    def who(self) -> str:
        """Tell the token's name, policies and time."""
        found = _data(self._send("GET", "auth/token/lookup-self"))
        left = int(found.get("ttl") or 0)
        ends = lives(time.time() + left if left else None)
        renewed = ", can be renewed" if found.get("renewable") else ""
        policies = ", ".join(map(str, found.get("policies") or ()))
        return f"token of {found.get('display_name')!s} with {policies}; it {ends}{renewed}"

    async def read_in_loop(self, reference: Reference) -> Content | SourceFault | None:
        """Read without `hvac` what needs no new token."""
        if self._direct is None or time.monotonic() >= self._renew_at:
            return None
        adapter, version = self._client.adapter, _number(reference)
        target = f"/v1/{self._value_path(reference)}" + (f"?version={version}" if version else "")
        headers = {"x-vault-request": "true", "x-vault-token": adapter.token}
        if adapter.namespace:
            headers["x-vault-namespace"] = adapter.namespace
        answer = await self._direct.get(target, headers)
        if not isinstance(answer, Response):
            return answer
        if answer.status == 403 or 300 <= answer.status < 400:
            return None  # a token that died, or another address: `hvac` sees to both
        fault = _passing(answer.status, answer.headers, answer.body)
        return fault or self._content(answer.status, answer.headers, answer.body)

    def close(self) -> None:
        """Close the connections."""
        self._client.session.close()
        if self._direct is not None:
            anyio.from_thread.run(self._direct.close)

    def _engine(self) -> tuple[str, int]:
        """Return the mount that the path begins with, which may have slashes, and its version."""
        path, said = self.spec.path.strip("/"), self.spec.option("kv")
        if not path:
            raise UsageError(f"{self.spec.label}: a path must begin with the mount of an engine")
        if said not in {"", "1", "2"}:
            raise UsageError(f"{self.spec.label}: kv must be 1 or 2")
        answer = self._ask("GET", f"sys/internal/ui/mounts/{_quoted(path)}")
        if answer.status_code != 200:
            if said:
                return path.partition("/")[0], int(said)
            if answer.status_code == 403:
                raise SourceFault("Denied", "there is no such engine, or this token may do nothing in it")
            raise fault_of_status(answer.status_code, answer.headers)
        found = _data(answer)
        if found.get("type") not in {"kv", "generic"}:
            raise SourceFault("Unreadable", f"the engine is no key-value engine but {found.get('type')!r}")
        return str(found["path"]).strip("/"), int(said or (found.get("options") or {}).get("version") or 1)

    def _folder(self, folder: str) -> tuple[list[str], dict[str, Any]]:
        """Return the names in a folder, and what the store tells of them in the same answer."""
        if self._version == 2 and self._detailed:
            answer = self._ask("LIST", self._path("detailed-metadata", folder))
            if answer.status_code == 200:
                found = _data(answer)
                return found.get("keys") or [], found.get("key_info") or {}
            if answer.status_code not in {403, 404, 405}:
                raise fault_of_status(answer.status_code, answer.headers)
            self._detailed = answer.status_code == 404  # 404 is that of an empty folder, too
        answer = self._ask("LIST", self._path("metadata", folder))
        if answer.status_code != 200:
            raise fault_of_status(answer.status_code, answer.headers)
        self._detailed = False
        return _data(answer).get("keys") or [], {}

    def _single(self, path: str) -> Iterator[Reference]:
        """Yield the one secret that the prefix itself names, if it is there."""
        if self._version == 2:
            answer = self._ask("GET", self._path("metadata", path))
            if answer.status_code == 200:
                yield self._described(path, _data(answer))
        elif self._ask("GET", self._path("", path)).status_code == 200:
            yield Reference(self._below(path), handle=path)

    def _reference(self, path: str, details: Any) -> Reference:
        if self._version == 1:
            return Reference(self._below(path), handle=path)
        if not isinstance(details, dict):
            answer = self.patiently(lambda: self._metadata(path))
            if answer is None:
                note = NO_VERSIONS.format(mount=self._mount)
                self.notes = [note]
                return Reference(self._below(path), handle=path)
            details = answer
        return self._described(path, details)

    def _metadata(self, path: str) -> dict[str, Any] | None:
        answer = self._ask("GET", self._path("metadata", path))
        if answer.status_code == 403:
            return None
        if answer.status_code == 404:
            raise _GoneError
        if answer.status_code != 200:
            raise fault_of_status(answer.status_code, answer.headers)
        found: dict[str, Any] = _data(answer)
        return found

    def _described(self, path: str, found: dict[str, Any]) -> Reference:
        current = str(found.get("current_version") or 0)
        state = (found.get("versions") or {}).get(current) or {}
        problem = None
        if current == "0":
            problem = "has no version"
        elif state.get("destroyed"):
            problem = "has a current version that is destroyed"
        elif _past(state.get("deletion_time")):
            problem = "has a current version that is deleted"
        elif {".", ".."} & set(path.split("/")):
            problem = "has a part '.' or '..' in its path, which HTTP does not carry"
        tags = {str(key): str(text) for key, text in (found.get("custom_metadata") or {}).items()}
        return Reference(
            self._below(path),
            f"v{current}" if current != "0" else None,
            problem,
            _epoch(found.get("updated_time")),
            handle=path,
            tags=tags,
            description=tags.get("description"),
        )

    def _read(self, reference: Reference) -> Content | SourceFault:
        answer = self._ask("GET", self._value_path(reference), version=_number(reference))
        return self._content(answer.status_code, answer.headers, answer.content)

    def _value_path(self, reference: Reference) -> str:
        return self._path("data" if self._version == 2 else "", reference.handle)

    def _content(self, status: int, headers: Mapping[str, str], body: bytes) -> Content | SourceFault:
        if status == 404 and b'"metadata"' in body:
            return SourceFault("Deleted", status=404)
        if status != 200:
            return fault_of_status(status, headers)
        try:
            data = decode_json(body)["data"]
            if self._version == 1:
                return Content(data)
            return Content(data["data"], f"v{data['metadata']['version'].text}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return _nonsense(status)

    def _ask(self, method: str, path: str, version: str | None = None) -> requests.Response:
        """Send one request; a token that died is replaced once, where the login can be repeated."""
        if time.monotonic() >= self._renew_at:
            self._renew()
        token = self._client.token
        answer = self._send(method, path, version)
        if answer.status_code == 403 and not path.startswith("auth/") and not self._lives():
            self._replace(token)
            answer = self._send(method, path, version)
        return answer

    def _send(self, method: str, path: str, version: str | None = None) -> requests.Response:
        params = {"version": version} if version else None
        try:
            answer = self._client.adapter.request(method, f"/v1/{path}", raise_exception=False, params=params)
        except requests.RequestException as error:
            raise fault_of(error) from None
        assert isinstance(answer, requests.Response)  # noqa: S101  # of the raw adapter
        fault = _passing(answer.status_code, answer.headers, answer.content)
        if fault is not None:
            raise fault
        return answer

    def _lives(self) -> bool:
        return bool(self._send("GET", "auth/token/lookup-self").status_code == 200)

    def _renew(self) -> None:
        """Renew the token at half of its time; log in again where that is refused."""
        with self._login:
            if time.monotonic() < self._renew_at:
                return
            answer = self._send("POST", "auth/token/renew-self")
            if answer.status_code == 200:
                self._renewed(answer)
                return
            self._log_in_again()

    def _replace(self, dead: str) -> None:
        with self._login:
            if self._client.token == dead:
                self._log_in_again()

    def _log_in_again(self) -> None:
        try:
            login(self._client, self.spec)
            answer = self._send("GET", "auth/token/lookup-self")
        except (CredentialsError, UsageError):
            raise SourceFault("Credentials", "its token has expired, and no new one can be had") from None
        if answer.status_code != 200:
            raise SourceFault("Credentials", "its token has expired, and no new one can be had")
        self._renewed(answer)

    def _renewed(self, answer: requests.Response) -> None:
        """Note when to renew, from the answer of a renewal or of a look at the token."""
        self._renew_at = float("inf")
        if answer.status_code == 403:
            raise SourceFault("Credentials", "it does not accept the token", status=403)
        if answer.status_code != 200:
            raise fault_of_status(answer.status_code, answer.headers)
        found = answer.json()
        told = found.get("auth") or found.get("data") or {}
        left = told.get("lease_duration") or told.get("ttl") or 0
        if left:
            self._renew_at = time.monotonic() + left / 2

    def _path(self, kind: str, path: str) -> str:
        kind = kind if self._version == 2 else ""
        return "/".join(part for part in (_quoted(self._mount), kind, _quoted(path)) if part)

    def _below(self, path: str) -> str:
        below = path[len(self._prefix) :].lstrip("/") if self._prefix else path
        return below or path.rpartition("/")[2]


def _quoted(path: str) -> str:
    return "/".join(quote(part, safe="") for part in path.split("/"))


def _number(reference: Reference) -> str | None:
    return reference.version.removeprefix("v") if reference.version else None


def _data(answer: requests.Response) -> Any:
    try:
        return answer.json()["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _nonsense(answer.status_code) from None


def _passing(status: int, headers: Mapping[str, str], body: bytes) -> SourceFault | None:
    """Return the fault of an answer that another time will differ, whatever was asked."""
    if status == 400 and b"Upgrading" in body:  # an engine that was just mounted
        return SourceFault("Unavailable", "the engine is being upgraded", status=400)
    if status == 429 or status >= 472 or status == 412:
        fault = fault_of_status(status, headers)
        # 412: a standby lacks what the active node knows; 472, 473: no active node. All pass.
        return fault if fault.passing else SourceFault("Unavailable", status=status)
    return None


def _nonsense(status: int) -> SourceFault:
    return SourceFault("Unavailable", "its answer is no answer of Vault", status=status)


def _epoch(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)[:19] + "+00:00").timestamp()
    except ValueError:
        return None


def _past(text: Any) -> bool:
    moment = _epoch(text) if text else None
    return moment is not None and moment <= time.time()
