"""What bytes of a manifest are read from, and how its reading breaks off."""

from __future__ import annotations

from typing import Protocol


class BrokenError(Exception):
    """The rest of a manifest cannot be read; the text says why. `Manifest` turns it into an `InvalidLine`."""


class Readable(Protocol):
    """A file or a pipe, opened for bytes."""

    def read(self, size: int = -1, /) -> bytes | None:
        """Return at most `size` bytes, none at the end."""
        ...
