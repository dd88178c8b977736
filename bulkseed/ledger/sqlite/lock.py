"""One writer per ledger, on this machine: a lock on a file beside it that dies with its process.

The lock is not on the ledger itself: where the system keeps one table for all kinds of locks (macOS, the
BSDs, NFS on Linux) it would keep SQLite out as well. And closing any descriptor of the ledger would drop the
locks that SQLite holds on it in the same process.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from bulkseed.errors import LedgerBusyError, LedgerError
from bulkseed.ledger.sqlite.file import connect_read_only, reachable


class WriterLock:
    """Held from construction to `release`. Creates the ledger's file, empty and with mode 0600, if `create`.

    Raises:
        LedgerBusyError: another process, or this one, has it.
        LedgerError: there is no such file, or it cannot be written.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        with reachable(path):
            if not create and not path.exists():
                raise LedgerError(f"there is no ledger {path}")
            if path.is_dir():
                raise IsADirectoryError(0, "Is a directory")
            self._lock = lock_path(path)
            try:
                self._fd = _lock(self._lock)
            except PermissionError as error:
                raise LedgerError(
                    f"ledger {path} cannot be used: this user may not write to its folder ({error.strerror})"
                ) from error
            if self._fd is None:
                raise _busy(path)
            try:
                if not path.exists():
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                self._file = _identity(path)
            except BaseException:
                self.release()
                raise

    def require_alone(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that was replaced while it was opened, or that a writer has open under another name.

        Raises:
            LedgerBusyError: a writer of this machine has it, by a link or by the name that it had before.
            LedgerError: its path leads to another file by now.
        """
        with reachable(self._path):
            if _identity(self._path) != self._file:
                raise LedgerError(f"ledger {self._path} was replaced while it was opened: run again")
        row = connection.execute("SELECT value FROM meta WHERE key = 'writer'").fetchone()
        if row:
            inode, _, other = json.loads(row[0])["file"].partition(" ")
            if (
                inode == str(self._file[1])
                and Path(other) != self._path.resolve()
                and is_at_work(Path(other))
            ):
                raise _busy(self._path)

    def release(self) -> None:
        """Let the next writer in."""
        if self._fd is not None:
            with suppress(OSError):
                self._lock.unlink()  # while it is held, so that nobody waits for a name that goes
            os.close(self._fd)
            self._fd = None


def lock_path(path: Path) -> Path:
    """Return the file that a writer locks: beside the ledger, whatever link leads to it."""
    real = path.resolve()
    return real.with_name(f"{real.name}-lock")


def is_at_work(path: Path) -> bool:
    """Tell whether a process of this machine is writing to a ledger."""
    try:
        fd = os.open(lock_path(path), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock; None if another one does."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass  # its last holder removed it at this moment
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
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
