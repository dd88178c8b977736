"""Exports of password managers: Bitwarden's JSON (``bitwarden:x.json``), 1Password's 1pux (``1pux:x.1pux``).

Both are plaintext on disk by their nature; nothing is written here. Names of items are not unique there, so
two of one name collide, and each is a row that says so.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bulkseed.errors import ManifestError
from bulkseed.sources.content import ExactNumber, decode_json
from bulkseed.sources.kinds.shared.held import Held, HeldSource
from bulkseed.sources.protocol import Reference, Value


class Bitwarden(HeldSource):
    """Every item is a map: user name, password, notes, and its own fields; its path is ``folder/name``."""

    def load(self) -> Held:
        """Yield every item."""
        found = _decoded(self.content(), self.spec.label)
        if found.get("encrypted"):
            raise ManifestError(
                f"{self.spec.label}: is encrypted: export it as .json, not as encrypted .json"
            )
        groups = (*(found.get("folders") or ()), *(found.get("collections") or ()))
        passkeys = 0
        folders = {group.get("id"): str(group.get("name") or "") for group in groups}
        for item in found.get("items") or ():
            owners = [item.get("folderId"), *(item.get("collectionIds") or ())]
            folder = next((folders[owner] for owner in owners if owner in folders), "")
            login, key = item.get("login") or {}, item.get("sshKey") or {}
            values = {
                "username": login.get("username"),
                "password": login.get("password"),
                "totp": login.get("totp"),
                "uri": next((uri.get("uri") for uri in login.get("uris") or ()), None),
                "notes": item.get("notes"),
                **{name: key.get(name) for name in ("privateKey", "publicKey")},
                **(item.get("card") or {}),
                **(item.get("identity") or {}),
            }
            own = ((field.get("name"), field.get("value")) for field in item.get("fields") or ())
            passkeys += bool(login.get("fido2Credentials"))
            reference = Reference(
                _joined(folder, item.get("name")),
                item.get("revisionDate"),
                "is deleted: it is in the bin" if item.get("deletedDate") else None,
            )
            yield _entry(reference, [*values.items(), *own])
        if passkeys:
            self.notes = [f"passkeys stay behind; items that have one: {passkeys:,}"]


class OnePassword(HeldSource):
    """Every item is a map of its fields; its path is ``vault/title``."""

    _files = 0

    def load(self) -> Held:
        """Yield every item."""
        try:
            with zipfile.ZipFile(io.BytesIO(self.content())) as archive:
                content = archive.read("export.data")
        except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError):
            raise ManifestError(f"{self.spec.label}: is no export of 1Password (1pux)") from None
        for account in _decoded(content, self.spec.label).get("accounts") or ():
            for vault in account.get("vaults") or ():
                folder = (vault.get("attrs") or {}).get("name") or ""
                for item in vault.get("items") or ():
                    yield self._item(folder, item.get("item") or item)
        if self._files:
            self.notes = [f"files stay behind; items that have one: {self._files:,}"]

    def _item(self, folder: str, item: dict[str, Any]) -> tuple[Reference, Value]:
        details, overview = item.get("details") or {}, item.get("overview") or {}
        pairs = [
            (field.get("designation") or field.get("name"), field.get("value"))
            for field in details.get("loginFields") or ()
        ]
        fields = [
            (field.get("title") or field.get("id"), field.get("value") or {})
            for section in details.get("sections") or ()
            for field in section.get("fields") or ()
        ]
        pairs += [(name, next(iter(value.values()), None)) for name, value in fields if "file" not in value]
        self._files += "documentAttributes" in details or any("file" in value for _, value in fields)
        pairs += [("password", details.get("password")), ("notes", details.get("notesPlain"))]
        updated = item.get("updatedAt")
        state = item.get("state") or ("trashed" if str(item.get("trashed")).lower() in {"y", "true"} else "")
        reference = Reference(
            _joined(folder, overview.get("title")),
            f"u{updated.text if isinstance(updated, ExactNumber) else updated}" if updated else None,
            "is archived or deleted" if state in {"archived", "trashed", "deleted"} else None,
        )
        return _entry(reference, pairs)


def _decoded(content: bytes, label: str) -> dict[str, Any]:
    try:
        found = decode_json(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ManifestError(f"{label}: is not such an export: its JSON cannot be read")
    return found


def _joined(folder: str, name: object) -> str:
    return f"{folder}/{name or 'unnamed'}" if folder else str(name or "unnamed")


def _entry(reference: Reference, pairs: Iterable[tuple[object, object]]) -> tuple[Reference, Value]:
    """Return an item with a map of what is not empty; of two fields with one name the later gets a number."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if value in (None, "", [], {}):
            continue
        key, number = str(name or "field"), 2
        while key in found and found[key] != value:
            key, number = f"{name or 'field'} {number}", number + 1
        found[key] = value
    if not found and reference.problem is None:
        reference = replace(reference, problem="has no field with a value that can be moved")
    return reference, found
