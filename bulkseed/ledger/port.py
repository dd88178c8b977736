"""What a run needs of a ledger, wherever the ledger is.

`Ledger` is a file on this machine. All methods block, and are called in the ledger's thread, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from bulkseed.ledger.reader import Tally
from bulkseed.ledger.records import Admission, AttemptRecord, Creation, Proof, Settlement, TakeUp
from bulkseed.model import ManifestEntry, QuotaGroup
from bulkseed.policy.moments import Era


class LedgerPort(Protocol):
    """A ledger that one run writes to. The documentation of the methods is that of `Ledger`."""

    @property
    def path(self) -> Path:
        """The file, as people are told."""
        ...

    def proof_for(self, caller: str | None) -> Proof | None:
        """Return what tells whether a caller's credentials are of the ledger's account."""
        ...

    def begin_run(
        self,
        run_id: str,
        manifests: Iterable[str],
        limits: Mapping[QuotaGroup, float],
        now: float,
        command: str = "apply",
        *,
        afresh: bool = False,
        again: TakeUp = TakeUp(),  # noqa: B008  # it cannot be changed
        caller: str | None = None,
        era: Era = Era(None, 0.0),  # noqa: B008  # it cannot be changed
    ) -> float | None:
        """Begin a run; return until when the one before may have sent."""
        ...

    def note_clock(self, ahead: float) -> None:
        """Write down by how much the service's clock is ahead of ours."""
        ...

    def admit(
        self,
        entries: Sequence[ManifestEntry],
        now: float,
        service: float | None = None,
        *,
        claim: bool = True,
        last: bool = False,
    ) -> Admission:
        """Take up a block of entries and put the claims of those to send on disk."""
        ...

    def record(
        self,
        settlements: Sequence[Settlement],
        attempts: Sequence[AttemptRecord] = (),
        creations: Sequence[Creation] = (),
    ) -> None:
        """Write down answers and attempts."""
        ...

    def mark_foreign(self, row_id: int) -> None:
        """Write down that a secret is not ours."""
        ...

    def mark_held(
        self,
        row_id: int,
        version_id: str,
        now: float | None,
        service_time: float | None = None,
        service: float | None = None,
    ) -> None:
        """Write down that a secret is ours and holds a version."""
        ...

    def drop_doubt(self, row_id: int, now: float, service: float | None = None) -> None:
        """Write down that another version, which an earlier run may have sent, is not there."""
        ...

    def bind_account(self, account: str) -> None:
        """Bind the ledger to an account, or refuse another one."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Everything inside in one commit."""
        ...

    def tally(self) -> Tally:
        """Return what the run has counted."""
        ...

    def end_run(self, summary: Mapping[str, Any], exit_code: int, stopped_by: str | None, now: float) -> None:
        """Write down how the run ended."""
        ...
