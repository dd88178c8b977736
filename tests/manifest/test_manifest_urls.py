"""Manifests by a URL: read as files are, and their troubles told as those of files are."""

from __future__ import annotations

import gzip

import fsspec
import pytest

from bulkseed.errors import ManifestError
from bulkseed.manifest import open_manifest
from bulkseed.manifest.location import is_manifest_url
from bulkseed.model import Origin, SecretDefinition

LINES = b'{"SecretName": "a", "SecretData": "fake"}\n{"SecretName": "b", "SecretData": "fake"}\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [("prod.jsonl", LINES), ("prod.jsonl.gz", gzip.compress(LINES, mtime=0))],
    ids=["plain", "gzip"],
)
def test_a_url_is_read_as_a_file_is(name: str, content: bytes) -> None:
    """Its lines, in order, with the URL as their place, its size, and a suffix for compression."""
    url = f"memory://bulkseed-{name}"
    with fsspec.open(url, "wb") as file:
        file.write(content)
    with open_manifest(url) as entries:
        assert entries.bytes_total == len(content)
        found = list(entries)
        assert entries.bytes_read == len(content)
    assert [entry.origin for entry in found] == [Origin(url, 1), Origin(url, 2)]
    assert [entry.name for entry in found if isinstance(entry, SecretDefinition)] == ["a", "b"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("memory://nowhere.jsonl", "memory://nowhere.jsonl: "),
        ("file:///nowhere.jsonl", "file:///nowhere.jsonl: No such file or directory"),
        ("hdfs://nowhere.jsonl", "hdfs://nowhere.jsonl: "),
    ],
)
def test_what_cannot_be_read_is_said(url: str, told: str) -> None:
    """A URL that leads nowhere, or needs a package that is not there."""
    with pytest.raises(ManifestError) as raised:
        open_manifest(url)
    assert str(raised.value).startswith(told)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:canary@127.0.0.1:9/m.jsonl",
        "https://user:canary@127.0.0.1:9/m.jsonl",
        "s3://:canary@b/m.jsonl",
        "https://canary@127.0.0.1:9/m.jsonl",
        "https://127.0.0.1:9/m.jsonl?X-Amz-Signature=canary",
        "https://127.0.0.1:9/m.jsonl?sig=canary&to=b.jsonl",
    ],
)
def test_a_url_with_a_password_is_refused_without_showing_it(url: str) -> None:
    """Nor with a token or a signature: a manifest's name stands in rows, logs and reports (C2)."""
    with pytest.raises(ManifestError, match=r"holds a (password|query)") as raised:
        open_manifest(url)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("url", ["sftp://user@127.0.0.1:9/m.jsonl", "abfss://box@nowhere.invalid/m.jsonl"])
def test_a_url_with_a_user_or_a_container_is_none_with_a_password(url: str) -> None:
    """Some stores have names of containers there."""
    with pytest.raises(ManifestError) as raised:
        open_manifest(url)
    assert str(raised.value).startswith(url)


@pytest.mark.parametrize(
    "name",
    ["vault://v.example/kv/a.json", "flat:a.json", "prod.jsonl", "s3://bucket", "vault+https://a/b.json"],
)
def test_sources_and_files_are_no_urls_of_manifests(name: str) -> None:
    """A store's address stays a store's address."""
    assert not is_manifest_url(name)
