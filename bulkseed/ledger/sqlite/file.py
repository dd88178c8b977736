"""The ledger as a file: opened with the right mode, of the right kind, and its faults in clear words."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkseed.errors import LedgerBusyError, LedgerDamagedError, LedgerError
from bulkseed.ledger.sqlite.schema import APPLICATION_ID, VERSION

_LOG = logging.getLogger("bulkseed.ledger")
_NOT_A_LEDGER = "is not a ledger: use another --ledger"
_NO_LOG = (
    "has lost its content: it was copied without the file {name}-wal that lay beside it;"
    " copy both, or use another --ledger"
)
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


OLDEST_SQLITE = (3, 35)


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


def require_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse a library without RETURNING or UPDATE FROM: Python 3.11 is also built against older ones.

    Raises:
        LedgerError: it is too old.
    """
    if version < OLDEST_SQLITE:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise LedgerError(
            f"this Python has SQLite {found} and a ledger needs {needed}: use a Python with a newer one"
        )


def connect(file: Path | str) -> sqlite3.Connection:
    """Open a file, or a file URI, to be used by one thread at a time. Transactions are begun explicitly."""
    require_sqlite()
    return sqlite3.connect(file, uri=isinstance(file, str), isolation_level=None, check_same_thread=False)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a ledger that may be in use, was killed, or lies where nothing can be written."""
    uri = path.absolute().as_uri() + "?mode=ro"
    connection = connect(uri)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
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
        LedgerDamagedError: it is neither, or was copied without its log.
    """
    size = path.stat().st_size
    kind, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if (kind, version, tables) == (0, 0, 0):
        # Tables are made before there is a log: those that are only in a log which is not here were lost. But
        # a creation may just be going on, or have been undone by these questions.
        if size and path.stat().st_size:
            raise LedgerDamagedError(f"ledger {path} {_NO_LOG.format(name=path.name)}")
        return True
    if kind != APPLICATION_ID:
        raise LedgerDamagedError(f"ledger {path} {_NOT_A_LEDGER}")
    if version != VERSION:
        other, cure = (
            ("a newer", "update bulkseed") if version > VERSION else ("an older", "go on with that one")
        )
        raise LedgerDamagedError(
            f"ledger {path} was written by {other} bulkseed (format {version}, this one knows {VERSION}): "
            f"{cure}, or use another --ledger"
        )
    return False


def warn_of_lost_log(connection: sqlite3.Connection, path: Path) -> None:
    """Say so if the last writer was killed and this is a copy without its log: rows may be missing.

    A kill leaves the log. Where the file itself is still in its place and the log is gone, another program
    has opened it and SQLite has taken the log in.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'writer'").fetchone()
    log = path.with_name(f"{path.name}-wal")
    if not row or (log.exists() and log.stat().st_size):
        return
    writer = json.loads(row[0])
    if (writer["host"], writer["file"]) != (this_host(), file_id(path)):
        _LOG.warning(
            "ledger %s was not closed by process %s on %s, and %s is not beside it: "
            "if this is a copy, what that process did last is missing; copy both files",
            *(path, writer["pid"], writer["host"], log.name),
        )


def file_id(path: Path) -> str:
    """Name a file so that a copy of it, or the file in another folder, has another name."""
    return f"{path.stat().st_ino} {path.resolve()}"


def make_private(path: Path) -> None:
    """Let nobody but the owner read a ledger that exists, and its log; say so if others could.

    Raises:
        LedgerError: it belongs to another user.
    """
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        try:
            status = file.stat()
            if not status.st_mode & 0o077:
                continue
            file.chmod(0o600)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LedgerError(
                f"ledger {file} is open to other users (mode {status.st_mode & 0o777:o}) and that cannot be"
                f" changed ({error.strerror}): let its owner run chmod 600"
            ) from error
        if file == path and status.st_size:
            _LOG.warning(
                "ledger %s was open to other users (mode %o); now its owner alone may use it",
                *(file, status.st_mode & 0o777),
            )


def checkpoint(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file itself up to its log, so that even a copy without the log knows so much.

    Not inside a transaction, and not past what a reader still needs: nobody is waited for.
    """
    if not connection.in_transaction:
        with in_words(path):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; errors of the Python module itself have none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def this_host() -> str:
    """Name the machine, for the ledger of who writes where."""
    return os.uname().nodename
