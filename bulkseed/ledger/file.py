"""The ledger as a file: opened with the right mode, of the right kind, and its faults in clear words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkseed.errors import LedgerBusyError, LedgerDamagedError, LedgerError
from bulkseed.ledger.schema import APPLICATION_ID, VERSION

_NOT_A_LEDGER = "is not a ledger: use another --ledger"
_DAMAGED = "is damaged ({error}): restore a copy, or start a new one with another --ledger"
_IN_USE = "is locked by another program ({error}): close it and run again"
_WORDS: dict[int, tuple[type[LedgerError], str]] = {
    sqlite3.SQLITE_NOTADB: (LedgerDamagedError, _NOT_A_LEDGER),
    sqlite3.SQLITE_CORRUPT: (LedgerDamagedError, _DAMAGED),
    sqlite3.SQLITE_BUSY: (LedgerBusyError, _IN_USE),
    sqlite3.SQLITE_LOCKED: (LedgerBusyError, _IN_USE),
    sqlite3.SQLITE_FULL: (LedgerError, "cannot grow, its disk is full: make room and run again to resume"),
    sqlite3.SQLITE_IOERR: (
        LedgerError,
        "cannot be written or read ({error}): its disk may be full, over a quota or failing",
    ),
    sqlite3.SQLITE_READONLY: (LedgerError, "or its folder is read-only for this user ({error})"),
    sqlite3.SQLITE_CANTOPEN: (LedgerError, "cannot be opened: may this user write to its folder? ({error})"),
}


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn what SQLite raises inside into a `LedgerError`."""
    try:
        yield
    except sqlite3.Error as error:
        kind, words = _WORDS.get(_code(error), (LedgerError, "failed: {error}"))
        raise kind(f"ledger {path} {words.format(error=error)}") from error


@contextmanager
def reachable(path: Path) -> Iterator[None]:
    """Turn what the file system raises while a ledger is opened into a `LedgerError`."""
    try:
        yield
    except OSError as error:
        raise LedgerError(f"ledger {path} cannot be used: {error.strerror}") from error


def connect(file: Path | str) -> sqlite3.Connection:
    """Open a file, or a file URI, to be used by one thread at a time. Transactions are begun explicitly."""
    return sqlite3.connect(file, uri=isinstance(file, str), isolation_level=None, check_same_thread=False)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a ledger that may be in use, was killed, or lies where nothing can be written."""
    uri = path.absolute().as_uri() + "?mode=ro"
    connection = connect(uri)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if _code(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
    else:
        return connection
    # The index of the write-ahead log cannot be made here, so nobody writes here: no locks are needed.
    if not path.with_name(f"{path.name}-wal").exists():
        return connect(uri + "&immutable=1")
    connection = connect(uri + "&vfs=unix-none")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # keeps the index in memory
    return connection


def is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell a file without content from a ledger that this version understands.

    Raises:
        LedgerDamagedError: it is neither.
    """
    kind, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if (kind, version, tables) == (0, 0, 0):
        return True
    if kind != APPLICATION_ID:
        raise LedgerDamagedError(f"ledger {path} {_NOT_A_LEDGER}")
    if version > VERSION:
        raise LedgerDamagedError(
            f"ledger {path} was written by a newer bulkseed (format {version}, this one knows {VERSION}): "
            "update bulkseed, or use another --ledger"
        )
    return False


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; errors of the Python module itself have none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def this_host() -> str:
    """Name the machine, for the ledger of who writes where."""
    return os.uname().nodename
