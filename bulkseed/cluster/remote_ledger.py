"""A ledger that lies at the coordinator: each transaction is one call, made as late as an answer allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bulkseed.cluster.records import admission_from_json, entry_to_json
from bulkseed.ledger import Admission, AttemptRecord, Creation, Settlement, TakeUp
from bulkseed.ledger.reader import Tally
from bulkseed.model import ManifestEntry, QuotaGroup
from bulkseed.policy.jobs import APPLY

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

    def _do(self, name: str, *arguments: Any) -> None:
        with self.transaction():
            self._held.append([name, *arguments])

    def _ask(self, name: str, *arguments: Any) -> Any:
        operations, self._held = [*self._held, [name, *arguments]], []
        return self._call(operations)[-1]

    def begin_run(
        self,
        run_id: str,
        sources: Iterable[str],
        limits: Mapping[QuotaGroup, float],
        now: float,
        command: str = APPLY.name,
        *,
        afresh: bool = False,
        again: TakeUp = TakeUp(),  # noqa: B008  # it cannot be changed
        caller: str | None = None,
    ) -> float | None:
        """See `Ledger.begin_run`."""
        follow, reopen, gone = again
        wanted = [follow, [outcome.value for outcome in reopen], list(gone)]
        in_words = {group.value: limit for group, limit in limits.items()}
        until: float | None = self._ask(
            "begin_run", run_id, list(sources), in_words, now, command, afresh, wanted, caller
        )
        return until

    def admit(
        self, entries: Sequence[ManifestEntry], now: float, *, claim: bool = True, last: bool = False
    ) -> Admission:
        """See `Ledger.admit`. The values stay here."""
        found = self._ask("admit", [entry_to_json(entry) for entry in entries], now, claim, last)
        return admission_from_json(found, entries)

    def record(
        self,
        settlements: Sequence[Settlement],
        attempts: Sequence[AttemptRecord] = (),
        creations: Sequence[Creation] = (),
    ) -> None:
        """See `Ledger.record`."""
        self._do("record", *(list(map(list, rows)) for rows in (settlements, attempts, creations)))

    def mark_foreign(self, row_id: int) -> None:
        """See `Ledger.mark_foreign`."""
        self._do("mark_foreign", row_id)

    def mark_held(self, row_id: int, version_id: str, now: float, service_time: float | None = None) -> None:
        """See `Ledger.mark_held`."""
        self._do("mark_held", row_id, version_id, now, service_time)

    def drop_doubt(self, row_id: int, now: float) -> None:
        """See `Ledger.drop_doubt`."""
        self._do("drop_doubt", row_id, now)

    def bind_account(self, account: str) -> None:
        """See `Ledger.bind_account`."""
        self._do("bind_account", account)

    def tally(self) -> Tally:
        """See `Ledger.tally`."""
        return Tally(*self._ask("tally"))

    def end_run(self, summary: Mapping[str, Any], exit_code: int, stopped_by: str | None, now: float) -> None:
        """See `Ledger.end_run`."""
        self._do("end_run", dict(summary), exit_code, stopped_by, now)
