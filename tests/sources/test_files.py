"""Files as sources: what tools print, what is odd in them, and what is never shown."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from support.file_stores import SopsStore

from bulkseed.errors import CredentialsError, ManifestError, UsageError
from bulkseed.model import Fault, InvalidLine, ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url


async def content_of(kind: str, path: Path, text: str | bytes, **wishes: object) -> dict[str, str]:
    """Write a file, list it, and return names and texts, or the reason why there is none."""
    found = {}
    with _written(kind, path, text, wishes) as source:
        for entry in source:
            if isinstance(entry, InvalidLine):
                found[entry.reasons[0].split("'")[1]] = f"! {entry.reasons[0]}"
                continue
            assert isinstance(entry, SecretDefinition)
            assert isinstance(entry.data, UnreadValue)
            answer = await entry.data.read()
            assert isinstance(answer, ReadValue | Fault)
            found[entry.name] = answer.data.reveal() if isinstance(answer, ReadValue) else f"! {answer.code}"
    return found


def _written(kind: str, path: Path, text: str | bytes, wishes: dict[str, object]) -> SourceManifest:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return SourceManifest([from_url(f"{kind}:{path}", wishes)])


async def test_dotenv_is_read_without_interpolation_and_nothing_is_dropped(tmp_path: Path) -> None:
    """A line that cannot be parsed is a row; so is a name without a value, and a name that is set twice."""
    text = "A=plain\nB=${A}\nexport C='single # kept'\nD=\"two\\nlines\"\nnot a line\nE\n"
    text += "F=1\nF=2\n\n# note\nG=\n"
    found = await content_of("dotenv", tmp_path / ".env", text)
    assert {name: text for name, text in found.items() if not text.startswith("!")} == {
        "A": "plain",
        "B": "${A}",
        "C": "single # kept",
        "D": "two\nlines",
    }
    assert "cannot be parsed" in found["line 5"]
    assert "has no value" in found["E"]
    assert "same name" in found["F"]
    assert found["G"] == "! Source.Empty"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"A": "x", "B": {"k": 1.10}, "C": 7}', {"A": "x", "B": '{"k":1.10}', "C": "7"}),
        ("A: on\nB: 1.10\n", {"A": "on", "B": "1.10"}),
        ('[{"key": "A", "value": "x"}, {"secretKey": "B", "secretValue": "y"}]', {"A": "x", "B": "y"}),
        (
            '{"request_id": "r", "data": {"data": {"A": "x"}, "metadata": {"version": 3}}}',
            {"A": "x"},
        ),
        ('{"request_id": "r", "data": {"A": "x"}}', {"A": "x"}),
        (
            '{"SecretValues": [{"Name": "a/b", "SecretString": "x", "VersionId": "id"}], "Errors": []}',
            {"a/b": "x"},
        ),
    ],
)
async def test_a_map_is_what_other_tools_print(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    """Plain maps, lists of pairs, and what Vault's and AWS's commands print."""
    assert await content_of("flat", tmp_path / "x", text) == expected


@pytest.mark.parametrize("text", ["canary", "[1, 2]", '{"a": canary', "a: b: canary\n", "\x00canary"])
async def test_what_is_no_map_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    """The message names the file and shows nothing of it."""
    with pytest.raises(ManifestError) as caught:
        await content_of("flat", tmp_path / "x", text)
    assert "canary" not in str(caught.value)


async def test_a_dump_of_kubernetes_is_read_in_every_form(tmp_path: Path) -> None:
    """Lists and documents, data and stringData, texts and bytes; what the cluster makes itself is a row."""
    text = """
apiVersion: v1
kind: List
items:
- {kind: Secret, type: Opaque, metadata: {name: a, namespace: n, resourceVersion: "7"}, data: {k: ZmFrZQ==}}
- {kind: ConfigMap, metadata: {name: c}}
---
{kind: Secret, type: Opaque, metadata: {name: b}, stringData: {k: fake}, data: {l: /w==}}
---
{kind: Secret, type: Opaque, metadata: {name: raw}, data: {k: /w==}}
---
{kind: Secret, type: helm.sh/release.v1, metadata: {name: h}, data: {release: ZmFrZQ==}}
---
{kind: Secret, type: Opaque, metadata: {name: damaged}, data: {k: "canary!"}}
"""
    found = await content_of("k8s+file", tmp_path / "dump.yaml", text)
    assert found.pop("h") == "! 'h' is a release of Helm"
    assert found.pop("damaged") == "! 'damaged' has a value that is not valid Base64"
    assert found == {"n/a": '{"k":"fake"}', "b": "! Source.NotText", "raw": "/w=="}


@pytest.fixture
def sops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SopsStore:
    """A file of the real program with two secrets."""
    store = SopsStore(tmp_path)
    store.prepare(monkeypatch)
    store.put("one", {"k": "canary-1"})
    store.put("two", {"k": "canary-2"})
    return store


async def test_a_damaged_sops_file_says_no_digest_and_no_value(
    sops: SopsStore, capfd: pytest.CaptureFixture[str]
) -> None:
    """The program's own error text, which holds digests of values, is shown nowhere."""
    url = sops.url
    damaged = sops.path.read_text().replace('"lastmodified": "20', '"lastmodified": "19')
    sops.path.write_text(damaged)
    with pytest.raises(ManifestError, match="MAC does not match"):
        SourceManifest([from_url(url)])
    seen = capfd.readouterr()
    assert "canary" not in seen.out + seen.err
    assert "MAC mismatch" not in seen.out + seen.err


async def test_a_sops_file_without_its_key_is_a_matter_of_credentials(
    sops: SopsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, and what to do."""
    url = sops.url
    monkeypatch.delenv("SOPS_AGE_KEY")
    with pytest.raises(CredentialsError, match="none of its keys"):
        SourceManifest([from_url(url)])


async def test_sops_takes_yaml_and_dotenv_and_refuses_what_is_not_encrypted(
    sops: SopsStore, tmp_path: Path
) -> None:
    """A key that the file holds in plaintext is a row; a file without SOPS's part is refused."""
    _ = sops.url
    for name, text in (("p.yaml", "a: canary\nb_plain: shown\n"), ("p.env", "a=canary\n")):
        plain = tmp_path / name
        plain.write_text(text)
        kind = "yaml" if name.endswith("yaml") else "dotenv"
        command = ["encrypt", "--age", sops._recipient, "--unencrypted-suffix=_plain", f"--input-type={kind}"]
        encrypted = sops._run(*command, f"--output-type={kind}", str(plain))
        found = await content_of("sops", tmp_path / f"enc-{name}", encrypted)
        assert found.pop("a") == "canary"
        assert found in ({}, {"b_plain": "! 'b_plain' is not encrypted in the file"})
    with pytest.raises(ManifestError, match="not encrypted with SOPS"):
        await content_of("sops", tmp_path / "plain.json", '{"a": "canary"}')
    with pytest.raises(UsageError, match="must end in"):
        await content_of("sops", tmp_path / "x.bin", b"")


async def test_an_encrypted_export_is_refused(tmp_path: Path) -> None:
    """Its values are ciphertext, which must not be moved as if it were the secret."""
    with pytest.raises(ManifestError, match="encrypted"):
        await content_of("bitwarden", tmp_path / "x.json", '{"encrypted": true, "items": []}')


async def test_items_of_password_managers_are_maps_of_their_fields(tmp_path: Path) -> None:
    """Logins, notes and own fields; what is in the bin is a row, and two of one name are two."""
    export = {
        "folders": [{"id": "f", "name": "Team"}],
        "items": [
            {
                "name": "mail",
                "folderId": "f",
                "login": {"username": "u", "password": "p", "uris": [{"uri": "https://x.example"}]},
                "notes": None,
                "fields": [{"name": "pin", "value": "1"}, {"name": "username", "value": "other"}],
            },
            {"name": "old", "deletedDate": "2026-01-01", "login": {"password": "p"}},
            {"name": "twin", "notes": "a"},
            {"name": "twin", "notes": "b"},
        ],
    }
    found = await content_of("bitwarden", tmp_path / "x.json", json.dumps(export))
    assert found["Team/mail"] == (
        '{"password":"p","pin":"1","uri":"https://x.example","username":"u","username 2":"other"}'
    )
    assert "deleted" in found["old"]
    assert "same name" in found["twin"]


async def test_what_an_export_of_a_password_manager_lacks_is_told(tmp_path: Path) -> None:
    """Files and passkeys stay behind, with a note; an item with nothing else is no empty secret."""
    logins = [{"name": "both", "login": {"password": "p", "fido2Credentials": [{"keyValue": "canary"}]}}]
    logins += [{"name": "passkey", "login": {"fido2Credentials": [{"keyValue": "canary"}]}}]
    path = tmp_path / "x.json"
    with _written("bitwarden", path, json.dumps({"items": logins}), {}) as source:
        assert [note.partition(": ")[2] for note in source.notes] == [
            "passkeys stay behind; items that have one: 2"
        ]
    found = await content_of("bitwarden", path, json.dumps({"items": logins}))
    assert found == {
        "both": '{"password":"p"}',
        "passkey": "! 'passkey' has no field with a value that can be moved",
    }
    values = {"scan": {"file": {"fileName": "f"}}, "pin": {"string": "1"}}
    fields = [{"title": title, "value": value} for title, value in values.items()]
    items = [
        {"overview": {"title": "document"}, "details": {"documentAttributes": {"fileName": "f"}}},
        {"overview": {"title": "card"}, "details": {"sections": [{"fields": fields}]}},
        {"overview": {"title": "old"}, "state": "archived", "details": {"password": "p"}},
    ]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("export.data", json.dumps({"accounts": [{"vaults": [{"items": items}]}]}))
    with _written("1pux", tmp_path / "x.1pux", content.getvalue(), {}) as source:
        assert source.notes[0].endswith("files stay behind; items that have one: 2")
    found = await content_of("1pux", tmp_path / "x.1pux", content.getvalue())
    assert found == {
        "document": "! 'document' has no field with a value that can be moved",
        "card": '{"pin":"1"}',
        "old": "! 'old' is archived or deleted",
    }


async def test_a_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    """Neither a zip without its data nor something else is taken."""
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    for content in (b"canary", empty.getvalue()):
        with pytest.raises(ManifestError, match="no export of 1Password"):
            await content_of("1pux", tmp_path / "x.1pux", content)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As of any manifest."""
    with pytest.raises(ManifestError, match=r"none\.json"):
        SourceManifest([from_url(f"flat:{tmp_path / 'none.json'}")])


def test_sops_is_asked_for_by_name_where_it_is_missing(
    sops: SopsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install."""
    url = sops.url
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="'sops'"):
        SourceManifest([from_url(url)])
