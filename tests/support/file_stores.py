"""Files that hold secrets, as stores: what is put is written when their address is asked for."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import ClassVar

import pyrage
import pytest

from support.store import Store, Values, compact

SOPS = Path(sys.executable).with_name("sops")


class FileStore(Store):
    """A file that is written anew. `write` gives its bytes."""

    HELD = True
    NAME: ClassVar[str] = ""

    def __init__(self, folder: Path) -> None:
        self.values: dict[str, Values] = {}
        self.versions: dict[str, int] = {}
        self.path = folder / self.NAME.rpartition(":")[2]

    @property
    def url(self) -> str:  # type: ignore[override]  # it depends on what was put
        """The source of the file as it is now."""
        self.path.write_bytes(self.write())
        return f"{self.NAME.rpartition(':')[0]}:{self.path}"

    def put(self, path: str, values: Values) -> None:
        """Remember a secret."""
        self.versions[path] = self.versions.get(path, 0) + 1
        self.values[path] = values

    def delete(self, path: str) -> None:
        """Forget it."""
        del self.values[path]

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set up what the kind needs."""

    def write(self) -> bytes:
        """Return what the file holds."""
        raise NotImplementedError


class FlatStore(FileStore):
    """A map in JSON."""

    VERSIONS = False
    NAME = "flat:all.json"

    def write(self) -> bytes:
        """Return the map."""
        return json.dumps(self.values).encode()


class DotenvStore(FileStore):
    """Variables whose values are JSON."""

    VERSIONS = False
    NAME = "dotenv:all.env"

    def write(self) -> bytes:
        """Return the lines."""
        return "".join(f"{path}='{compact(values)}'\n" for path, values in self.values.items()).encode()


class DumpStore(FileStore):
    """What kubectl prints."""

    NAME = "k8s+file:dump.json"

    def write(self) -> bytes:
        """Return a list of objects; a folder is a namespace."""
        items = [
            {
                "kind": "Secret",
                "type": "Opaque",
                "metadata": {
                    "name": path.rpartition("/")[2],
                    "namespace": path.rpartition("/")[0],
                    "resourceVersion": str(self.versions[path]),
                },
                "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
            }
            for path, values in self.values.items()
        ]
        return json.dumps({"kind": "List", "items": items}).encode()


class BitwardenStore(FileStore):
    """An export of Bitwarden."""

    NAME = "bitwarden:export.json"

    def write(self) -> bytes:
        """Return items whose values are their own fields."""
        folders = sorted({path.rpartition("/")[0] for path in self.values} - {""})
        items = [
            {
                "type": 2,
                "name": path.rpartition("/")[2],
                "folderId": path.rpartition("/")[0] or None,
                "revisionDate": f"2026-01-01T00:00:{self.versions[path]:02}.000Z",
                "fields": [{"name": key, "value": text, "type": 1} for key, text in values.items()],
            }
            for path, values in self.values.items()
        ]
        listed = [{"id": folder, "name": folder} for folder in folders]
        return json.dumps({"encrypted": False, "folders": listed, "items": items}).encode()


class OnePasswordStore(FileStore):
    """An export of 1Password."""

    NAME = "1pux:export.1pux"

    def write(self) -> bytes:
        """Return vaults with items whose values are the fields of a section."""
        vaults: dict[str, list[object]] = {}
        for path, values in self.values.items():
            fields = [{"title": key, "value": {"concealed": text}} for key, text in values.items()]
            item = {
                "uuid": path,
                "updatedAt": 1_760_000_000 + self.versions[path],
                "overview": {"title": path.rpartition("/")[2]},
                "details": {"sections": [{"title": "", "fields": fields}]},
            }
            vaults.setdefault(path.rpartition("/")[0], []).append(item)
        listed = [{"attrs": {"name": name}, "items": items} for name, items in vaults.items()]
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("export.data", json.dumps({"accounts": [{"vaults": listed}]}))
        return content.getvalue()


class SopsStore(FileStore):
    """A file that the real ``sops`` encrypts for a key of age."""

    NAME = "sops:prod.enc.json"

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make a key, and put it and the program where users have theirs."""
        identity = pyrage.x25519.Identity.generate()
        self._recipient = str(identity.to_public())
        monkeypatch.setenv("SOPS_AGE_KEY", str(identity))
        monkeypatch.setenv("PATH", str(SOPS.parent), prepend=":")
        self._written: dict[str, Values] = {}

    def write(self) -> bytes:
        """Encrypt everything at first; later change only what changed."""
        if not self.path.exists() or self._written.keys() - self.values.keys():
            self.path.with_suffix(".plain").write_text(json.dumps(self.values))
            command = ["encrypt", "--age", self._recipient, "--input-type=json", "--output-type=json"]
            content = self._run(*command, str(self.path.with_suffix(".plain")))
        else:
            for path, values in self.values.items():
                if self._written.get(path) != values:
                    self._run("set", str(self.path), json.dumps([path]), json.dumps(values))
            content = self.path.read_bytes()
        self._written = dict(self.values)
        return content

    def _run(self, *arguments: str) -> bytes:
        done = subprocess.run([SOPS, *arguments], stdout=subprocess.PIPE, check=True)
        return done.stdout
