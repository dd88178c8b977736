"""Compares a block of manifest entries with the rows of the ledger, and claims what is to be sent.

The rules that live here: what is settled is left alone, a name counts once per run, the rest is claimed. A
secret of ours whose VersionId changed is taken up again, or marked as behind. What was invalid at a place is
forgotten when that place is read again.

Where all names are new, as in most blocks of a first run, adding them is all there is to do. Whether they
are is found out by trying, which costs less than looking.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

from bulkseed.ledger.creations import expand_created
from bulkseed.ledger.reader import IN_SETTLED, SETTLED_ENDINGS
from bulkseed.ledger.records import Admission, Claim
from bulkseed.ledger.rows import duplicate
from bulkseed.ledger.settled_stretch import find_settled
from bulkseed.ledger.sqlite.bulk_insert import BulkStatement
from bulkseed.model import InvalidLine, ManifestEntry, Outcome, SecretDefinition, Verified
from bulkseed.policy.moments import Era
from bulkseed.stretch import LineStretch

_FIND = f"""
SELECT d.id AS id, d.name AS name, version_id, source, place, outcome, ending, owned, wanted,
  claimed_at, doubt, is_foreign, doubt_version, service_time,
  iif(owned AND NOT ending {IN_SETTLED},
    (SELECT e.version_id FROM earlier_versions e WHERE e.definition = d.id AND e.run > 0
     ORDER BY e.run DESC LIMIT 1),
    NULL) AS held,
  iif(ending = 'existing', (SELECT r.compares FROM runs r WHERE r.id = d.run), 0) AS compared,
  iif(NOT owned AND NOT outcome {IN_SETTLED},
    (SELECT dated FROM rollbacks r WHERE r.definition = d.id AND result = 'deleted'
     ORDER BY r.run DESC LIMIT 1),
    NULL) AS deleted,
  iif(NOT owned AND NOT outcome {IN_SETTLED},
    (SELECT e.version_id FROM earlier_versions e WHERE e.definition = d.id AND e.run < 0
     ORDER BY e.run LIMIT 1),
    NULL) AS deleted_version,
  iif(doubt, coalesce(claimed_service, claimed_at + (SELECT r.ahead FROM runs r WHERE r.id = d.run)), NULL)
    AS since,
  iif(doubt, (SELECT r.boot FROM runs r WHERE r.id = d.run), NULL) AS boot,
  iif(doubt, (SELECT r.clock_offset FROM runs r WHERE r.id = d.run), NULL) AS "offset"
FROM json_each(?) AS names CROSS JOIN definitions AS d ON d.name = names.value"""  # noqa: S608  # fixed text
_ADD = BulkStatement(
    "INSERT OR IGNORE INTO claims"
    " (run, claimed_at, claimed_service, doubt, id, name, version_id, source, place)"
    " SELECT ?, ?, ?, ?, column1, column2, column3, column4, column5 FROM (VALUES ",
    "(?, ?, ?, ?, ?)",
    ")",
)
_ADD_STRETCH = """
INSERT OR IGNORE INTO claims
  (run, claimed_at, claimed_service, doubt, version_id, source, id, place, name)
SELECT ?, ?, ?, ?, ?, ?, ? + key, ? + key, value FROM json_each(?)"""
_TAKE_UP = """
UPDATE claims SET version_id = ?, outcome = 'pending', settled_at = NULL, run = ?, claimed_at = ?,
  claimed_service = ?, doubt = ?, doubt_version = ?, wanted = NULL WHERE id = ?"""
KEEP_VERSION = "INSERT OR REPLACE INTO earlier_versions VALUES (?, ?, ?)"
_DISOWN = """
UPDATE claims SET owned = 0, is_foreign = 0, service_time = NULL, arn = NULL, request_id = NULL,
  code = NULL, message = NULL, status = NULL WHERE id = ?"""
_MOVE = "UPDATE claims SET source = ?, place = ? WHERE id = ?"
_MARK_BEHIND = "UPDATE claims SET wanted = ? WHERE id = ?"
_ADD_INVALID = """
INSERT INTO invalid_lines (source, place, resolved, name, version_id, reasons, run)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
_FORGET_INVALID = "DELETE FROM invalid_lines WHERE resolved = ? AND place = ? AND run < ?"
_FORGET_LINES = "DELETE FROM invalid_lines WHERE resolved = ? AND place >= ? AND place < ? AND run < ?"
_FORGET_SOURCE = "DELETE FROM invalid_lines WHERE resolved = ? AND run < ?"
_COUNT = """
UPDATE runs SET read = read + ?, known = known + ?, claimed = claimed + ?, unsent = unsent + ?,
  invalid = invalid + ?, added = added + ?, reopened = reopened + ? WHERE id = ?"""


UNDATED = -1
"""In the place of a claim's time by the service's clock: no clock that goes on tells when it was."""


def in_this_era(moment: int, boot: str | None, offset: int | None, era: Era) -> int | None:
    """Return a moment of a run with this boot and offset, in microseconds, as the clock of `era` counts.

    None: they cannot be compared.
    """
    moved = None if offset is None else era.since(Era(boot, offset / 1e6))
    return None if moved is None else moment + round(moved * 1e6)


class _Row(NamedTuple):
    """What `_FIND` finds, in its order. Those that are added begin with the same five."""

    id: int
    name: str
    version_id: str
    source: str
    place: int | str
    outcome: str = Outcome.PENDING
    ending: str = Outcome.PENDING
    owned: int = 0
    wanted: str | None = None
    claimed_at: int | None = None
    doubt: int = 0
    is_foreign: int = 0
    doubt_version: str | None = None
    service_time: int | None = None
    held: str | None = None
    compared: int = 0
    deleted: str | None = None
    deleted_version: str | None = None
    since: int | None = None  # by the service's clock
    boot: str | None = None  # with the offset: what claimed_at counts from
    offset: int | None = None


@dataclass(slots=True)
class Reading:
    """What the run that is going on has read, and what it wants of settled rows.

    `seen` holds a byte for each row id, 1 if this run has read the definition; rows that are added continue
    it. `all_new`: all names of the next block are expected to be new. `follow`: a secret of ours whose
    VersionId changed is taken up. `reopen`: the outcomes of other people's secrets that are taken up again,
    unless the run that took them up last wanted the same. `gone`: names that the service does not have any
    more, whatever their rows say.
    `words`: those of the run's job. `sources`: what this run reads to its end. `stale`: earlier runs found
    invalid lines. `era`: what its times count from.
    """

    run: int
    seen: bytearray
    all_new: bool
    follow: bool
    reopen: frozenset[Outcome]
    sources: tuple[str, ...]
    stale: bool
    words: type[Outcome | Verified]
    gone: frozenset[str]
    era: Era
    _resolved: dict[str, str] = field(default_factory=dict)

    def resolve(self, source: str) -> str:
        """Return one name for all spellings of a manifest's path; an address of a store is one already."""
        known = self._resolved.get(source)
        if known is None:
            is_path = source != "-" and "://" not in source
            known = self._resolved[source] = str(Path(source).resolve()) if is_path else source
        return known


class Block:
    """Sorts entries into settled, invalid and to be taken up, then writes that down.

    `now` is in microseconds, and `service` what that is by the service's clock, if it is known.
    """

    def __init__(
        self, connection: sqlite3.Connection, reading: Reading, now: int, service: int | None, *, claim: bool
    ) -> None:
        self._connection = connection
        self._reading = reading
        self._now = now
        self._service = service
        self._claim = claim
        self._rows: dict[str, _Row] = {}
        self._known: dict[str, int] = {}
        self._invalid: list[InvalidLine] = []
        self._claims: list[Claim] = []
        self._added = 0
        self._new: list[object] = []  # the values of their rows
        self._taken_up: list[tuple[object, ...]] = []
        self._kept_versions: list[tuple[object, ...]] = []
        self._moved: list[tuple[object, ...]] = []
        self._behind: list[tuple[object, ...]] = []
        self._reopened: list[int] = []
        self._gone: list[tuple[int]] = []

    def admit(self, entries: Sequence[ManifestEntry], *, last: bool) -> Admission:
        """Do it, inside the caller's transaction. `last`: the sources have been read to their end."""
        if not (isinstance(entries, LineStretch) and self._pass_over(entries)):
            self._take(entries)
        self._forget_invalid(entries, last=last)
        self._write(len(entries))
        return Admission(
            to_send=self._claims if self._claim else [],
            settled=Counter({self._reading.words(text): count for text, count in self._known.items()}),
            invalid=self._invalid,
            unsent=0 if self._claim else len(self._claims),
        )

    def _pass_over(self, stretch: LineStretch) -> bool:
        """Count the definitions of a stretch if all are settled, to be left alone, and not yet read."""
        reading = self._reading
        found = None if reading.all_new else find_settled(self._connection, stretch)
        if found is None:
            return False
        ids, ends = found
        if True in reading.seen[ids.start : ids.stop] or not reading.reopen.isdisjoint(ends):
            return False
        if reading.gone and not reading.gone.isdisjoint(map(bytes.decode, stretch.names)):
            return False
        reading.seen[ids.start : ids.stop] = b"\1" * len(ids)
        self._known = ends
        return True

    def _take(self, entries: Sequence[ManifestEntry]) -> None:
        made = list(entries)  # a stretch makes its definitions anew whenever it is read
        definitions = [entry for entry in made if isinstance(entry, SecretDefinition)]
        if self._reading.all_new and self._add_all(entries, definitions):
            self._invalid = [entry for entry in made if isinstance(entry, InvalidLine)]
        else:
            names = orjson.dumps([definition.name for definition in definitions]).decode()
            self._rows = {row[1]: _Row._make(row) for row in self._connection.execute(_FIND, (names,))}
            self._sort(made)
            if self._add_rows() < self._added:
                raise sqlite3.IntegrityError("a name was added meanwhile")
            self._reading.all_new = self._added == len(definitions)

    def _add_all(self, entries: Sequence[ManifestEntry], definitions: Sequence[SecretDefinition]) -> bool:
        """Add rows for all definitions among the entries, or for none if a name is not new."""
        first = len(self._reading.seen)
        if isinstance(entries, LineStretch):
            added = self._add_stretch(entries, first)
        else:
            for row_id, definition in enumerate(definitions, first):
                source, place = definition.origin
                self._new += (row_id, definition.name, definition.version_id, source, place)
            added = self._add_rows()
        self._added = len(definitions)
        if added < self._added:
            self._connection.execute("DELETE FROM claims WHERE id >= ?", (first,))
            self._added, self._new = 0, []
            return False
        self._claims = [Claim(definition, row_id) for row_id, definition in enumerate(definitions, first)]
        self._reading.seen.extend(b"\1" * self._added)
        return True

    @property
    def _common(self) -> tuple[object, ...]:
        """What all rows that are added have in common."""
        claimed = (self._now, self._service) if self._claim else (None, None)
        return (self._reading.run, *claimed, self._claim)

    def _add_rows(self) -> int:
        return _ADD.run(self._connection, self._new, *self._common)

    def _add_stretch(self, stretch: LineStretch, first: int) -> int:
        """Do as `_add_rows` does, in three quarters of its time: the rows differ in name and place only."""
        source, line = stretch.origin
        names = orjson.dumps([name.decode() for name in stretch.names]).decode()
        values = (*self._common, stretch.version_id, source, first, line, names)
        return self._connection.execute(_ADD_STRETCH, values).rowcount

    def _sort(self, entries: Sequence[ManifestEntry]) -> None:
        rows, seen = self._rows, self._reading.seen
        for entry in entries:
            if isinstance(entry, InvalidLine):
                self._invalid.append(entry)
                continue
            row = rows.get(entry.name)
            if row is None:
                row_id = len(seen)
                seen.append(True)
                rows[entry.name] = row = _Row(row_id, entry.name, entry.version_id, *entry.origin)
                self._new += row[:5]
                self._added += 1
                self._claims.append(Claim(entry, row_id))
                continue
            if seen[row.id]:
                self._invalid.append(duplicate(entry, row.source, row.place))
                continue
            seen[row.id] = True
            if entry.origin != (row.source, row.place):
                rows[entry.name] = row._replace(source=entry.origin.manifest, place=entry.origin.line)
                self._moved.append((*entry.origin, row.id))
            self._judge(entry, row)

    def _judge(self, entry: SecretDefinition, row: _Row) -> None:
        """Leave a settled row alone, or take it up."""
        settled = row.ending in SETTLED_ENDINGS
        if entry.name in self._reading.gone:
            if settled:
                self._reopened.append(row.id)
            self._gone.append((row.id,))
            self._take_up(entry, row._replace(doubt=0, is_foreign=0, service_time=None, held=None))
        elif not settled:
            self._take_up(entry, row)
        elif row.version_id == entry.version_id:
            if row.wanted is not None:  # the manifest is back at ours
                self._behind.append((None, row.id))
            if row.ending in self._reading.reopen and not row.owned and not row.compared:
                self._reopen(entry, row)
            else:
                self._known[row.ending] = self._known.get(row.ending, 0) + 1
        elif row.owned and not self._reading.follow:
            if row.wanted != entry.version_id:
                self._behind.append((entry.version_id, row.id))
            self._known[Outcome.BEHIND] = self._known.get(Outcome.BEHIND, 0) + 1
        else:
            self._reopen(entry, row)

    def _reopen(self, entry: SecretDefinition, row: _Row) -> None:
        self._reopened.append(row.id)
        if row.owned:
            self._kept_versions.append((row.id, self._reading.run, row.version_id))
            row = row._replace(held=row.version_id)
        self._take_up(entry, row)

    def _take_up(self, entry: SecretDefinition, row: _Row) -> None:
        doubt_version = (row.doubt_version or row.version_id) if row.doubt else None
        if doubt_version == entry.version_id:
            doubt_version = None
        since, service = self._doubt_since(row) if row.doubt else (None, None)
        claimed_at = row.claimed_at if since is None else since
        if self._claim and since is None:
            claimed_at, service = self._now, self._service
        doubt = self._claim or row.doubt
        self._taken_up.append(
            (entry.version_id, self._reading.run, claimed_at, service, doubt, doubt_version, row.id)
        )
        self._claims.append(
            Claim(
                definition=entry,
                row_id=row.id,
                doubt_since=None if since is None else since / 1e6,
                foreign=row.is_foreign == 1,
                held=row.held,
                doubt_version=doubt_version,
                service_time=row.service_time,
                deleted=row.deleted,
                doubt_service=service / 1e6
                if since is not None and service is not None and service > 0
                else None,
                dated=since is None or service != UNDATED,
                deleted_version=None if row.deleted is None else row.deleted_version or row.version_id,
            )
        )

    def _doubt_since(self, row: _Row) -> tuple[int | None, int]:
        """Return since when it is in doubt: by what this run's times count from, and by the service's clock.

        The latter is 0 where that is not known, and UNDATED where the former says nothing, too.
        """
        if row.claimed_at is None or (row.since or 0) > 0:
            return row.claimed_at and min(row.claimed_at, self._now), row.since or 0
        since = None
        if row.since != UNDATED:
            since = in_this_era(row.claimed_at, row.boot, row.offset, self._reading.era)
        if since is None or since > self._now:
            return min(row.claimed_at, self._now), UNDATED
        return since, 0

    def _forget_invalid(self, entries: Sequence[ManifestEntry], *, last: bool) -> None:
        """Forget what earlier runs found invalid where this one has read."""
        reading = self._reading
        if not reading.stale:
            return
        if isinstance(entries, LineStretch):
            source, first = entries.origin
            place = (reading.resolve(source), first, int(first) + len(entries), reading.run)
            self._connection.execute(_FORGET_LINES, place)
        else:
            places = ((reading.resolve(e.origin.manifest), e.origin.line, reading.run) for e in entries)
            self._connection.executemany(_FORGET_INVALID, places)
        if last:
            sources = ((reading.resolve(source), reading.run) for source in reading.sources)
            self._connection.executemany(_FORGET_SOURCE, sources)

    def _write(self, read: int) -> None:
        write = self._connection.executemany
        expand_created(self._connection, self._reopened)
        write(_DISOWN, self._gone)
        write(KEEP_VERSION, self._kept_versions)
        write(_TAKE_UP, self._taken_up)
        write(_MOVE, self._moved)
        write(_MARK_BEHIND, self._behind)
        write(_ADD_INVALID, map(self._invalid_row, self._invalid))
        claims = len(self._claims)
        claimed, unsent = (claims, 0) if self._claim else (0, claims)
        known, invalid = sum(self._known.values()), len(self._invalid)
        counts = (read, known, claimed, unsent, invalid, self._added, len(self._reopened))
        self._connection.execute(_COUNT, (*counts, self._reading.run))

    def _invalid_row(self, entry: InvalidLine) -> tuple[object, ...]:
        # A name that was refused may be no Unicode at all.
        name = entry.name and entry.name.encode(errors="replace").decode()
        resolved = self._reading.resolve(entry.origin.manifest)
        reasons = json.dumps(entry.reasons)
        return (*entry.origin, resolved, name, entry.version_id, reasons, self._reading.run)
