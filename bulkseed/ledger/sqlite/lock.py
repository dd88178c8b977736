"""One writer per ledger, on this machine: a lock on the file itself that dies with its process."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

from bulkseed.errors import LedgerBusyError, LedgerError
from bulkseed.ledger.sqlite.file import connect_read_only, reachable

_guard = threading.Lock()
_held: set[tuple[int, int]] = set()  # device and inode of every ledger that this process writes to


class WriterLock:
    """Held from construction to `release`. Creates the file if `create`; an empty one gets mode 0600.

    Closing any descriptor of a file drops the locks that SQLite holds on it in the same process. So `release`
    comes after SQLite has closed, and a ledger that this process has open already is refused before a second
    descriptor exists.

    Raises:
        LedgerBusyError: another process, or this one, has it.
        LedgerError: there is no such file, or it cannot be written.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        with _guard, reachable(path):
            if path.exists():
                if _identity(path) in _held:
                    raise _busy(path)
            elif not create:
                raise LedgerError(f"there is no ledger {path}")
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                refusal = _busy(path) if isinstance(error, BlockingIOError) else error
                os.close(self._fd)
                raise refusal from None
            status = os.fstat(self._fd)
            if stat.S_ISREG(status.st_mode) and not status.st_size:
                os.fchmod(self._fd, 0o600)  # it may have been there, for everybody to read
            self._key = _identity(self._fd)
            _held.add(self._key)

    def release(self) -> None:
        """Let the next writer in."""
        _held.discard(self._key)
        os.close(self._fd)


def _identity(file: Path | int) -> tuple[int, int]:
    status = os.stat(file)  # noqa: PTH116  # a descriptor, too
    return status.st_dev, status.st_ino


def _busy(path: Path) -> LedgerBusyError:
    who = "another process"
    try:
        with closing(connect_read_only(path)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'writer'").fetchone()
        if row:
            writer = json.loads(row[0])
            who = f"process {writer['pid']} on {writer['host']} since {writer['since']}"
    except sqlite3.Error:
        pass  # it is being created at this moment
    return LedgerBusyError(f"ledger {path} is in use by {who}: wait for it to end, or use another --ledger")
