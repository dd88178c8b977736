"""The data folder, and files that only their owner may read: the master key and the generated access key."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from bulkseed.errors import UsageError

log = logging.getLogger(__name__)

_OURS = {".gitignore", "access-key", "kms.db", "kms.db-shm", "kms.db-wal", "master.key", "nonces"}


def prepare_folder(path: Path) -> None:
    """Make the data folder, or take the one that is there, so that only its owner may read it.

    Git is told to ignore it, unless it holds other things, too.

    Raises:
        UsageError: it cannot be used.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _tighten(path)
        names = {entry.name for entry in path.iterdir()}
        if names <= _OURS and ".gitignore" not in names:
            _write_private(path / ".gitignore", b"*\n")
        (path / "kms.db").touch(mode=0o600)
        _tighten(path / "kms.db")
    except OSError as error:
        raise UsageError(f"cannot use {path}: {error.strerror}") from None


def _tighten(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)
        log.warning("%s was open to others (mode %o): it is closed now", path, mode)


def private_file(path: Path, make: bytes) -> bytes:
    """Return the content of a file that only its owner may read; create it with `make` if it is absent.

    Raises:
        UsageError: it cannot be read or written, or is empty.
    """
    try:
        if not path.exists():
            _write_private(path, make)
        _tighten(path)
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
