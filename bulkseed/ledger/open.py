"""Opening a ledger for writing: one writer, one target, durable commits."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlsplit

from bulkseed.errors import LedgerError, LedgerTargetError
from bulkseed.ledger.ledger import Ledger
from bulkseed.ledger.reader import LedgerReader
from bulkseed.ledger.rows import iso
from bulkseed.ledger.sqlite.file import checkpoint, connect, in_words, is_new, this_host, warn_of_lost_log
from bulkseed.ledger.sqlite.lock import WriterLock
from bulkseed.ledger.sqlite.schema import APPLICATION_ID, TABLES, VERSION
from bulkseed.model import Target


def open_ledger(
    path: str | os.PathLike[str], target: Target, *, binding: str | None = None, create: bool = True
) -> Ledger:
    """Open a ledger for writing, or make a new one, bound to the target's region and host.

    `binding` stands for the host where that does not name the service (a local one on a port that changes).

    Raises:
        LedgerBusyError: another process is writing to it; the message names that process.
        LedgerTargetError: it belongs to another target.
        LedgerDamagedError: it is not a ledger, is damaged, or comes from another version.
        LedgerError: it cannot be written, or does not exist and `create` is False.
    """
    path = Path(path)
    lock = WriterLock(path, create=create)
    connection = None
    try:
        with in_words(path):
            connection = connect(path)
            if is_new(connection, path):
                _make(connection, binding or _host(target.endpoint), target.region)
            else:
                _check_target(path, connection, binding or _host(target.endpoint), target.region)
                warn_of_lost_log(connection, path)
            _use_log(path, connection)
            connection.execute("PRAGMA synchronous = FULL")
            writer = {"pid": os.getpid(), "host": this_host(), "since": iso(time.time())}
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('writer', ?)", (json.dumps(writer),))
            checkpoint(connection, path)
    except BaseException:
        if connection is not None:
            connection.close()
        lock.release()
        raise
    return Ledger(path, connection, lock)


def require_target(ledger: LedgerReader, target: Target, *, binding: str | None = None) -> None:
    """Refuse a ledger that is open for reading and bound to another target; `binding` as in `open_ledger`.

    Raises:
        LedgerTargetError: it belongs to another target.
    """
    with in_words(ledger.path):
        _check_target(ledger.path, ledger.connection, binding or _host(target.endpoint), target.region)


def _make(connection: sqlite3.Connection, binding: str, region: str) -> None:
    """Make the tables in the file itself, before there is a log: no copy of it is ever without them."""
    connection.execute("PRAGMA page_size = 8192")  # commits take a quarter less than with 4096 (measured)
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [("binding", binding), ("region", region), ("created_at", iso(time.time()))],
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _use_log(path: Path, connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"ledger {path} cannot be kept on this file system: it has no shared memory for SQLite"
        )


def _check_target(path: Path, connection: sqlite3.Connection, binding: str, region: str) -> None:
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    if (meta.get("binding"), meta.get("region")) != (binding, region):
        raise LedgerTargetError(
            f"ledger {path} belongs to {meta.get('binding')} in {meta.get('region')},"
            f" not to {binding} in {region}: name that target (--endpoint, --region) or use another --ledger"
        )


def _host(endpoint: str) -> str:
    """Return host[:port] of a URL, without the port that its scheme implies."""
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    implied = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return parts.netloc.rpartition("@")[2].lower().removesuffix(implied)
