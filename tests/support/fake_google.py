"""The few requests of Google Secret Manager that sources make, and those that fill it.

The vendor's own client fills it in the tests, so it has to be right about paths and bodies. Shapes are those
of the REST reference (projects.secrets, projects.secrets.versions) and of the token endpoint of accounts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.json_server import Answer, Asked, json_server

TOKEN = "fake-token-of-a-service-account"
_PATH = re.compile(
    r"/v1/projects/(?:test|my-project|123)(?:/locations/[^/]+)?/secrets(?:/([^/:]+))?(?:/versions/([^/:]+))?(?::(\w+))?"
)


class FakeGoogle:
    """The secrets of the project "test" by name, each a list of its versions."""

    def __init__(self) -> None:
        self.secrets: dict[str, list[dict[str, Any]]] = {}
        self.page = 25_000
        self.url = ""
        self.tokens = 0

    @property
    def service_account(self) -> str:
        """The file of credentials that GOOGLE_APPLICATION_CREDENTIALS names."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        found = {
            "type": "service_account",
            "project_id": "test",
            "private_key_id": "fake",
            "private_key": pem.decode(),
            "client_email": "fake@test.iam.gserviceaccount.com",
            "token_uri": f"{self.url}/token",
        }
        return json.dumps(found)

    def answer(self, asked: Asked) -> Answer:
        """Return the answer of the store, or of the token's address."""
        parts = urlsplit(asked.target)
        if parts.path == "/token":
            self.tokens += 1
            return 200, {}, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {}, _error("UNAUTHENTICATED")
        found = _PATH.fullmatch(unquote(parts.path))
        if found is None:
            return 404, {}, _error("NOT_FOUND")
        name, version, verb = found.groups()
        query, body = parse_qs(parts.query), json.loads(asked.body or b"{}")
        if name is None:
            return self._list(query) if asked.method == "GET" else self._create(query["secretId"][0])
        if name not in self.secrets:
            return 404, {}, _error("NOT_FOUND")
        if verb == "addVersion":
            return 200, {}, self._add(name, body["payload"]["data"])
        if asked.method == "DELETE":
            del self.secrets[name]
            return 200, {}, {}
        return self._version(name, version, verb)

    def _list(self, query: dict[str, list[str]]) -> Answer:
        start = int(query.get("pageToken", ["0"])[0])
        size = min(int(query["pageSize"][0]), self.page)
        names = sorted(self.secrets)
        items = [{"name": _full(name), "labels": {"owner": "team-a"}} for name in names[start : start + size]]
        more = {"nextPageToken": str(start + size)} if start + size < len(names) else {}
        return 200, {}, {"secrets": items, "totalSize": len(names), **more}

    def _create(self, name: str) -> Answer:
        if name in self.secrets:
            return 409, {}, _error("ALREADY_EXISTS")
        self.secrets[name] = []
        return 200, {}, {"name": _full(name)}

    def _add(self, name: str, data: str) -> dict[str, Any]:
        versions = self.secrets[name]
        number = len(versions) + 1
        versions.append(
            {
                "name": f"{_full(name)}/versions/{number}",
                "state": "ENABLED",
                "createTime": "2026-01-02T03:04:05.678901Z",
                "data": data,
            }
        )
        return _shown(versions[-1])

    def _version(self, name: str, version: str, verb: str | None) -> Answer:
        versions = self.secrets[name]
        number = len(versions) if version == "latest" else int(version)
        if not 1 <= number <= len(versions):
            return 404, {}, _error("NOT_FOUND")
        found = versions[number - 1]
        if verb in {"disable", "destroy"}:
            found["state"] = {"disable": "DISABLED", "destroy": "DESTROYED"}[verb]
        if verb != "access":
            return 200, {}, _shown(found)
        if found["state"] != "ENABLED":
            return 400, {}, _error("FAILED_PRECONDITION")
        return 200, {}, {"name": found["name"], "payload": {"data": found["data"]}}


def _full(name: str) -> str:
    return f"projects/123/secrets/{name}"  # answers name the project by its number


def _shown(version: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in version.items() if key != "data"}


def _error(status: str) -> dict[str, Any]:
    return {"error": {"status": status, "message": "canary-message of the store"}}


@contextmanager
def fake_google() -> Iterator[FakeGoogle]:
    """Run a store with an empty project."""
    google = FakeGoogle()
    with json_server(google.answer) as google.url:
        yield google
