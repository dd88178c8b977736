"""Secrets of a Kubernetes cluster, through the official client: ``k8s://context/namespace``.

A list asks for the objects' metadata alone, so it holds no value. The type is not among the metadata, so
each type that the cluster makes itself is listed by a query of its own, and becomes rows that say so. A read
cannot ask for a version: the answer's is compared with the listed one.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import urllib3.exceptions
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

from bulkseed.errors import CredentialsError
from bulkseed.sources.content import decode_json
from bulkseed.sources.kinds.kubernetes_objects import MANAGED, reference_of, values_of
from bulkseed.sources.kinds.shared.lives import claims_of, lives
from bulkseed.sources.kinds.shared.tls import keyless_context
from bulkseed.sources.protocol import TIMEOUT, Content, Reference, Source, SourceFault, fault_of_status

METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE = 500
RESTARTS = 2
"""How often a listing begins anew because the cluster has forgotten the state that it was of."""


class Kubernetes(Source):
    """The Secrets of a namespace, or of all of them where the address names none."""

    OPTIONS = frozenset({"context", "kubeconfig"})
    LOGGERS = frozenset({"kubernetes.client.rest"})

    def open(self) -> None:
        """Load the kubeconfig, or the service account of the pod that this runs in."""
        spec = self.spec
        context = spec.option("context") or unquote(spec.host) or None
        given = spec.option("kubeconfig")
        settings = kubernetes_client.Configuration()
        try:
            if context is None and not given and "KUBERNETES_SERVICE_HOST" in os.environ:
                kubernetes_config.load_incluster_config(client_configuration=settings)
            else:
                kubernetes_config.load_kube_config(
                    config_file=str(spec.folder / given) if given else os.environ.get("KUBECONFIG"),
                    context=context,
                    client_configuration=settings,
                    persist_config=False,
                )
        except Exception as error:  # noqa: BLE001  # of plugins and files: its text may hold tokens
            raise CredentialsError(
                f"{spec.label}: there is no usable kubeconfig for it ({type(error).__name__});"
                " `kubectl get secrets` with the same context tells more"
            ) from None
        settings.retries = False
        self._client = kubernetes_client.ApiClient(settings)
        self._write_no_keys()
        self._namespace = spec.path.strip("/")
        self.fields = {"namespace": self._namespace}

    def _write_no_keys(self) -> None:
        given = self._client.rest_client.pool_manager.connection_pool_kw
        context = given["ssl_context"] = keyless_context()
        if not given.get("ca_certs") and not given.get("ca_cert_data"):
            context.load_default_certs()
        if given["cert_reqs"] == ssl.CERT_NONE:  # the kubeconfig has insecure-skip-tls-verify
            context.check_hostname = False

    def list_all(self) -> Iterator[Reference]:
        """Yield every Secret, those of managed types last."""
        others = ",".join(f"type!={kind}" for kind in MANAGED)
        yield from self._listed(others, None)
        for kind, problem in MANAGED.items():
            yield from self._listed(f"type={kind}", problem)

    def _listed(self, selector: str, problem: str | None) -> Iterator[Reference]:
        seen: set[str] = set()
        following, restarts = "", 0
        while True:
            query = {"limit": str(PAGE), "fieldSelector": selector, "continue": following}
            try:
                page = self.patiently(partial(self._get, self._path(), query, METADATA_ONLY))
            except SourceFault as fault:
                if fault.status != 410 or restarts == RESTARTS:
                    raise
                following, restarts = "", restarts + 1
                continue
            for item in page.get("items") or ():
                reference = reference_of(item.get("metadata") or {}, None, below=self._namespace)
                if reference.handle not in seen:
                    seen.add(reference.handle)
                    yield Reference(
                        reference.path,
                        reference.version,
                        problem,
                        handle=reference.handle,
                        tags=reference.tags,
                    )
            following = (page.get("metadata") or {}).get("continue") or ""
            if not following:
                return

    def named(self, path: str) -> Reference:
        """Return what reads ``namespace/name``."""
        return Reference(path, handle=path)

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read each as it is now."""
        return [self._read(reference) for reference in references]

    def _read(self, reference: Reference) -> Content | SourceFault:
        namespace, _, name = reference.handle.partition("/")
        found = self._get(f"/api/v1/namespaces/{_quoted(namespace)}/secrets/{_quoted(name)}", {})
        value = values_of(found)
        version = (found.get("metadata") or {}).get("resourceVersion")
        return value if isinstance(value, SourceFault) else Content(value, version)

    def who(self) -> str:
        """Tell who the cluster takes us for, and how long a token lives that says so itself."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        found = self._get("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, body=review)
        name = ((found.get("status") or {}).get("userInfo") or {}).get("username")
        tokens = map(str, (self._client.configuration.api_key or {}).values())
        expires_at = next((claims_of(token.rpartition(" ")[2]).get("exp") for token in tokens), None)
        return f"{name}; its token {lives(expires_at)}" if expires_at else f"{name}"

    def _path(self) -> str:
        namespace = f"/namespaces/{_quoted(self._namespace)}" if self._namespace else ""
        return f"/api/v1{namespace}/secrets"

    def _get(
        self, path: str, query: Mapping[str, str], accept: str = "application/json", body: Any = None
    ) -> Any:
        """Make one request in its turn; with a body, a POST.

        Raises:
            SourceFault: it failed.
        """
        with self.pacer.turn() as turn:
            try:
                prepared = self._client.param_serialize(
                    "POST" if body else "GET",
                    path,
                    query_params=[(key, text) for key, text in query.items() if text],
                    header_params={"Accept": accept, "Content-Type": "application/json"},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                answer = self._client.call_api(*prepared, _request_timeout=TIMEOUT)
                content = answer.read()
            except urllib3.exceptions.SSLError:
                raise SourceFault("Certificate") from None
            except (urllib3.exceptions.HTTPError, kubernetes_client.ApiException) as error:
                raise SourceFault("Unavailable", f"it does not answer ({type(error).__name__})") from None
            headers = dict(answer.headers or {})
            turn.answered(throttled=answer.status == 429)
        if answer.status not in {200, 201}:
            raise fault_of_status(answer.status, headers)
        try:
            return decode_json(content)
        except (ValueError, RecursionError):
            raise SourceFault("Unavailable", "its answer is no answer of Kubernetes") from None

    def close(self) -> None:
        """Close the connections."""
        if hasattr(self, "_client"):
            self._client.rest_client.pool_manager.clear()


def _quoted(part: str) -> str:
    return quote(part, safe="")
