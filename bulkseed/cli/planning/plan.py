"""What a run would do with the entries of one target, as a plan and in words."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bulkseed.cli.planning.invalid_lines import InvalidLines
from bulkseed.cli.process import run_async
from bulkseed.cli.sources import gone_at_source
from bulkseed.humanize import duration, number
from bulkseed.model import InvalidLine, Outcome, UnreadValue

if TYPE_CHECKING:  # what only asking a service needs is imported when it is asked
    from bulkseed.jobs.preflight import Preflight
    from bulkseed.ledger import LedgerReader
    from bulkseed.ledger.names_apart import NamesApart
    from bulkseed.ledger.preview import Foreseen, Preview
    from bulkseed.manifest.entries import OpenEntries
    from bulkseed.manifest.selection import Selection
    from bulkseed.model import ManifestEntry
    from bulkseed.targets.manifests import Part

BLOCK = 2048
LISTED = 1000
"""The most invalid lines in the JSON; the text has the first of each reason."""

NAMED = 5
"""The most names of changed secrets in the text."""


class PlanScope(NamedTuple):
    """Which entries are looked at: those of a selection, so many to send at most, and with their values?"""

    selection: Selection | None = None
    limit: int | None = None
    values: bool = False


@dataclass(slots=True)
class Plan:
    """What a run would do. `size` counts the bytes of the values to be sent, but of `unread` ones.

    Of those to send, `rolled_back` were rolled back by this ledger, and `changed` are secrets of ours with
    another VersionId: no creation is spent, and those of `used_versions` would be a conflict. `removed`:
    settled names that the manifest has not any more.
    """

    ledger: Path
    qps: float
    of_source: bool = False
    definitions: int = 0
    to_send: int = 0
    rolled_back: int = 0
    changed: int = 0
    used_versions: int = 0
    at_work: bool = False
    changed_names: list[str] = field(default_factory=list)
    in_doubt: int = 0
    size: int = 0
    unread: int = 0
    settled: Counter[Outcome] = field(default_factory=Counter)
    invalid: int = 0
    listed: list[InvalidLine] = field(default_factory=list)
    reasons: InvalidLines = field(default_factory=InvalidLines)
    keys: set[str] = field(default_factory=set)
    instances: set[str | None] = field(default_factory=set)
    gone_at_source: str | None = None
    removed: NamesApart | None = None
    online: Preflight | None = None

    @property
    def to_create(self) -> int:
        """How many secrets are new."""
        return self.to_send - self.changed

    @property
    def new(self) -> int:
        """How many secrets need room: those in their delete window have theirs still."""
        online = self.online
        there = 0 if online is None else (online.existing or 0) + (online.in_delete_window or 0)
        return self.to_send - there

    @property
    def lacks_room(self) -> bool:
        """Whether there is too little room, as far as the service told."""
        return self.online is not None and self.online.left is not None and self.new > self.online.left

    @property
    def seconds(self) -> float | None:
        """The time that sending takes at the quota; None without a ceiling."""
        return self.to_create / self.qps if self.qps else None

    @property
    def exit_code(self) -> int:
        """0 when nothing stands in the way."""
        bad_key = self.online is not None and any(key.usable is False for key in self.online.keys)
        return 1 if self.invalid or self.lacks_room or bad_key else 0

    def add(self, read: int, foreseen: Foreseen) -> None:
        """Add what a block of `read` entries would come to; a value still at a source has no size."""
        sent, invalid = foreseen.to_send, foreseen.invalid
        self.definitions += read
        self.settled += foreseen.settled
        self.to_send += len(sent)
        self.changed += len(foreseen.changed)
        new = (d.name for d in sent if d.name in foreseen.changed)
        self.changed_names += islice(new, NAMED - len(self.changed_names))
        self.size += sum(len(d.data.reveal().encode()) for d in sent if not isinstance(d.data, UnreadValue))
        self.keys.update(d.encryption_key_id for d in sent if d.encryption_key_id)
        self.instances.update(d.dkms_instance_id for d in sent)
        self.invalid += len(invalid)
        self.listed += invalid[: LISTED - len(self.listed)]
        for line in invalid:
            self.reasons.add(line)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--output json`` prints."""
        online = {} if self.online is None else {"online": self.online.as_dict()}
        return {
            "ledger": str(self.ledger),
            "definitions": self.definitions,
            "to_send": self.to_send,
            "changed": self.changed,
            "rolled_back": self.rolled_back,
            "used_versions": self.used_versions,
            "bytes": None if self.unread else self.size,
            "no_longer_there": 0 if self.removed is None else self.removed.count,
            "settled": {outcome.value: count for outcome, count in self.settled.items()},
            "invalid": [
                {"manifest": line.origin.manifest, "line": line.origin.line, "reasons": list(line.reasons)}
                for line in self.listed
            ],
            "invalid_count": self.invalid,
            "reasons": self.reasons.as_list(),
            "limit_qps": self.qps,
            "seconds": self.seconds,
            **online,
            "exit_code": self.exit_code,
        }

    def fill(
        self,
        opened: OpenEntries | Part,
        ledger: LedgerReader | None,
        preview: Preview,
        wanted: PlanScope,
        names: Iterable[str],
    ) -> None:
        """Look through all entries. `names`: what the manifests are called in the ledger.

        Memory stays flat: of what is invalid, `LISTED` lines are kept, and a few for each reason.
        """
        from bulkseed.ledger.names_apart import names_apart, settled_of
        from bulkseed.ledger.rollbacks import had_version, is_rolled_back, rolled_back

        entries = cast("Iterable[ManifestEntry]", opened)
        if wanted.selection is not None:
            entries = wanted.selection.of(opened, None if ledger is None else ledger.rows_before())
        entries = iter(entries)
        undone = ledger is not None and rolled_back(ledger)
        limit = wanted.limit or sys.maxsize
        while block := list(islice(entries, min(BLOCK, limit - self.to_send))):
            foreseen = preview.look(block)
            if wanted.values:
                self.size += _check_values(foreseen)
            else:
                self.unread += sum(isinstance(d.data, UnreadValue) for d in foreseen.to_send)
            if ledger is not None and undone:
                self.rolled_back += sum(is_rolled_back(ledger, d.name) for d in foreseen.to_send)
            if ledger is not None:
                changed = (d for d in foreseen.to_send if d.name in foreseen.changed)
                self.used_versions += sum(had_version(ledger, d.name, d.version_id) for d in changed)
            self.add(len(block), foreseen)
        if ledger is not None:
            self.in_doubt, self.at_work = ledger.unsettled_in_doubt(), ledger.status().is_going_on
            self.gone_at_source = gone_at_source(opened, ledger)
            if not self.gone_at_source and wanted.selection is None and wanted.limit is None:
                there = (name for block in preview.names(BLOCK) for name in block)
                self.removed = names_apart(settled_of(ledger, list(names)), there)

    @property
    def pace(self) -> str:
        """How long it takes, in words."""
        if self.seconds is None:
            return "no ceiling"
        return f"{duration(self.seconds)} at {number(self.qps)}/s"

    def of_changes(self) -> list[str]:
        """Return lines on what else is sent, or stands in the way of it."""
        told = []
        if self.changed:
            more = ", …" if self.changed > NAMED else ""
            told.append(f"  changed: {', '.join(self.changed_names)}{more}")
        if self.used_versions:
            used = "name a VersionId that the secret had before, as after rollback --restore-values"
            told.append(f"  {self.used_versions:,} of them {used}: give them a new one")
        if self.at_work:
            told.append("  a run is at work on this ledger: some of it is done by now")
        elif self.in_doubt:
            told.append(
                f"  {self.in_doubt:,} in doubt, as a run was cut off: the next one looks for them first"
            )
        if self.rolled_back:
            told.append(
                f"{self.rolled_back:,} of these were rolled back: their names are taken as long as they can "
                "be restored, 30 days unless that rollback said otherwise. --on-delete-window restore takes "
                "them back; after rollback --force the names are free"
            )
        if aliases := sorted(key for key in self.keys if key.startswith("alias/")):
            told.append(
                f"note: {aliases[0]} is an alias; what CreateSecret takes as EncryptionKeyId is a key's id"
            )
        return told

    def of_settled(self) -> list[str]:
        """Return lines on what is settled already, or was."""
        told = []
        if self.settled:
            count = f"{self.settled.total():,} settled, not compared"
            told.append(f"{count}: to change a value, raise its VersionId, too, v1 to v2")
        if self.gone_at_source:
            told.append(self.gone_at_source)
        if self.removed and self.removed.count:
            text = f"settled, and not in the manifest any more: {self.removed}"
            told.append(f"{text}; nothing is deleted for that")
        return told


def _check_values(foreseen: Foreseen) -> int:
    """Move those whose value cannot be moved to the invalid ones, and return the bytes of the others."""
    from bulkseed.sources.check_values import check_values

    checked = run_async(check_values, foreseen.to_send)
    foreseen.invalid += checked.refused
    foreseen.to_send = checked.accepted
    return checked.size
