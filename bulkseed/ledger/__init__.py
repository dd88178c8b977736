"""What happened, row by row: a SQLite file that knows what is settled, to be sent, and in doubt."""

from bulkseed.ledger.binding import KnownTarget
from bulkseed.ledger.ledger import Ledger
from bulkseed.ledger.open import open_ledger, require_target
from bulkseed.ledger.port import LedgerPort
from bulkseed.ledger.reader import Attempt, LedgerReader, Run, Status, read_ledger
from bulkseed.ledger.records import Admission, AttemptRecord, Claim, Creation, Proof, Settlement, TakeUp
from bulkseed.ledger.rows import iso, row_as_dict

__all__ = [
    "Admission",
    "Attempt",
    "AttemptRecord",
    "Claim",
    "Creation",
    "KnownTarget",
    "Ledger",
    "LedgerPort",
    "LedgerReader",
    "Proof",
    "Run",
    "Settlement",
    "Status",
    "TakeUp",
    "iso",
    "open_ledger",
    "read_ledger",
    "require_target",
    "row_as_dict",
]
