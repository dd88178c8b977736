"""Azure Key Vault and Google Secret Manager as sources: what only they have."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from support.cloud_stores import AzureStore, GoogleStore, azure_store, google_store

from bulkseed.errors import CredentialsError, ManifestError
from bulkseed.model import Fault, InvalidLine, ManifestEntry, ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureStore]:
    """A vault, with an identity that may read it."""
    with azure_store(None, monkeypatch) as store:
        yield store


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleStore]:
    """A project, with a service account that may read it."""
    with google_store(None, monkeypatch) as store:
        yield store


def listed(url: str) -> dict[str | None, ManifestEntry]:
    """Return what is listed by name."""
    with SourceManifest([from_url(url, {"rate": 0})]) as source:
        return {entry.name: entry for entry in source}


async def read(entry: ManifestEntry) -> ReadValue | Fault:
    """Read an entry's value."""
    assert isinstance(entry, SecretDefinition)
    assert isinstance(entry.data, UnreadValue)
    answer = await entry.data.read()
    assert isinstance(answer, ReadValue | Fault)
    return answer


def test_a_vault_shows_what_it_would_not_give(azure: AzureStore) -> None:
    """A disabled secret and the shadow of a certificate are rows that say so; an expired one is read."""
    azure.azure.put("prod--off", "fake", enabled=False)
    azure.azure.put("prod--certificate", "fake")
    azure.azure.objects["prod--certificate"]["managed"] = True
    azure.azure.put("prod--expired", "fake", exp=1_600_000_000)
    found = listed(azure.url)
    assert isinstance(found["off"], InvalidLine)
    assert "is disabled" in found["off"].reasons[0]
    assert isinstance(found["certificate"], InvalidLine)
    assert "certificate" in found["certificate"].reasons[0]
    assert isinstance(found["expired"], SecretDefinition)


async def test_a_vault_may_deny_or_disable_one_after_the_listing(azure: AzureStore) -> None:
    """Each is a fault of its own, in our words."""
    for name in ("denied", "off", "kept"):
        azure.azure.put(f"prod--{name}", "fake")
    with SourceManifest([from_url(azure.url, {"rate": 0})]) as source:
        entries = {entry.name: entry for entry in source}
        azure.azure.denied.add("prod--denied")
        azure.azure.objects["prod--off"]["attributes"]["enabled"] = False
        answers = {str(name): await read(entry) for name, entry in entries.items()}
    denied, off = answers["denied"], answers["off"]
    assert isinstance(denied, Fault)
    assert isinstance(off, Fault)
    assert (denied.code, off.code) == ("Source.Denied", "Source.Disabled")
    assert isinstance(answers["kept"], ReadValue)


def test_without_credentials_a_vault_is_no_source(azure: AzureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity refuses: the call ends before anything is listed, with the exit code of credentials."""
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    with pytest.raises(CredentialsError, match="no credentials") as caught:
        listed(azure.url)
    assert "canary" not in str(caught.value)


async def test_a_project_never_gives_an_older_version_for_a_disabled_one(google: GoogleStore) -> None:
    """The newest version counts: where it is disabled or destroyed, the row says so."""
    for name in ("off", "destroyed", "moving"):
        google.put(name, {"k": "first"})
        google.put(name, {"k": "second"})
    google.client.disable_secret_version(name=f"{google.name('off')}/versions/2")
    google.client.destroy_secret_version(name=f"{google.name('destroyed')}/versions/2")
    google.google.secrets["prod__none"] = []
    with SourceManifest([from_url(google.url, {"rate": 0})]) as source:
        found = {entry.name: entry for entry in source}
        google.client.disable_secret_version(name=f"{google.name('moving')}/versions/2")
        moving = await read(found["moving"])
    reasons = {
        name: entry.reasons[0] for name, entry in found.items() if isinstance(entry, InvalidLine) and name
    }
    assert "newest version that is disabled" in reasons["off"]
    assert "newest version that is destroyed" in reasons["destroyed"]
    assert "has no version" in reasons["none"]
    assert isinstance(moving, Fault)
    assert moving.code == "Source.Disabled"


async def test_what_a_project_holds_may_be_binary(google: GoogleStore) -> None:
    """Bytes that are no text go as binary data, in Base64."""
    google.put("bytes", {})
    google.client.add_secret_version(parent=google.name("bytes"), payload={"data": b"\xff\x00fake"})
    with SourceManifest([from_url(google.url, {"rate": 0})]) as source:
        [entry] = source
        found = await read(entry)
    assert isinstance(found, ReadValue)
    assert found.data_type == "binary"
    assert base64.b64decode(found.data.reveal()) == b"\xff\x00fake"


def test_labels_and_the_filter_of_a_project(google: GoogleStore) -> None:
    """Labels can become tags; of what is left out, no version is asked for."""
    google.put("pay/a", {"k": "fake"})
    google.put("hr/b", {"k": "fake"})
    spec = from_url(f"{google.url}&tags.team={{tag:owner}}", {"rate": 0, "include": ("pay/*",)})
    with SourceManifest([spec]) as source:
        [entry] = source
        assert source._sources[0].pacer.sent == 2  # the page, and the version of one
    assert isinstance(entry, SecretDefinition)
    assert "team-a" in repr(entry)


def test_without_credentials_a_project_is_no_source(
    google: GoogleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of credentials that is none is told without its content."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/dev/null")
    with pytest.raises(CredentialsError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        listed(google.url)


@pytest.mark.parametrize("kind", ["azure-kv", "gcp-sm"])
def test_an_address_that_names_nothing_is_refused(kind: str) -> None:
    """The message says what the address must name."""
    with pytest.raises(Exception, match="the address must name"):
        listed(f"{kind}:///prod")


def test_a_certificate_that_does_not_verify_is_told(azure: AzureStore) -> None:
    """Without the authority's file the vault is not believed."""
    azure.azure.put("prod--a", "fake")
    with pytest.raises(ManifestError, match="certificate does not verify"):
        listed(azure.url.partition("&auth.ca_file")[0])


def test_a_vault_that_may_not_be_listed_is_told_as_such(azure: AzureStore) -> None:
    """Not in the words of one secret that may not be read."""
    azure.azure.denied.add("")
    with pytest.raises(ManifestError, match="does not let us list it; grant listing it"):
        listed(azure.url)


def test_a_project_that_is_not_there_is_told_as_such(google: GoogleStore) -> None:
    """A listing that is refused is not told in the words of one secret that is gone."""
    url = google.url.replace("gcp-sm://test", "gcp-sm://tset")
    with pytest.raises(ManifestError, match="no such place to list; look at the address"):
        listed(url)
