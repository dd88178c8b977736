"""The ledger of verifies: a file of its own, so that what was read back is never taken for what was created.

A verify that is not resumed starts over: what was identical yesterday proves nothing about today.
"""

from __future__ import annotations

from bulkseed.errors import LedgerError
from bulkseed.ledger.ledger import Ledger

COMMAND = "verify"


def require_readbacks(ledger: Ledger) -> None:
    """Refuse a ledger of other runs than verifies.

    Raises:
        LedgerError: it is one.
    """
    for (command,) in ledger.select("SELECT DISTINCT command FROM runs WHERE command != ?", COMMAND):
        raise LedgerError(f"ledger {ledger.path} records runs of {command}: verify needs another --ledger")


def start_over(ledger: Ledger) -> None:
    """Forget everything that earlier verifies have found.

    Raises:
        LedgerError: the ledger records other runs, too, or cannot be written.
    """
    require_readbacks(ledger)
    with ledger.transaction():
        for table in ("creations", "other_attempts", "invalid_lines", "claims", "runs"):
            ledger.connection.execute(f"DELETE FROM {table}")  # noqa: S608  # fixed names
