"""The few requests of a Kubernetes API server that sources make, with its pages, selectors and errors.

The official client is what drives it, so it has to be right about paths, queries and headers. Facts are those
of the API's documentation: partial metadata, ``continue`` tokens, 410 for one that has expired.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.json_server import Answer, Asked, json_server
from support.jwt import jwt

TOKEN = jwt("fake-token", exp=4_102_444_800)


class FakeKubernetes:
    """Secrets by (namespace, name). `expire` makes the next ``continue`` token one that has expired."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.version = 100
        self.expire = False
        self.page = 1000
        self.url = ""

    def put(self, namespace: str, name: str, values: dict[str, str], kind: str = "Opaque") -> None:
        """Create or replace a Secret."""
        self.version += 1
        self.objects[namespace, name] = {
            "kind": "Secret",
            "type": kind,
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": str(self.version)},
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
        }

    def answer(self, target: str, headers: Any) -> tuple[int, Any]:
        """Return status and body of what is asked."""
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"kind": "Status", "reason": "Unauthorized"}
        parts = urlsplit(target)
        match [unquote(part) for part in parts.path.split("/")[3:]]:
            case ["v1", "selfsubjectreviews"]:
                return 201, {"status": {"userInfo": {"username": "system:serviceaccount:jobs:bulkseed"}}}
            case ["secrets"]:
                return self._list(None, parse_qs(parts.query), headers)
            case ["namespaces", namespace, "secrets"]:
                return self._list(namespace, parse_qs(parts.query), headers)
            case ["namespaces", namespace, "secrets", name] if (namespace, name) in self.objects:
                return 200, self.objects[namespace, name]
        return 404, {"kind": "Status", "reason": "NotFound"}

    def _list(self, namespace: str | None, query: dict[str, list[str]], headers: Any) -> tuple[int, Any]:
        assert "PartialObjectMetadataList" in headers.get("Accept", "")
        after = query.get("continue", [""])[0]
        if after and self.expire:
            self.expire = False
            return 410, {"kind": "Status", "reason": "Expired"}
        wanted = [term for term in query.get("fieldSelector", [""])[0].split(",") if term]
        found = [
            item
            for (where, _), item in sorted(self.objects.items())
            if namespace in {None, where}
            and all((item["type"] == term.rpartition("=")[2]) == ("!=" not in term) for term in wanted)
        ]
        start, size = int(after or 0), min(int(query["limit"][0]), self.page)
        following = str(start + size) if start + size < len(found) else ""
        items = [{"metadata": item["metadata"]} for item in found[start : start + size]]
        return 200, {"kind": "PartialObjectMetadataList", "metadata": {"continue": following}, "items": items}

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig with one context."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "test", "cluster": {"server": self.url}}],
                "users": [{"name": "test", "user": {"token": TOKEN}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }
        )


@contextmanager
def fake_kubernetes() -> Iterator[FakeKubernetes]:
    """Run a cluster with nothing in it."""
    cluster = FakeKubernetes()

    def answer(asked: Asked) -> Answer:
        status, body = cluster.answer(asked.target, asked.headers)
        return status, {}, body

    with json_server(answer) as cluster.url:
        yield cluster
