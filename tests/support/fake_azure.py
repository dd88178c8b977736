"""The few requests of Azure Key Vault that sources make, and of the managed identity that gives their tokens.

The vendor's client is what drives it. Shapes are those of the REST reference: Get Secrets, Get Secret, and
"App Service managed identity". A request without a token is answered by the challenge that the client needs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.certificates import Authority
from support.json_server import Answer, Asked, json_server
from support.jwt import jwt

TOKEN = jwt("fake-token", appid="fake-application")
IDENTITY = "fake-header-of-the-identity"


class FakeAzure:
    """Secrets by name. `update` moves the time of update on, as real time would."""

    def __init__(self, authority: Authority) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.now = 1_700_000_000
        self.page = 25
        self.url = ""
        self.identity = ""
        self.ca_file = authority.ca_file
        self.denied: set[str] = set()

    def put(self, name: str, value: str, **attributes: Any) -> None:
        """Create a secret, or give it a new version."""
        self.now += 1
        self.objects[name] = {
            "value": value,
            "id": f"{self.url}/secrets/{name}/{self.now:032x}",
            "attributes": {"enabled": True, "created": self.now, "updated": self.now} | attributes,
            "tags": {"owner": "team-a"},
        }

    def answer(self, asked: Asked) -> Answer:
        """Return the answer of the vault."""
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            host = self.url.partition("//127.")[2]  # the client wants a domain that the vault's is below
            challenge = (
                f'Bearer authorization="https://login.microsoftonline.com/fake", resource="https://{host}"'
            )
            return 401, {"WWW-Authenticate": challenge}, _error("Unauthorized")
        parts = urlsplit(asked.target)
        match [unquote(part) for part in parts.path.strip("/").split("/") if part]:
            case ["secrets"] if "" in self.denied:
                return 403, {}, _error("Forbidden", "ForbiddenByRbac")
            case ["secrets"]:
                return self._list(parse_qs(parts.query))
            case ["secrets", name] if name in self.denied:
                return 403, {}, _error("Forbidden", "ForbiddenByRbac")
            case ["secrets", name] if name in self.objects:
                found = self.objects[name]
                if not found["attributes"]["enabled"]:
                    return 403, {}, _error("Forbidden", "SecretDisabled")
                return 200, {}, found
        return 404, {}, _error("SecretNotFound")

    def _list(self, query: dict[str, list[str]]) -> Answer:
        start = int(query.get("$skiptoken", ["0"])[0])
        found = sorted(self.objects.items())
        items = [
            {key: part for key, part in item.items() if key != "value"} | {"id": f"{self.url}/secrets/{name}"}
            for name, item in found[start : start + self.page]
        ]
        more = start + self.page < len(found)
        following = f"{self.url}/secrets?api-version=7.4&$skiptoken={start + self.page}" if more else None
        return 200, {}, {"value": items, "nextLink": following}

    def give_token(self, asked: Asked) -> Answer:
        """Return the answer of the identity's address."""
        if asked.headers.get("X-IDENTITY-HEADER") != IDENTITY:
            return 401, {}, {"message": "no"}
        expires = str(int(time.time()) + 3600)
        return 200, {}, {"access_token": TOKEN, "expires_on": expires, "token_type": "Bearer"}


def _error(code: str, inner: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"code": code, "message": "canary-message of the store"}
    return {"error": found | ({"innererror": {"code": inner}} if inner else {})}


@contextmanager
def fake_azure(folder: Path) -> Iterator[FakeAzure]:
    """Run a vault over TLS, and an identity."""
    authority = Authority(folder)
    azure = FakeAzure(authority)
    with (
        json_server(azure.answer, authority.server_context("127.0.0.1")) as azure.url,
        json_server(azure.give_token) as azure.identity,
    ):
        yield azure
