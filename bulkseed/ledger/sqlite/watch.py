"""Notices what somebody does to the ledger's files during a run: renamed, deleted, replaced, overwritten.

SQLite would go on writing into a file that nobody finds any more. The files are looked at before each
transaction and compared with how our own last commit left them.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bulkseed.errors import LedgerDamagedError, LedgerError
from bulkseed.ledger.sqlite.file import reachable

_HEAD = 64 << 10
"""Bytes at the beginning of the file that tell one content from another: header, schema, meta, first runs."""


class _FileState(NamedTuple):
    device: int
    inode: int
    size: int
    changed_at: int


class FileWatch:
    """Watches a ledger and its log. Make it before SQLite opens the file, close it when SQLite has closed it.

    Its own descriptor stays open that long: closing one drops the locks that SQLite holds on the file.

    Attributes:
        is_moved: the file has another name.
        is_lost: the file was deleted or replaced, so that what is in it is gone when it is closed.
    """

    def __init__(self, path: Path) -> None:
        self.is_lost = self.is_moved = False
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._told = False  # of a file that can be written to the end, though not under its name
        with reachable(path):
            self._fd = os.open(path, os.O_RDONLY)
        self._file: _FileState | None = None
        self._log_seen: _FileState | None = None
        self._sum = 0

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)

    def note(self) -> None:
        """Remember the files as a commit of our own has left them."""
        now = _look(self._path)
        if now != self._file:
            self._file, self._sum = now, self._checksum()
        self._log_seen = _look(self._log)

    def require_untouched(self) -> None:
        """Stop a run whose ledger somebody has touched. Answers that come later can still be written.

        Raises:
            LedgerDamagedError: the file was overwritten or truncated; raised each time.
            LedgerError: it was renamed, deleted or replaced; raised once.
        """
        if self._told:
            return
        file = _look(self._path)
        if self._file is not None and (file is None or file[:2] != self._file[:2]):
            self._told = True
            raise LedgerError(f"ledger {self._path} was {self._whereabouts(file)}")
        if file != self._file and file is not None and self._file is not None:
            if file.size != self._file.size or self._checksum() != self._sum:
                raise LedgerDamagedError(
                    f"ledger {self._path} was overwritten or truncated while it was in use:"
                    " restore a copy, or start a new one with another --ledger"
                )
            self._file = file
        log = _look(self._log)
        if self._log_seen is not None and (log is None or log[:3] != self._log_seen[:3]):
            self._told = True
            raise LedgerError(
                f"ledger {self._path}: {self._log.name} was removed or changed while it was in use;"
                f" look into the ledger (bulkseed ledger audit {self._path}) before it is used again"
            )

    def rescue_path(self) -> Path:
        """Return the path of a new file for the rows of a file that was deleted."""
        name, number = f"{self._path.name}.rescued", 1
        while (path := self._path.with_name(name)).exists():
            number += 1
            name = f"{self._path.name}.rescued-{number}"
        return path

    def _whereabouts(self, found: _FileState | None) -> str:
        where = _path_of(self._fd)
        self.is_moved = os.fstat(self._fd).st_nlink > 0
        if where is not None and where.exists() and os.path.samestat(where.stat(), os.fstat(self._fd)):
            return f"renamed while it was in use: its rows are in {where}, all of them once this command ends"
        if self.is_moved:
            return (
                "renamed while it was in use: its rows are in that file, all of them once this command ends"
            )
        self.is_lost = True
        how = "deleted" if found is None else "replaced by another file"
        return f"{how} while it was in use: its rows will be in {self.rescue_path()} when this command ends"

    def _checksum(self) -> int:
        return zlib.crc32(os.pread(self._fd, _HEAD, 0))


def _look(path: Path) -> _FileState | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return _FileState(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _path_of(fd: int) -> Path | None:
    """Return the path of an open file where the system tells it (Linux, macOS)."""
    with suppress(OSError, ValueError):
        if hasattr(fcntl, "F_GETPATH"):
            return Path(os.fsdecode(fcntl.fcntl(fd, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
        return Path(f"/proc/self/fd/{fd}").readlink()
    return None
