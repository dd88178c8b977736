"""New Generic secrets, each with its first version: they wait for each other, and are written together.

A statement with many rows costs less than many statements, and to insert a name that may be there already
costs less than to look for it first. So whoever adds a secret learns with the commit whether its name was
free.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from bulkseed.model import Fault
from bulkseed.service.storage.schema import ADD_VERSION

_SECRET = (
    *("id", "name", "generation", "key_id", "stages", "created", "updated", "creator", "instance_id"),
    *("description", "tags", "policy", "mark"),
)
_ROW = f"({', '.join('?' * len(_SECRET))}, 'Generic', 'Disabled')"
_ADD = f"INSERT OR IGNORE INTO secrets ({', '.join(_SECRET)}, type, rotation_state) VALUES {_ROW}"  # noqa: S608  # the names above
_VERSION_ROW = ", (?, ?, ?, ?, ?, ?)"
_STEPS = tuple(
    (rows, _ADD + f", {_ROW}" * (rows - 1), ADD_VERSION + _VERSION_ROW * (rows - 1)) for rows in (16, 4, 1)
)
"""How many rows a statement has, and the statements."""


class NewSecret:
    """A secret to be stored: what its rows say after the row id.

    `row` follows the columns from ``name`` on, `version` those from ``id`` on. `refusal` is set when the
    secret is not stored, because its name is there already.
    """

    __slots__ = ("id", "name", "refusal", "row", "version")

    def __init__(self, name: str, row: tuple[Any, ...], version: tuple[Any, ...]) -> None:
        self.id = 0
        self.name = name
        self.row = row
        self.version = version
        self.refusal: Fault | None = None


def write_new(write: Callable[..., sqlite3.Cursor], secrets: list[NewSecret]) -> Iterator[NewSecret]:
    """Insert secrets whose names are free, and give those whose names are taken.

    `write` runs a statement. Each secret has its row id.

    Raises:
        sqlite3.Error: a row cannot be written.
    """
    at = 0
    for rows, add, add_versions in _STEPS:
        while len(secrets) - at >= rows:
            some = secrets[at : at + rows]
            at += rows
            if write(add, *chain.from_iterable([(new.id, *new.row) for new in some])).rowcount == rows:
                write(add_versions, *chain.from_iterable([(new.id, *new.version) for new in some]))
            else:
                yield from _sort_out(write, some)


def _sort_out(write: Callable[..., sqlite3.Cursor], secrets: list[NewSecret]) -> Iterator[NewSecret]:
    for new in secrets:
        row = write("SELECT id FROM secrets WHERE name = ?", new.name).fetchone()
        if row is None:  # something else than its name kept it out
            raise sqlite3.IntegrityError
        if row[0] != new.id:
            yield new
        else:
            write(ADD_VERSION, new.id, *new.version)
