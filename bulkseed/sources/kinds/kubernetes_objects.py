"""Secrets of Kubernetes as objects: which are taken, what they hold, and what a dump of them looks like.

Tokens of service accounts, releases of Helm and bootstrap tokens are made by the cluster and are of no use
elsewhere: each is a row that says so.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from bulkseed.sources.content import decode_json
from bulkseed.sources.kinds.flat import decode_yaml
from bulkseed.sources.kinds.shared.held import Held, HeldSource
from bulkseed.sources.protocol import Reference, SourceFault, Value

MANAGED = {
    "kubernetes.io/service-account-token": "is a service account's token",
    "bootstrap.kubernetes.io/token": "is a bootstrap token",
    "helm.sh/release.v1": "is a release of Helm",
}


class KubernetesDump(HeldSource):
    """What ``kubectl get secrets -A -o yaml`` or ``-o json`` prints: ``k8s+file:dump.yaml``."""

    def load(self) -> Held:
        """Yield every object of kind Secret, in lists and documents."""
        content = self.content()
        try:
            waiting = [decode_json(content)]
        except (ValueError, RecursionError):
            waiting = list(decode_yaml(content, self.spec.label))[::-1]
        while waiting:
            found = waiting.pop()
            if isinstance(found, dict) and isinstance(found.get("items"), list):
                waiting += reversed(found["items"])
            elif isinstance(found, dict) and found.get("kind") == "Secret":
                value = values_of(found)
                if isinstance(value, SourceFault):
                    reference = reference_of(found.get("metadata") or {}, found.get("type"))
                    yield Reference(reference.path, problem=value.told), ""
                else:
                    yield reference_of(found.get("metadata") or {}, found.get("type")), value


def reference_of(metadata: Mapping[str, Any], kind: object, below: str = "") -> Reference:
    """Return what an object's metadata tell: its path is ``namespace/name``.

    It is the name alone where there is no namespace, or all are `below` one.
    """
    path = "/".join(str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return Reference(
        path.removeprefix(f"{below}/") if below else path,
        metadata.get("resourceVersion"),
        MANAGED.get(str(kind)),
        handle=path,
        tags={str(key): str(text) for key, text in (metadata.get("labels") or {}).items()},
    )


def values_of(found: Mapping[str, Any]) -> Value | SourceFault:
    """Return the map of a Secret; a single key whose bytes are no text is the bytes themselves."""
    values: dict[str, object] = {}
    for key, encoded in (found.get("data") or {}).items():
        try:
            content = base64.b64decode(encoded or "", validate=True)
        except (binascii.Error, ValueError, TypeError):
            return SourceFault("Unreadable", "has a value that is not valid Base64")
        try:
            values[key] = content.decode()
        except UnicodeDecodeError:
            values[key] = content
    values |= found.get("stringData") or {}
    only = next(iter(values.values()), None)
    return only if len(values) == 1 and isinstance(only, bytes) else values
