"""Which verify proves what a ledger says: it read the same names, in whatever order, after all was settled.

A name is compared by a digest of all names in the order of their bytes: after a repair in the middle of a
file the ledger has the repaired name last, and a verify reads it in its place.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bulkseed.errors import LedgerError
from bulkseed.ledger import LedgerReader, read_ledger
from bulkseed.ledger.names_apart import all_names, names_apart
from bulkseed.policy.jobs import JOBS, VERIFY
from bulkseed.report.numbers import Numbers, names_in_order

MOST_LOOKED_AT = 50
"""Files of one folder."""


class FoundVerify(NamedTuple):
    """The ledger of a verify that was found, or None; and what is to be said of one that does not fit."""

    path: Path | None
    left_aside: str | None = None


def find_verify(applied: Path) -> FoundVerify:
    """Look beside a ledger for the ledger of a verify of the same target: of the same names, and the latest.

    Raises:
        LedgerError: the ledger of the apply cannot be read.
    """
    usual = applied.with_name(applied.name.removesuffix(".db").removesuffix(".ledger") + ".verify.db")
    others = sorted(path for path in applied.parent.glob("*.db") if path not in {usual, applied})
    best, rank, left_aside = None, (False, 0.0), None
    with read_ledger(applied) as ledger:
        target, names = ledger.known_target(), names_in_order(ledger.connection)
    for path in [usual, *others[:MOST_LOOKED_AT]]:
        try:
            with read_ledger(path) as ledger:
                if not _is_verify(ledger):
                    continue
                known = ledger.known_target()
                if (known.binding, known.region) == (target.binding, target.region):
                    last = ledger.last_run()
                    found = (names_in_order(ledger.connection) == names, last.started_at if last else 0.0)
                    if best is None or found > rank:
                        best, rank = path, found
                elif path == usual:
                    where = f"{known.binding} in {known.region}"
                    left_aside = f"{path.name}, a verify of another target ({where})"
        except LedgerError:
            continue  # no ledger, or not one that can be read
    return FoundVerify(best, None if best else left_aside)


def _is_verify(ledger: LedgerReader) -> bool:
    first = next(ledger.runs(), None)
    return first is not None and JOBS[first.command] is VERIFY


def with_names_apart(verified: Numbers, verify: Path, applied: Path) -> Numbers:
    """Return the numbers of a verify with which names it read, and which not, beside those of an apply.

    Raises:
        LedgerError: a ledger cannot be read.
    """
    with read_ledger(applied) as ours, read_ledger(verify) as theirs:
        return replace(
            verified,
            not_read=names_apart(all_names(ours), all_names(theirs)),
            only_read=names_apart(all_names(theirs), all_names(ours)),
        )


def same_names(verified: Numbers, applied: Numbers) -> str:
    """Say how the names of a verify are to those of a ledger."""
    if verified.names_digest == applied.names_digest:
        return "the same, in the same order"
    if verified.sorted_names_digest == applied.sorted_names_digest:
        return "the same, in another order"
    return "not the same as those of this ledger"
