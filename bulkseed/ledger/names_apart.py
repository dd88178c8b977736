"""Names that a ledger has and a manifest, or the ledger of a verify, has not."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bulkseed.ledger.reader import IN_SETTLED, LedgerReader

NAMED = 5
"""How many names are told."""


@dataclass(slots=True, frozen=True)
class NamesApart:
    """How many names one has and the other has not, and the first of them."""

    count: int
    first: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.count:,} ({', '.join(self.first)}{', …' if self.count > len(self.first) else ''})"


def names_apart(ours: Iterable[str], others: Iterable[str]) -> NamesApart:
    """Return those of `ours` that are not among `others`; both are sorted by their bytes, and read once."""
    rest, first, count = iter(others), list[str](), 0
    other = next(rest, None)
    for name in ours:
        while other is not None and other < name:
            other = next(rest, None)
        if other != name:
            count += 1
            if len(first) < NAMED:
                first.append(name)
    return NamesApart(count, tuple(first))


def all_names(ledger: LedgerReader) -> Iterable[str]:
    """Yield all names of a ledger, sorted by their bytes."""
    return (name for (name,) in ledger.select("SELECT name FROM definitions ORDER BY name"))


def settled_of(ledger: LedgerReader, sources: Collection[str]) -> Iterable[str]:
    """Yield the names that are settled and were read last from `sources`, sorted by their bytes."""
    query = (
        "SELECT name FROM definitions WHERE source IN (SELECT value FROM json_each(?))"  # noqa: S608  # fixed text
        f" AND ending {IN_SETTLED} ORDER BY name"
    )
    return (name for (name,) in ledger.select(query, json.dumps(list(sources))))


def count_settled_of(ledger: LedgerReader, sources: Collection[str]) -> int:
    """Count what `settled_of` yields."""
    query = (
        "SELECT count(*) FROM definitions WHERE source IN (SELECT value FROM json_each(?))"  # noqa: S608  # fixed text
        f" AND ending {IN_SETTLED}"
    )
    ((count,),) = ledger.select(query, json.dumps(list(sources)))
    return int(count)
