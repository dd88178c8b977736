"""What the stores of the conformance tests have in common."""

from __future__ import annotations

import json
from typing import ClassVar

Values = dict[str, str]


class Store:
    """A store with one folder for tests. `url` is the source of that folder.

    Attributes:
        PINS: an older version can be read.
        VERSIONS: the store has versions.
        HELD: what was listed can be read, whatever happens meanwhile.
        KEEPS_DELETED: a deleted secret is still listed.
        LARGE: it takes values that KMS does not.
        ODD: a name that only this kind can have, "" if KMS takes all of its names.
    """

    PINS: ClassVar[bool] = True
    VERSIONS: ClassVar[bool] = True
    HELD: ClassVar[bool] = False
    KEEPS_DELETED: ClassVar[bool] = False
    LARGE: ClassVar[bool] = True
    ODD: ClassVar[str] = ""
    url: str

    def put(self, path: str, values: Values) -> None:
        """Create a secret, or give it a new version."""
        raise NotImplementedError

    def delete(self, path: str) -> None:
        """Delete a secret in the store's usual way."""
        raise NotImplementedError


def compact(values: Values) -> str:
    """Return JSON as bulkseed writes it."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
