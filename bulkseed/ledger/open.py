"""Opening a ledger for writing: one writer, one target, durable commits."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path

from bulkseed.errors import LedgerError, LedgerTargetError
from bulkseed.ledger.binding import EMBEDDED, binding_of
from bulkseed.ledger.ledger import Ledger
from bulkseed.ledger.reader import LedgerReader
from bulkseed.ledger.rows import iso
from bulkseed.ledger.sqlite.file import (
    checkpoint,
    connect,
    file_id,
    in_words,
    is_new,
    make_private,
    this_host,
    warn_of_lost_log,
)
from bulkseed.ledger.sqlite.lock import WriterLock
from bulkseed.ledger.sqlite.schema import APPLICATION_ID, LATER_COLUMNS_OF_RUNS, TABLES, VERSION
from bulkseed.ledger.sqlite.watch import FileWatch
from bulkseed.model import Target

_LOG_LIMIT = 8 << 20
"""Bytes to which the log is cut when a reader that held it back has gone."""


def open_ledger(
    path: str | os.PathLike[str],
    target: Target,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    create: bool = True,
) -> Ledger:
    """Open a ledger for writing, or make a new one, bound to the target's region and host.

    `data_dir` is the folder of a local KMS that runs in this process: it stands for the host, as the port
    changes. The account is bound when the first ARN is recorded.

    Raises:
        LedgerBusyError: another process is writing to it; the message names that process.
        LedgerTargetError: it belongs to another target.
        LedgerDamagedError: it is not a ledger, is damaged, or comes from another version.
        LedgerError: it cannot be written, or does not exist and `create` is False.
    """
    path = Path(path)
    lock = WriterLock(path, create=create)
    connection = watch = None
    try:
        watch = FileWatch(path)
        with in_words(path):
            connection = connect(path)
            if is_new(connection, path):
                _make(connection, binding_of(target, data_dir), target, data_dir)
            else:
                _check_target(path, connection, binding_of(target, data_dir), target.region)
                _add_columns(connection)
                warn_of_lost_log(connection, path)
            make_private(path)
            _use_log(path, connection)
            lock.require_alone(connection)
            _remember(connection, path, target, data_dir)
            checkpoint(connection, path)
            watch.note()
    except BaseException:
        if connection is not None:
            connection.close()
        if watch is not None:
            watch.close()
        lock.release()
        raise
    return Ledger(path, connection, lock, watch)


def require_target(
    ledger: LedgerReader, target: Target, *, data_dir: str | os.PathLike[str] | None = None
) -> None:
    """Refuse a ledger that is open for reading and bound to another target; `data_dir` as in `open_ledger`.

    Raises:
        LedgerTargetError: it belongs to another target.
    """
    with in_words(ledger.path):
        _check_target(ledger.path, ledger.connection, binding_of(target, data_dir), target.region)


def _make(
    connection: sqlite3.Connection, binding: str, target: Target, data_dir: str | os.PathLike[str] | None
) -> None:
    """Make the tables in the file itself, before there is a log: no copy of it is ever without them.

    Nor without its target: what was killed right after this is a ledger like another.
    """
    connection.execute("PRAGMA page_size = 8192")  # commits take a quarter less than with 4096 (measured)
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [
            ("binding", binding),
            ("region", target.region),
            ("created_at", iso(time.time())),
            *_reached(target, data_dir).items(),
        ],
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _add_columns(connection: sqlite3.Connection) -> None:
    """Give a ledger of an earlier version the columns that came since; that version does not mind them."""
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(runs)")}
    for name, kind in LATER_COLUMNS_OF_RUNS.items():
        if name not in there:
            connection.execute(f"ALTER TABLE runs ADD COLUMN {name} {kind}")


def _use_log(path: Path, connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"ledger {path} cannot be kept on this file system: it has no shared memory for SQLite"
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "PRAGMA fullfsync = ON"
    )  # macOS: fsync alone does not reach the disk (SQLite's pragmas)
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT}")


def _remember(
    connection: sqlite3.Connection, path: Path, target: Target, data_dir: str | os.PathLike[str] | None
) -> None:
    """Write down who is writing, and how the target was reached, so that other commands need not be told."""
    writer = {"pid": os.getpid(), "host": this_host(), "since": iso(time.time()), "file": file_id(path)}
    reached = {**_reached(target, data_dir), "writer": json.dumps(writer)}
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", reached.items())
    connection.execute("COMMIT")


def _reached(target: Target, data_dir: str | os.PathLike[str] | None) -> dict[str, str]:
    reached = {"endpoint": target.endpoint, "signature": target.signature}
    if data_dir is not None:
        reached |= {"endpoint": EMBEDDED, "data_dir": str(Path(data_dir).resolve())}
    return reached


def _check_target(path: Path, connection: sqlite3.Connection, binding: str, region: str) -> None:
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    if (meta.get("binding"), meta.get("region")) != (binding, region):
        raise LedgerTargetError(
            f"ledger {path} belongs to {meta.get('binding')} in {meta.get('region')},"
            f" not to {binding} in {region}: name that target (--endpoint, --region) or use another --ledger"
        )
