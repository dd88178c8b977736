"""A block of manifest entries against the rows of the ledger.

The rules that live here: what is settled is left alone, a name counts once per run, the rest is claimed.
Where all names are new, as in most blocks of a first run, adding them is all there is to do; whether they are
is found out by trying, which costs less than looking.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from bulkseed.ledger.creations import fold
from bulkseed.ledger.records import Admission, Claim
from bulkseed.ledger.sqlite.bulk_insert import Statement
from bulkseed.model import SETTLED, InvalidLine, ManifestEntry, Outcome, SecretDefinition

_FIND = """
SELECT d.id, d.name, version_id, manifest, line, outcome, attempts, claimed_at, doubt, owned, theirs
FROM json_each(?) AS wanted CROSS JOIN definitions AS d ON d.name = wanted.value"""
_ADD = Statement(
    "INSERT OR IGNORE INTO claims (run, claimed_at, doubt, id, name, version_id, manifest, line)"
    " SELECT ?, ?, ?, column1, column2, column3, column4, column5 FROM (VALUES ",
    "(?, ?, ?, ?, ?)",
    ")",
)
_TAKE_UP = """
UPDATE claims SET version_id = ?, outcome = 'pending', settled_at = NULL, run = ?, claimed_at = ?,
  doubt = ? WHERE id = ?"""
_MOVE = "UPDATE claims SET manifest = ?, line = ? WHERE id = ?"
_ADD_INVALID = """
INSERT INTO invalid_lines (manifest, line, name, version_id, reasons, run) VALUES (?, ?, ?, ?, ?, ?)"""
_FORGET_INVALID = "DELETE FROM invalid_lines WHERE manifest = ? AND line = ? AND run < ?"
_COUNT = """
UPDATE runs SET read = read + ?, known = known + ?, claimed = claimed + ?, unsent = unsent + ?,
  invalid = invalid + ?, added = added + ?, reopened = reopened + ? WHERE id = ?"""


class Block:
    """Sorts entries into settled, invalid and to be taken up, then writes that down.

    `seen` holds a byte for each row id, 1 if this run has read the definition; rows that are added continue
    it. `now` is in microseconds. `all_new` says whether all names are expected to be new, and after `admit`
    whether they were.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        seen: bytearray,
        run: int,
        now: int,
        *,
        claim: bool,
        all_new: bool,
    ) -> None:
        self.all_new = all_new
        self._connection = connection
        self._seen = seen
        self._run = run
        self._now = now
        self._claim = claim
        self._rows: dict[str, tuple[Any, ...]] = {}
        self._known: dict[str, int] = {}
        self._invalid: list[InvalidLine] = []
        self._claims: list[Claim] = []
        self._added = 0
        self._new: list[object] = []  # the values of their rows
        self._taken_up: list[tuple[object, ...]] = []
        self._moved: list[tuple[object, ...]] = []
        self._reopened: list[int] = []

    def admit(self, entries: Sequence[ManifestEntry]) -> Admission:
        """Do it, inside the caller's transaction."""
        definitions = [entry for entry in entries if isinstance(entry, SecretDefinition)]
        if self.all_new and self._add_all(definitions):
            self._invalid = [entry for entry in entries if isinstance(entry, InvalidLine)]
        else:
            names = orjson.dumps([definition.name for definition in definitions]).decode()
            self._rows = {row[1]: row for row in self._connection.execute(_FIND, (names,))}
            self._sort(entries)
            if self._add_rows() < self._added:
                raise sqlite3.IntegrityError("a name was added meanwhile")
            self.all_new = self._added == len(definitions)
        self._write(len(entries))
        return Admission(
            to_send=self._claims if self._claim else [],
            settled=Counter({Outcome(text): count for text, count in self._known.items()}),
            invalid=self._invalid,
            unsent=0 if self._claim else len(self._claims),
        )

    def _add_all(self, definitions: Sequence[SecretDefinition]) -> bool:
        """Add rows for all definitions, or for none if a name is not new."""
        first = len(self._seen)
        for row_id, definition in enumerate(definitions, first):
            manifest, line = definition.origin
            self._new += (row_id, definition.name, definition.version_id, manifest, line)
        self._added = len(definitions)
        if self._add_rows() < self._added:
            self._connection.execute("DELETE FROM claims WHERE id >= ?", (first,))
            self._added, self._new = 0, []
            return False
        self._claims = [Claim(definition, row_id) for row_id, definition in enumerate(definitions, first)]
        self._seen.extend(b"\1" * self._added)
        return True

    def _add_rows(self) -> int:
        claimed_at = self._now if self._claim else None
        return _ADD.run(self._connection, self._new, self._run, claimed_at, self._claim)

    def _sort(self, entries: Sequence[ManifestEntry]) -> None:
        rows, seen, known = self._rows, self._seen, self._known
        for entry in entries:
            if isinstance(entry, InvalidLine):
                self._invalid.append(entry)
                continue
            row = rows.get(entry.name)
            if row is None:
                row_id = len(seen)
                seen.append(1)
                # Begins as those that are found do.
                rows[entry.name] = row = (row_id, entry.name, entry.version_id, *entry.origin)
                self._new += row
                self._added += 1
                self._claims.append(Claim(entry, row_id))
                continue
            row_id, _, version_id, manifest, line, *rest = row
            if seen[row_id]:
                reason = f"duplicate: first seen on line {line} of {manifest}"
                self._invalid.append(InvalidLine(entry.origin, (reason,), entry.name, entry.version_id))
                continue
            seen[row_id] = 1
            origin = entry.origin
            if line != origin.line or manifest != origin.manifest:
                rows[entry.name] = (*row[:3], *origin, *row[5:])
                self._moved.append((*origin, row_id))
            outcome = rest[0]
            if outcome not in SETTLED:
                self._take_up(entry, row)
            elif version_id == entry.version_id:
                known[outcome] = known.get(outcome, 0) + 1
            else:
                self._reopened.append(row_id)
                self._take_up(entry, row)

    def _take_up(self, entry: SecretDefinition, row: tuple[Any, ...]) -> None:
        row_id, attempts, claimed_at, doubt, owned, theirs = row[0], *row[6:]
        since = claimed_at if doubt else None
        if self._claim:
            claimed_at = self._now if since is None else min(since, self._now)
        self._taken_up.append((entry.version_id, self._run, claimed_at, self._claim or doubt, row_id))
        self._claims.append(
            Claim(entry, row_id, None if since is None else since / 1e6, owned == 1, attempts, theirs == 1)
        )

    def _write(self, read: int) -> None:
        write = self._connection.executemany
        fold(self._connection, self._reopened)
        write(_TAKE_UP, self._taken_up)
        write(_MOVE, self._moved)
        write(_FORGET_INVALID, [(*line.origin, self._run) for line in self._invalid])
        write(_ADD_INVALID, map(self._invalid_row, self._invalid))
        claims = len(self._claims)
        claimed, unsent = (claims, 0) if self._claim else (0, claims)
        known, invalid = sum(self._known.values()), len(self._invalid)
        self._connection.execute(
            _COUNT, (read, known, claimed, unsent, invalid, self._added, len(self._reopened), self._run)
        )

    def _invalid_row(self, entry: InvalidLine) -> tuple[object, ...]:
        # A name that was refused may be no Unicode at all.
        name = entry.name and entry.name.encode(errors="replace").decode()
        return (*entry.origin, name, entry.version_id, json.dumps(entry.reasons), self._run)
