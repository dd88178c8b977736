"""Manifests that are encrypted with age, behind any format and compression."""

from __future__ import annotations

import gzip
import io
import itertools
from pathlib import Path

import pyrage
import pytest

from bulkseed.errors import CredentialsError
from bulkseed.manifest import open_manifest
from bulkseed.manifest.age_decryption import decrypt
from bulkseed.manifest.readable import BrokenError
from bulkseed.model import InvalidLine, SecretDefinition

LINES = b"".join(b'{"SecretName": "s%d", "SecretData": "canary-%d"}\n' % (i, i) for i in range(5000))


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pyrage.x25519.Identity:
    """An identity in a file, where the environment says."""
    made = pyrage.x25519.Identity.generate()
    (tmp_path / "key.txt").write_text(f"# created: today\n{made}\n")
    monkeypatch.setenv("BULKSEED_AGE_IDENTITY", str(tmp_path / "key.txt"))
    return made


def encrypted(path: Path, content: bytes, identity: pyrage.x25519.Identity) -> Path:
    """Write a file for an identity."""
    path.write_bytes(pyrage.encrypt(content, [identity.to_public()]))
    return path


@pytest.mark.parametrize("name", ["m.jsonl.age", "m.jsonl.gz.age"])
def test_an_encrypted_manifest_is_read_as_the_plain_one(
    tmp_path: Path, identity: pyrage.x25519.Identity, name: str
) -> None:
    """Every definition, in its order, and how many there are."""
    content = gzip.compress(LINES) if ".gz" in name else LINES
    with open_manifest(encrypted(tmp_path / name, content, identity)) as manifest:
        assert manifest.count() == 5000
        names = [entry.name for entry in manifest]
    assert names == [f"s{number}" for number in range(5000)]


def test_a_damaged_one_ends_in_a_row_that_says_so(tmp_path: Path, identity: pyrage.x25519.Identity) -> None:
    """What came before the damage is read; nothing of the content is shown."""
    path = encrypted(tmp_path / "m.jsonl.age", LINES, identity)
    path.write_bytes(path.read_bytes()[:-100])
    with open_manifest(path) as manifest:
        *good, last = manifest
    assert all(isinstance(entry, SecretDefinition) for entry in good)
    assert isinstance(last, InvalidLine)
    assert "damaged" in last.reasons[0]
    assert "canary" not in repr(last)


def test_one_for_somebody_else_is_no_manifest_of_ours(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    """It is one invalid row that says why."""
    path = encrypted(tmp_path / "m.jsonl.age", LINES, pyrage.x25519.Identity.generate())
    assert identity
    with open_manifest(path) as manifest:
        [entry] = manifest
    assert isinstance(entry, InvalidLine)
    assert "none of the identities" in entry.reasons[0]


def test_without_an_identity_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to give one, and nothing of a file that holds none."""
    for name in ("BULKSEED_AGE_IDENTITY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY"):
        monkeypatch.delenv(name, raising=False)
    path = encrypted(tmp_path / "m.jsonl.age", LINES, pyrage.x25519.Identity.generate())
    with pytest.raises(CredentialsError, match="--identity"):
        open_manifest(path)
    (tmp_path / "wrong").write_text("canary")
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(tmp_path / "wrong"))
    with pytest.raises(CredentialsError, match="SOPS_AGE_KEY_FILE") as caught:
        open_manifest(path)
    assert "canary" not in str(caught.value)


def test_a_reader_that_stops_early_leaves_no_thread(tmp_path: Path, identity: pyrage.x25519.Identity) -> None:
    """Closing a manifest ends its decryption."""
    import threading

    path = encrypted(tmp_path / "m.jsonl.age", LINES * 20, identity)
    with open_manifest(path) as manifest:
        assert len(list(itertools.islice(manifest, 10))) == 10
    for thread in threading.enumerate():
        if thread.name == "bulkseed-age":
            thread.join(timeout=60)
            assert not thread.is_alive()


def test_a_file_that_is_closed_while_it_is_read_breaks_off(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    """Whoever stops early closes it, mostly in the middle of a read: no thread dies of that."""

    class ClosedMeanwhile(io.BytesIO):
        """Closes itself after a piece."""

        def read(self, size: int | None = -1, /) -> bytes:
            piece = super().read(size)
            if self.tell() > 1 << 17:
                self.close()
            return piece

    path = encrypted(tmp_path / "m.jsonl.age", LINES, identity)
    with pytest.raises(BrokenError, match="closed while it was read"):
        list(decrypt(ClosedMeanwhile(path.read_bytes())))
