"""Files that only their owner may read: the master key and the generated access key."""

from __future__ import annotations

import os
from pathlib import Path

from bulkseed.errors import UsageError


def private_file(path: Path, make: bytes) -> bytes:
    """Return the content of a file that only its owner may read; create it with `make` if it is absent.

    Raises:
        UsageError: it cannot be read or written, or is empty.
    """
    try:
        if not path.exists():
            _write_private(path, make)
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot use {path}: {error.strerror}") from None
    if not content:
        raise UsageError(f"cannot use {path}: it is empty")
    return content


def _write_private(path: Path, content: bytes) -> None:
    """Create the file whole or not at all, and durably."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
