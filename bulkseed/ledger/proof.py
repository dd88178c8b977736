"""By what credentials can be told that a ledger has not seen before: secrets of ours that must be there."""

from __future__ import annotations

from bulkseed.ledger.reader import LedgerReader
from bulkseed.ledger.records import Proof

_ASKED = 3
"""How many secrets: one may have been deleted by hand."""

_KNOWN = """
SELECT 1 FROM runs r WHERE r.caller IS ?
AND (r.ended_at IS NOT NULL OR EXISTS (SELECT 1 FROM creations c WHERE c.run = r.id)) LIMIT 1"""
"""A run of this caller that came to an end, or created something."""
_OURS = "SELECT name FROM definitions WHERE owned ORDER BY id DESC LIMIT ?"


def proof_for(ledger: LedgerReader, caller: str | None) -> Proof | None:
    """Return what tells whether a caller's credentials are of the ledger's account; None: nothing has to."""
    account = ledger.known_target().account
    if account is None or any(ledger.select(_KNOWN, caller)):
        return None
    return Proof(account, [name for (name,) in ledger.select(_OURS, _ASKED)])
