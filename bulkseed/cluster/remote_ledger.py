"""A ledger that lies at the coordinator: each transaction is one call, made as late as an answer allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bulkseed.cluster.records import admission_from_json, entry_to_json, owned_row_from_json
from bulkseed.ledger import Admission, AttemptRecord, Creation, Proof, Settlement, TakeUp
from bulkseed.ledger.reader import Tally
from bulkseed.ledger.rollbacks import OwnedRow
from bulkseed.model import ManifestEntry, Outcome, QuotaGroup, Verified
from bulkseed.policy.jobs import APPLY, JOBS
from bulkseed.policy.moments import Era
from bulkseed.policy.rollback import RollbackEnd

Operations = list[list[Any]]
"""Methods of a `LedgerPort` with their arguments, as JSON."""

MakeCall = Callable[[Operations], list[Any]]
"""Has operations done in one transaction, exactly once; returns their results. May raise a `LedgerError`."""


class RemoteLedger:
    """A `LedgerPort` whose calls somebody else carries to the ledger; `path` is what it is there."""

    def __init__(self, path: Path, call: MakeCall) -> None:
        self.path = path
        self._call = call
        self._held: Operations = []
        self._inside = False
        self._words: type[Outcome | Verified] = Outcome

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside in one commit, as far as it goes without an answer."""
        if self._inside:
            yield
            return
        self._inside = True
        try:
            yield
            if self._held:
                self._call(self._held)
        finally:
            self._inside = False
            self._held = []

    def do(self, name: str, *arguments: Any) -> None:
        """Have something done that has no answer, with the rest of the transaction."""
        with self.transaction():
            self._held.append([name, *arguments])

    def ask(self, name: str, *arguments: Any) -> Any:
        """Have something done, after what was held back, and return its answer."""
        operations, self._held = [*self._held, [name, *arguments]], []
        return self._call(operations)[-1]

    def proof_for(self, caller: str | None) -> Proof | None:
        """See `Ledger.proof_for`."""
        found = self.ask("proof_for", caller)
        return None if found is None else Proof(*found)

    def begin_run(
        self,
        run_id: str,
        manifests: Iterable[str],
        limits: Mapping[QuotaGroup, float],
        now: float,
        command: str = APPLY.name,
        *,
        afresh: bool = False,
        again: TakeUp = TakeUp(),  # noqa: B008  # it cannot be changed
        caller: str | None = None,
        era: Era = Era(None, 0.0),  # noqa: B008  # it cannot be changed
    ) -> float | None:
        """See `Ledger.begin_run`."""
        self._words = JOBS[command].words
        follow, reopen, gone = again
        wanted = [follow, [outcome.value for outcome in reopen], list(gone)]
        in_words = {group.value: limit for group, limit in limits.items()}
        until: float | None = self.ask(
            "begin_run", run_id, list(manifests), in_words, now, command, afresh, wanted, caller, list(era)
        )
        return until

    def note_clock(self, ahead: float) -> None:
        """See `Ledger.note_clock`."""
        self.do("note_clock", ahead)

    def admit(
        self,
        entries: Sequence[ManifestEntry],
        now: float,
        service: float | None = None,
        *,
        claim: bool = True,
        last: bool = False,
    ) -> Admission:
        """See `Ledger.admit`. The values stay here."""
        found = self.ask("admit", [entry_to_json(entry) for entry in entries], now, service, claim, last)
        return admission_from_json(found, entries, self._words)

    def record(
        self,
        settlements: Sequence[Settlement],
        attempts: Sequence[AttemptRecord] = (),
        creations: Sequence[Creation] = (),
    ) -> None:
        """See `Ledger.record`."""
        self.do("record", *(list(map(list, rows)) for rows in (settlements, attempts, creations)))

    def mark_foreign(self, row_id: int) -> None:
        """See `Ledger.mark_foreign`."""
        self.do("mark_foreign", row_id)

    def mark_held(
        self,
        row_id: int,
        version_id: str,
        now: float | None,
        service_time: float | None = None,
        service: float | None = None,
    ) -> None:
        """See `Ledger.mark_held`."""
        self.do("mark_held", row_id, version_id, now, service_time, service)

    def drop_doubt(self, row_id: int, now: float, service: float | None = None) -> None:
        """See `Ledger.drop_doubt`."""
        self.do("drop_doubt", row_id, now, service)

    def bind_account(self, account: str) -> None:
        """See `Ledger.bind_account`."""
        self.do("bind_account", account)

    def tally(self) -> Tally:
        """See `Ledger.tally`."""
        return Tally(*self.ask("tally"))

    def end_run(self, summary: Mapping[str, Any], exit_code: int, stopped_by: str | None, now: float) -> None:
        """See `Ledger.end_run`."""
        self.do("end_run", dict(summary), exit_code, stopped_by, now)


class RemoteRollbacks:
    """The part of a remote ledger that one rollback writes; see `Rollbacks`."""

    def __init__(self, ledger: RemoteLedger, now: float, *, restore_values: bool = False) -> None:
        self._ledger = ledger
        ledger.do("roll_back", now, restore_values)

    def owned(self, after: int, limit: int) -> list[OwnedRow]:
        """See `Rollbacks.owned`."""
        return [owned_row_from_json(row) for row in self._ledger.ask("owned_rows", after, limit)]

    def claim(self, row: OwnedRow, dated: str | None, now: float) -> None:
        """See `Rollbacks.claim`."""
        self._ledger.do("claim_rollback", list(row), dated, now)

    def end(self, row: OwnedRow, undone: RollbackEnd, now: float, *, claimed: bool, doubt: bool) -> None:
        """See `Rollbacks.end`."""
        self._ledger.do("end_rollback", list(row), list(undone), now, claimed, doubt)
