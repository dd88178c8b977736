"""Stores of Azure and Google that the conformance tests fill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from google.api_core.exceptions import Conflict
from google.cloud import secretmanager
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceRestTransport,
)
from google.oauth2.credentials import Credentials

from support.fake_azure import IDENTITY, FakeAzure, fake_azure
from support.fake_google import TOKEN, FakeGoogle, fake_google
from support.store import Store, Values, compact


class AzureStore(Store):
    """A vault whose names have "--" for "/"; pages are small."""

    PINS = False

    def __init__(self, azure: FakeAzure) -> None:
        self.azure = azure
        self.url = f"azure-kv://vault/prod?separator=--&endpoint={azure.url}&auth.ca_file={azure.ca_file}"

    def put(self, path: str, values: Values) -> None:
        """Write a version."""
        self.azure.put(f"prod--{path.replace('/', '--')}", compact(values))

    def delete(self, path: str) -> None:
        """Delete it."""
        del self.azure.objects[f"prod--{path.replace('/', '--')}"]


class GoogleStore(Store):
    """A project, filled by the vendor's client, whose names have "__" for "/"; pages are small."""

    def __init__(self, google: FakeGoogle) -> None:
        self.google = google
        transport = SecretManagerServiceRestTransport(
            host=google.url.removeprefix("http://"), url_scheme="http", credentials=Credentials(TOKEN)
        )
        self.client = secretmanager.SecretManagerServiceClient(transport=transport)
        self.url = f"gcp-sm://test/prod?separator=__&endpoint={google.url}"

    def name(self, path: str) -> str:
        """Return the resource name of a secret."""
        return f"projects/test/secrets/prod__{path.replace('/', '__')}"

    def put(self, path: str, values: Values) -> None:
        """Add a version."""
        name = self.name(path)
        with suppress(Conflict):
            self.client.create_secret(
                parent="projects/test",
                secret_id=name.rpartition("/")[2],
                secret={"replication": {"automatic": {}}},
            )
        self.client.add_secret_version(parent=name, payload={"data": compact(values).encode()})

    def delete(self, path: str) -> None:
        """Delete it with all of its versions."""
        self.client.delete_secret(name=self.name(path))


@contextmanager
def azure_store(_servers: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureStore]:
    """Open an empty vault."""
    with TemporaryDirectory() as folder, fake_azure(Path(folder)) as azure:
        monkeypatch.setenv("IDENTITY_ENDPOINT", azure.identity)
        monkeypatch.setenv("IDENTITY_HEADER", IDENTITY)
        azure.page = 7
        yield AzureStore(azure)


@contextmanager
def google_store(_servers: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleStore]:
    """Open an empty project."""
    with TemporaryDirectory() as folder, fake_google() as google:
        file = Path(folder) / "account.json"
        file.write_text(google.service_account)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        google.page = 7
        yield GoogleStore(google)
