"""A Kubernetes cluster as a source: what only its API has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_kubernetes import FakeKubernetes, fake_kubernetes

from bulkseed.errors import CredentialsError
from bulkseed.model import InvalidLine
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_toml, from_url


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """A cluster, and the user's kubeconfig for it."""
    with fake_kubernetes() as running:
        (tmp_path / "config").write_text(running.kubeconfig)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield running


def test_all_namespaces_are_listed_where_none_is_named(cluster: FakeKubernetes) -> None:
    """A path is then namespace and name."""
    for namespace in ("a", "b"):
        cluster.put(namespace, "s", {"k": "fake"})
    with SourceManifest([from_url("k8s://test")]) as source:
        assert [entry.name for entry in source] == ["a/s", "b/s"]


def test_what_the_cluster_makes_itself_is_a_row_that_says_so(cluster: FakeKubernetes) -> None:
    """Tokens of service accounts and releases of Helm are not moved, and not silently left out."""
    cluster.put("a", "own", {"k": "fake"})
    cluster.put("a", "helm", {"release": "fake"}, "helm.sh/release.v1")
    cluster.put("a", "token", {"token": "fake"}, "kubernetes.io/service-account-token")
    with SourceManifest([from_url("k8s://test/a")]) as source:
        found = {entry.name: entry for entry in source}
    assert {name for name, entry in found.items() if isinstance(entry, InvalidLine)} == {"helm", "token"}


def test_a_listing_that_expires_begins_anew_and_has_each_once(cluster: FakeKubernetes) -> None:
    """The cluster forgets the state of a listing within minutes."""
    cluster.page = 3
    for number in range(10):
        cluster.put("a", f"s{number}", {"k": "fake"})
    cluster.expire = True
    with SourceManifest([from_url("k8s://test/a")]) as source:
        assert [entry.name for entry in source] == [f"s{number}" for number in range(10)]


def test_a_kubeconfig_is_looked_for_beside_the_file_that_names_it(
    cluster: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every file that a file of sources names."""
    cluster.put("a", "s", {"k": "fake"})
    monkeypatch.delenv("KUBECONFIG")
    (tmp_path / "own").write_text(cluster.kubeconfig)
    (tmp_path / "k.toml").write_text('[[source]]\nfrom = "k8s://test/a"\nkubeconfig = "own"\n')
    with SourceManifest(from_toml(tmp_path / "k.toml")) as source:
        assert [entry.name for entry in source] == ["s"]


@pytest.mark.usefixtures("cluster")
def test_credentials_that_are_refused_and_a_context_that_is_not_there() -> None:
    """Both are a matter of credentials, told without what the files hold."""
    with pytest.raises(CredentialsError, match="kubeconfig"):
        SourceManifest([from_url("k8s://other/a")])
    path = Path(os.environ["KUBECONFIG"])
    path.write_text(path.read_text().replace("fake-token", "canary-token"))
    with pytest.raises(CredentialsError) as caught:
        SourceManifest([from_url("k8s://test/a")])
    assert "canary" not in str(caught.value)
