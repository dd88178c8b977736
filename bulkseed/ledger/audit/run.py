"""The proof, from the ledger alone, that its rows, runs and attempts add up.

Every number is found in two ways: rows against what the runs counted, attempts against the counters of their
definitions, outcomes against the answers of their attempts, send times against the limit of their run. They
are written in the same transactions, so a kill leaves them equal: what was sent in the last moments before it
is missing on both sides, and its row in doubt.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bulkseed.errors import LedgerError
from bulkseed.ledger.audit import rows as audit_rows
from bulkseed.ledger.audit import sends as audit_sends
from bulkseed.ledger.audit.checks import CheckEnd
from bulkseed.ledger.reader import LedgerReader


@dataclass(slots=True, frozen=True)
class Finding:
    """One check: what must hold, whether it does, and the numbers."""

    name: str
    holds: bool
    detail: str


def audit(ledger: LedgerReader) -> list[Finding]:
    """Run every check on one snapshot; memory does not grow with the ledger."""
    findings = []
    ledger.connection.execute("BEGIN")
    try:
        for name, check in CHECKS.items():
            try:
                wrong, detail = check(ledger)
            except (LedgerError, AttributeError, KeyError, TypeError, ValueError) as error:
                wrong, detail = [f"cannot be read: {error!r}"], ""
            findings.append(Finding(name, not wrong, "; ".join(wrong) or detail))
    finally:
        with suppress(sqlite3.Error):  # a damaged file has been reported by then
            ledger.connection.execute("ROLLBACK")
    return findings


CHECKS: dict[str, Callable[[LedgerReader], CheckEnd]] = {
    "the file is sound": audit_rows.file,
    "every row makes sense": audit_rows.states,
    "every ARN is of its row and target": audit_rows.names,
    "every run adds up": audit_rows.runs,
    "all rows add up": audit_rows.rows,
    "the last summary agrees with the rows": audit_rows.summaries,
    "no row was settled twice": audit_rows.settled_once,
    "every attempt belongs to a claim": audit_sends.claims,
    "every outcome has its answer": audit_sends.answers,
    "every deletion was claimed": audit_rows.deletions,
    "attempts are counted right": audit_sends.attempts,
    "send times kept to the limit": audit_sends.send_times,
}
