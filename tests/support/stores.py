"""Stores that the conformance tests fill: one class for each kind of source, all with the same methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

import pytest

from support.openbao import ROOT_TOKEN, Bao, openbao

Values = dict[str, str]


class Store:
    """A store with one folder for tests. `url` is the source of that folder.

    Attributes:
        PINS: an older version can be read.
        KEEPS_DELETED: a deleted secret is still listed.
        ODD: a name that only this kind can have, "" if KMS takes all of its names.
    """

    PINS: ClassVar[bool] = True
    KEEPS_DELETED: ClassVar[bool] = False
    ODD: ClassVar[str] = ""
    url: str

    def put(self, path: str, values: Values) -> None:
        """Create a secret, or give it a new version."""
        raise NotImplementedError

    def delete(self, path: str) -> None:
        """Delete a secret in the store's usual way."""
        raise NotImplementedError


class VaultStore(Store):
    """OpenBao, version 2 of the engine."""

    KEEPS_DELETED = True
    ODD = "a b/ä%?#c"

    def __init__(self, bao: Bao) -> None:
        self._bao = bao
        self.url = f"vault+http://{bao.host}/secret/prod"

    def put(self, path: str, values: Values) -> None:
        """Write a version."""
        from urllib.parse import quote

        self._bao.put("secret", quote(f"prod/{path}"), dict(values))

    def delete(self, path: str) -> None:
        """Delete the current version, softly."""
        self._bao.ask("DELETE", f"secret/data/prod/{path}")


@contextmanager
def _vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with openbao() as bao:
        monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
        yield VaultStore(bao)


STORES: Mapping[str, Callable[[pytest.MonkeyPatch], AbstractContextManager[Store]]] = {"vault": _vault}
