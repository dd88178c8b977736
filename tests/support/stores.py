"""Stores that the conformance tests fill: one class for each kind of source, all with the same methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import quote

import boto3
import pytest
import requests
from alibabacloud_kms20160120 import models

from bulkseed.model import Credentials, Target
from support.cloud_stores import azure_store, google_store
from support.fake_kubernetes import FakeKubernetes, fake_kubernetes
from support.file_stores import (
    BitwardenStore,
    DotenvStore,
    DumpStore,
    FileStore,
    FlatStore,
    OnePasswordStore,
    SopsStore,
)
from support.kms import sdk
from support.moto import moto
from support.openbao import ROOT_TOKEN, Bao, openbao
from support.serve_process import UNLIMITED_FLAGS, served
from support.store import Store, Values, compact

T = TypeVar("T")


class VaultStore(Store):
    """OpenBao, version 2 of the engine."""

    KEEPS_DELETED = True
    ODD = "a b/ä%?#c"

    def __init__(self, bao: Bao) -> None:
        self._bao = bao
        self.url = f"vault+http://{bao.host}/team/kv/prod"

    def put(self, path: str, values: Values) -> None:
        """Write a version."""
        self._bao.put("team/kv", quote(f"prod/{path}"), dict(values))

    def delete(self, path: str) -> None:
        """Delete the current version, softly."""
        self._bao.ask("DELETE", f"team/kv/data/prod/{path}")


class SecretsManagerStore(Store):
    """AWS Secrets Manager, as moto has it."""

    KEEPS_DELETED = True

    def __init__(self, client: Any, endpoint: str) -> None:
        self._client = client
        self.url = f"aws-sm://eu-west-1/prod?endpoint={endpoint}"

    def put(self, path: str, values: Values) -> None:
        """Write a version."""
        name, text = f"prod/{path}", compact(values)
        try:
            self._client.put_secret_value(SecretId=name, SecretString=text)
        except self._client.exceptions.ResourceNotFoundException:
            self._client.create_secret(Name=name, SecretString=text)

    def delete(self, path: str) -> None:
        """Schedule the deletion."""
        self._client.delete_secret(SecretId=f"prod/{path}")


class ParameterStore(Store):
    """AWS Parameter Store, as moto has it."""

    def __init__(self, client: Any, endpoint: str) -> None:
        self._client = client
        self.url = f"aws-ssm://eu-west-1/prod?endpoint={endpoint}"

    def put(self, path: str, values: Values) -> None:
        """Write a version."""
        self._client.put_parameter(
            Name=f"/prod/{path}", Value=compact(values), Type="SecureString", Overwrite=True
        )

    def delete(self, path: str) -> None:
        """Delete it."""
        self._client.delete_parameter(Name=f"/prod/{path}")


class Servers:
    """The servers of a module, each started when it is needed first."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[object, Any] = {}

    def get(self, start: Callable[[], AbstractContextManager[T]]) -> T:
        """Return what `start` gave when it was called first."""
        if start not in self._running:
            self._running[start] = self._stack.enter_context(start())
        found: T = self._running[start]
        return found


Opener = Callable[[Servers, pytest.MonkeyPatch], AbstractContextManager[Store]]


@contextmanager
def _aws(
    service: str, kind: Callable[[Any, str], Store], servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "fake-for-moto")
    endpoint = servers.get(moto)
    client = boto3.client(service, region_name="eu-west-1", endpoint_url=endpoint)
    yield kind(client, endpoint)
    client.close()
    requests.post(f"{endpoint}/moto-api/reset", timeout=30)


@contextmanager
def _vault(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    bao = servers.get(openbao)
    bao.mount("team/kv")
    yield VaultStore(bao)
    bao.ask("DELETE", "sys/mounts/team/kv")


class KmsStore(Store):
    """Another account of KMS, filled by the vendor's SDK."""

    KEEPS_DELETED = True
    LARGE = False

    def __init__(self, target: Target) -> None:
        self._client = sdk(target)
        self._versions: dict[str, int] = {}
        self.url = f"kms://{target.region}/prod?endpoint={target.endpoint}"

    def put(self, path: str, values: Values) -> None:
        """Create it with a first version, or put a further one."""
        name, number = f"prod/{path}", self._versions.get(path, 0) + 1
        self._versions[path] = number
        wanted = {"secret_name": name, "secret_data": compact(values), "version_id": f"own-{number}"}
        if number == 1:
            self._client.create_secret(models.CreateSecretRequest(**wanted))
        else:
            self._client.put_secret_value(models.PutSecretValueRequest(**wanted))

    def delete(self, path: str) -> None:
        """Schedule the deletion."""
        self._client.delete_secret(models.DeleteSecretRequest(secret_name=f"prod/{path}"))


class KubernetesStore(Store):
    """A namespace, whose names may have slashes here; pages are small."""

    PINS = False

    def __init__(self, cluster: FakeKubernetes) -> None:
        self.cluster = cluster
        self.url = "k8s://test/prod"

    def put(self, path: str, values: Values) -> None:
        """Create or replace it."""
        self.cluster.put("prod", path, values)

    def delete(self, path: str) -> None:
        """Delete it."""
        del self.cluster.objects["prod", path]


@contextmanager
def _kubernetes(_servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with fake_kubernetes() as cluster, TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        config.write_text(cluster.kubeconfig)
        monkeypatch.setenv("KUBECONFIG", str(config))
        cluster.page = 7
        yield KubernetesStore(cluster)


@contextmanager
def _served() -> Iterator[Target]:
    with TemporaryDirectory() as folder, served(Path(folder), *UNLIMITED_FLAGS) as (target, _):
        yield target


@contextmanager
def _kms(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    target = servers.get(_served)
    assert isinstance(target.credentials, Credentials)
    monkeypatch.setenv("BULKSEED_SOURCE_ALIBABA_CLOUD_ACCESS_KEY_ID", target.credentials.access_key_id)
    secret = target.credentials.access_key_secret.reveal()
    monkeypatch.setenv("BULKSEED_SOURCE_ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret)
    store = KmsStore(target)
    yield store
    for path in store._versions:
        wanted = models.DeleteSecretRequest(secret_name=f"prod/{path}", force_delete_without_recovery="true")
        store._client.delete_secret(wanted)


@contextmanager
def _file(kind: type[FileStore], _servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with TemporaryDirectory() as folder:
        store = kind(Path(folder))
        store.prepare(monkeypatch)
        yield store


STORES: Mapping[str, Opener] = {
    "vault": _vault,
    "aws-sm": partial(_aws, "secretsmanager", SecretsManagerStore),
    "aws-ssm": partial(_aws, "ssm", ParameterStore),
    "azure-kv": azure_store,
    "gcp-sm": google_store,
    "kms": _kms,
    "k8s": _kubernetes,
    "k8s+file": partial(_file, DumpStore),
    "sops": partial(_file, SopsStore),
    "flat": partial(_file, FlatStore),
    "dotenv": partial(_file, DotenvStore),
    "bitwarden": partial(_file, BitwardenStore),
    "1pux": partial(_file, OnePasswordStore),
}
