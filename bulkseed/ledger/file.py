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
    sqlite3.SQLITE_READONLY: (LedgerError, "is read-only ({error})"),
    sqlite3.SQLITE_CANTOPEN: (LedgerError, "cannot be opened ({error}): may this user write to its folder?"),
}


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn whatever SQLite or the file system raises inside into a `LedgerError`."""
    try:
        yield
    except sqlite3.Error as error:
        kind, words = _WORDS.get(
            getattr(error, "sqlite_errorcode", 0) & 0xFF, (LedgerError, "failed: {error}")
        )
        raise kind(f"ledger {path} {words.format(error=error)}") from error
    except OSError as error:
        raise LedgerError(f"ledger {path} cannot be used: {error.strerror}") from error


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing file for writing. The caller holds the writer lock."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a ledger that may be in use, was killed, or lies where nothing can be written."""
    uri = path.absolute().as_uri() + "?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        # The index of the write-ahead log cannot be made here. Nobody writes here either, so the file may be
        # read without locks; its index is then kept in memory.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CANTOPEN or not path.is_file():
            raise
        connection = sqlite3.connect(
            uri + "&nolock=1", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
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


def this_host() -> str:
    """Name the machine, for the ledger of who writes where."""
    return os.uname().nodename
