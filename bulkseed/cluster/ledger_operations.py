"""What a worker may have done in a ledger: the methods of a `LedgerPort` and of a rollback, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bulkseed.cluster.records import (
    admission_to_json,
    attempt_from_json,
    creation_from_json,
    entry_from_json,
    owned_row_from_json,
    rollback_end_from_json,
    settlement_from_json,
)
from bulkseed.errors import LedgerError
from bulkseed.ledger import Ledger, TakeUp
from bulkseed.ledger.rollbacks import Rollbacks
from bulkseed.model import Outcome, QuotaGroup, Verified
from bulkseed.policy.jobs import JOBS
from bulkseed.policy.moments import Era


class LedgerOperations:
    """Does operations in a ledger, one at a time and inside a transaction.

    `lent_for`: seconds for which a run that begins is lent out. `on_arn` is told of each ARN.

    Attributes:
        goes_on: the run that begins next goes on with one of this command, and forgets nothing.
    """

    def __init__(self, ledger: Ledger, lent_for: float, on_arn: Callable[[str], object]) -> None:
        self.goes_on = False
        self._ledger = ledger
        self._lent_for = lent_for
        self._on_arn = on_arn
        self._rollbacks: Rollbacks | None = None
        self._words: type[Outcome | Verified] = Outcome

    def do(self, name: str, arguments: list[Any]) -> Any:
        """Do one, and return its result as JSON.

        Raises:
            LedgerError: it cannot be done, or there is no such operation.
        """
        ledger = self._ledger
        match name:
            case "proof_for":
                proof = ledger.proof_for(*arguments)
                return None if proof is None else list(proof)
            case "begin_run":
                return self._begin_run(*arguments)
            case "admit":
                found, now, service, claim, last = arguments
                entries = [entry_from_json(entry) for entry in found]
                admission = ledger.admit(entries, now, service, claim=claim, last=last)
                return admission_to_json(admission, entries)
            case "record":
                self._record(*arguments)
            case "mark_foreign" | "mark_held" | "drop_doubt" | "bind_account" | "note_clock":
                getattr(ledger, name)(*arguments)
            case "tally":
                return list(ledger.tally())
            case "end_run":
                ledger.end_run(*arguments)
                ledger.lend(None)
            case "roll_back":
                now, restore_values = arguments
                self._rollbacks = Rollbacks(ledger, now, restore_values=restore_values)
            case _:
                return self._do_in_rollback(name, arguments)
        return None

    def _do_in_rollback(self, name: str, arguments: list[Any]) -> Any:
        rollbacks = self._rollbacks
        if rollbacks is None or name not in {"owned_rows", "claim_rollback", "end_rollback"}:
            raise LedgerError(f"there is no operation {name}, or not in this run")
        if name == "owned_rows":
            return [list(row) for row in rollbacks.owned(*arguments)]
        row = owned_row_from_json(arguments[0])
        if name == "claim_rollback":
            rollbacks.claim(row, *arguments[1:])
        else:
            _, ended, now, claimed, doubt = arguments
            rollbacks.end(row, rollback_end_from_json(ended), now, claimed=claimed, doubt=doubt)
        return None

    def _begin_run(
        self,
        run_id: str,
        manifests: list[str],
        limits: dict[str, float],
        now: float,
        command: str,
        afresh: bool,
        again: list[Any],
        caller: str | None,
        era: list[Any],
    ) -> float | None:
        follow, reopen, gone = again
        until = self._ledger.begin_run(
            run_id,
            manifests,
            {QuotaGroup(group): limit for group, limit in limits.items()},
            now,
            command,
            afresh=afresh and not self.goes_on,
            again=TakeUp(follow, tuple(map(Outcome, reopen)), gone),
            caller=caller,
            era=Era(*era),
        )
        self._words = JOBS[command].words
        self._ledger.lend(self._lent_for)
        return until

    def _record(self, settlements: list[Any], attempts: list[Any], creations: list[Any]) -> None:
        made = [creation_from_json(creation) for creation in creations]
        self._ledger.record(
            [settlement_from_json(settlement, self._words) for settlement in settlements],
            [attempt_from_json(attempt) for attempt in attempts],
            made,
        )
        for creation in made:
            if creation.arn:
                self._on_arn(creation.arn)
