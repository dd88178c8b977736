"""The service's records on SQLite: secrets, versions, keys; what is sealed stays sealed here.

One connection, exclusive to this process. The first write opens a transaction; `commit` puts everything since
then on disk (write-ahead log, synchronous=FULL), so that one commit can serve a group of requests. New
Generic secrets are written together before anything else is asked of the database (`new_secrets.py`).

What is deleted is overwritten, and after a deletion for good the log is emptied, too: the key file does not
bring it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bulkseed.errors import UsageError
from bulkseed.model import Fault
from bulkseed.service.storage.marks import TAMPERED, Marks, TamperedError
from bulkseed.service.storage.new_secrets import NewSecret, write_new
from bulkseed.service.storage.randomness import random_bytes
from bulkseed.service.storage.schema import (
    ADD_SECRET,
    ADD_VERSION,
    SAVE_SECRET,
    SCHEMA,
    SCHEMA_VERSION,
    SECRET_BY_NAME,
    SECRET_COLUMNS,
    VERSION_BY_ID,
)
from bulkseed.wire.fault import fault

CURRENT = "ACSCurrent"
PREVIOUS = "ACSPrevious"

_BLOCK_BITS = 10  # secrets are counted by blocks of 1,024 ids, so that any page of a list is found at once


@dataclass(slots=True)
class StoredSecret:
    """A secret without its values. Times are epoch seconds; `stages` maps a stage to its version id.

    `generation` tells a secret from an earlier one of the same name.
    """

    id: int | None
    name: str
    generation: str
    type: str
    key_id: str
    stages: dict[str, str]
    created: float
    updated: float
    creator: str
    instance_id: str | None = None
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    extended_config: str | None = None
    policy: str | None = None
    delete_at: float | None = None
    rotation_seconds: int | None = None
    rotation_state: str = "Disabled"
    next_rotation: float | None = None
    last_rotation: float | None = None
    rotating_to: str | None = None

    def identity(self, version_id: str, data_type: str) -> tuple[str, ...]:
        """Return what the sealed value of a version is bound to."""
        return self.name, self.generation, version_id, data_type

    def stages_of(self, version_id: str) -> tuple[str, ...]:
        """Return the stages that mark a version."""
        return tuple(stage for stage, marked in self.stages.items() if marked == version_id)


@dataclass(slots=True)
class Version:
    """One sealed value of a secret."""

    secret: int
    id: str
    data_type: str
    data_key: int
    sealed: bytes
    created: float


class Store:
    """Reads and writes records; `path` None keeps them in memory.

    `marks` must be set before secrets or keys are used.
    """

    marks: Marks

    def __init__(self, path: Path | None) -> None:
        self._scrub = False
        self._new: dict[str, NewSecret] = {}
        try:
            self._db = sqlite3.connect(
                path or ":memory:", isolation_level=None, cached_statements=256, timeout=1
            )
        except sqlite3.Error as error:
            raise UsageError(f"cannot use {path}: {error}") from None
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._db.close()
            used = "another process is using it (for several: bulkseed serve, and its --endpoint)"
            why = used if "locked" in str(error) else str(error)
            raise UsageError(f"cannot use {path}: {why}") from None
        self._recount()

    def _prepare(self) -> None:
        run = self._db.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA fullfsync = ON")  # macOS: fsync alone leaves data in the drive's cache
        run("PRAGMA secure_delete = ON")
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA cache_size = -65536")  # KiB, taken as needed: names come in no order of pages
        version = run("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(
                f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"it has format {version}, this is format {SCHEMA_VERSION}")

    def _recount(self) -> None:
        self._total = 0
        self._last_id: int = self._db.execute("SELECT coalesce(max(id), 0) FROM secrets").fetchone()[0]
        self._blocks: list[int] = []
        for block, count in self._db.execute(
            "SELECT id >> ? AS block, count(*) FROM secrets GROUP BY block ORDER BY block", (_BLOCK_BITS,)
        ):
            self._count(block << _BLOCK_BITS, count)

    def _count(self, row: int, change: int) -> None:
        block = row >> _BLOCK_BITS
        if block >= len(self._blocks):
            self._blocks += [0] * (block + 1 - len(self._blocks))
        self._blocks[block] += change
        self._total += change

    @property
    def secret_count(self) -> int:
        """Return how many secrets there are."""
        self._add_new()
        return self._total

    def has_room(self, most: int | None) -> bool:
        """Tell whether one more secret is within `most`, None for no limit; False where that is not sure."""
        return most is None or self._total < most

    @property
    def used(self) -> bool:
        """True when a master key has been in use with this database."""
        return self._db.execute("SELECT 1 FROM meta").fetchone() is not None

    @property
    def dirty(self) -> bool:
        """True while something written is not on disk."""
        return bool(self._new) or self._db.in_transaction

    def commit(self) -> None:
        """Put everything written so far on disk."""
        self._add_new()
        if self._db.in_transaction:
            self._db.execute("COMMIT")
            if self._scrub:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._scrub = False

    def scrub(self) -> None:
        """Empty the log with the next commit: something was deleted for good."""
        self._scrub = True

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block wrote, and nothing else, when it raises."""
        self.write("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.write("ROLLBACK TO part")
            self._recount()
            raise
        finally:
            self.write("RELEASE part")

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._new = {}
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._recount()

    def close(self) -> None:
        """Commit and close."""
        self.commit()
        self._db.close()

    def read(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a query."""
        if self._new:
            self._add_new()
        return self._db.execute(sql, parameters)

    def write(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a statement inside the open transaction, or a new one."""
        if self._new:
            self._add_new()
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        return self._db.execute(sql, parameters)

    def _add_new(self) -> None:
        """Write the new secrets."""
        if self._new:
            new, self._new = list(self._new.values()), {}
            for taken in list(write_new(self.write, new)):
                self._count(taken.id, -1)
                taken.refusal = self._why_taken(taken.name)

    def _why_taken(self, name: str) -> Fault:
        try:
            there = self.secret(name)
        except TamperedError:
            return fault("InternalFailure", TAMPERED)
        deleted = there is not None and there.delete_at is not None
        return fault("Rejected.ResourceInDeleteWindow" if deleted else "Rejected.ResourceExist")

    def secret(self, name: str) -> StoredSecret | None:
        """Return the secret called `name`."""
        row = self.read(SECRET_BY_NAME, name).fetchone()
        return None if row is None else self._read(row)

    def has(self, name: str) -> bool:
        """Tell whether there is a secret called `name`, also in its delete window."""
        return (
            name in self._new
            or self._db.execute("SELECT 1 FROM secrets WHERE name = ?", (name,)).fetchone() is not None
        )

    def is_new(self, name: str) -> bool:
        """Tell whether a secret called `name` waits to be written."""
        return name in self._new

    def secrets(self, where: str, *parameters: Any) -> Iterator[StoredSecret]:
        """Return secrets; `where` is a clause of our own, never text of a caller."""
        for row in self.read(f"SELECT {SECRET_COLUMNS} FROM secrets {where}", *parameters):  # noqa: S608  # see above
            yield self._read(row)

    def _read(self, row: tuple[Any, ...]) -> StoredSecret:
        secret = StoredSecret(*row[:-1])
        self.marks.check(row[-1], *_marked(secret, row[5]))
        secret.stages = orjson.loads(row[5])
        secret.tags = orjson.loads(row[11])
        return secret

    def page(self, first: int, size: int) -> Iterator[StoredSecret]:
        """Return `size` secrets, oldest first, after the `first` oldest ones."""
        self._add_new()
        for block, count in enumerate(self._blocks):
            if first < count:
                start = block << _BLOCK_BITS
                return self.secrets("WHERE id >= ? ORDER BY id LIMIT ? OFFSET ?", start, size, first)
            first -= count
        return iter(())

    def add_new(self, secret: NewSecret) -> None:
        """Store a new Generic secret, whose name does not wait already (`is_new`)."""
        self._last_id += 1
        secret.id = self._last_id
        self._new[secret.name] = secret
        self._count(secret.id, 1)

    def add_secret(self, secret: StoredSecret) -> int:
        """Store a new secret whose name is free, and return its row id."""
        secret.generation = random_bytes(8).hex()
        self._add_new()
        self._last_id += 1
        self.write(ADD_SECRET, self._last_id, *self._columns(secret))
        self._count(self._last_id, 1)
        return self._last_id

    def save_secret(self, secret: StoredSecret) -> None:
        """Store the changes of a secret."""
        self.write(SAVE_SECRET, *self._columns(secret), secret.id)

    def remove_secret(self, secret: StoredSecret) -> None:
        """Delete a secret and all its versions."""
        assert secret.id is not None  # noqa: S101  # it is stored
        self.write("DELETE FROM secrets WHERE id = ?", secret.id)
        self._count(secret.id, -1)
        self.scrub()

    def _columns(self, s: StoredSecret) -> tuple[Any, ...]:
        stages = as_json(s.stages)
        # fmt: off
        return (
            s.name, s.generation, s.type, s.key_id, stages, s.created, s.updated, s.creator, s.instance_id,
            s.description, as_json(s.tags), s.extended_config, s.policy, s.delete_at, s.rotation_seconds,
            s.rotation_state, s.next_rotation, s.last_rotation, s.rotating_to,
            self.marks.of(*_marked(s, stages)),
        )
        # fmt: on

    def version(self, secret: StoredSecret, version_id: str) -> Version | None:
        """Return one version of a secret."""
        row = self.read(VERSION_BY_ID, secret.id, version_id).fetchone()
        return None if row is None else Version(*row)

    def add_version(self, version: Version) -> None:
        """Store a new version."""
        v = version
        self.write(ADD_VERSION, v.secret, v.id, v.data_type, v.data_key, v.sealed, v.created)

    def remove_version(self, secret: StoredSecret, version_id: str) -> None:
        """Delete one version."""
        self.write("DELETE FROM versions WHERE secret = ? AND id = ?", secret.id, version_id)

    def version_ids(self, secret: StoredSecret) -> list[tuple[str, float]]:
        """Return ids and creation times of a secret's versions, oldest first."""
        sql = "SELECT id, created FROM versions WHERE secret = ? ORDER BY rowid"
        return self.read(sql, secret.id).fetchall()


def _marked(s: StoredSecret, stages: str) -> tuple[str | float | None, ...]:
    delete_at = None if s.delete_at is None else float(s.delete_at)  # as SQLite gives it back
    # fmt: off
    return (
        s.name, s.generation, s.type, s.key_id, stages, s.instance_id, s.extended_config, s.policy,
        s.rotating_to, delete_at,
    )
    # fmt: on


def as_json(mapping: dict[str, str]) -> str:
    """Return stages or tags as they are stored."""
    return orjson.dumps(mapping).decode() if mapping else "{}"
