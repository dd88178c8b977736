"""The coordinator's side of a remote ledger: one worker at a time, each call done exactly once.

Rules that live here. A target is placed with a *ticket*; only the ticket given out last is accepted, and only
from the one execution that came with it first. Calls of an execution are numbered: the number of the last
call again gets the same reply, and nothing is done twice. A lease is counted from when a call was heard, and
one that has lapsed is never renewed: whoever saw that may place the target again at any later moment.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bulkseed.cluster.lease import MARGIN, lease_clock
from bulkseed.cluster.ledger_operations import LedgerOperations
from bulkseed.cluster.records import owned_row_from_json, rollback_end_from_json
from bulkseed.errors import BulkseedError
from bulkseed.ledger import Ledger
from bulkseed.policy.rollback import UNDONE, RollbackEnd, RollbackOutcome

LedgerCall = dict[str, Any]
"""``target``, ``ticket``, ``incarnation``, ``number`` (None: it only renews), ``operations``, and sometimes
``progress`` or ``failed``."""


@dataclass(slots=True)
class Placement:
    """One target at one worker. Times are of `lease_clock`."""

    worker: str
    until: float
    ticket: str = field(default_factory=lambda: os.urandom(16).hex())
    incarnation: str | None = None  # of the execution that came first
    number: int = 0  # of the last call
    reply: bytes = b"null"  # to that call


class HostedLedger:
    """A target's ledger, and who may write to it.

    `on_progress`, `on_arn` and `on_end` are called in a thread of the ledger's, with what a worker tells.

    Attributes:
        ended: the JSON of its last run, once that has ended.
        failed: what a worker says is in the way.
        stop: why its run has to stop, and the exit code.
        undone_before: ends of a rollback that runs before the last one brought about, under this coordinator.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: float,
        on_progress: Callable[[dict[str, Any]], object] = lambda _progress: None,
        on_arn: Callable[[str], object] = lambda _arn: None,
        on_end: Callable[[str, RollbackEnd], object] = lambda _name, _end: None,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        self.ledger = ledger
        self.placement: Placement | None = None
        self.ended: dict[str, Any] | None = None
        self.failed: dict[str, Any] | None = None
        self.stop: tuple[str, int] | None = None
        self.undone_before: Counter[RollbackOutcome] = Counter()
        self._lease = lease
        self._on_progress = on_progress
        self._operations = LedgerOperations(ledger, lease + MARGIN, on_arn)
        self._on_end = on_end
        self._clock = clock
        self._settled_before: int | None = None  # as a limit was asked for first
        self._undone: Counter[RollbackOutcome] = Counter()  # by the run that began last
        self._lent = False  # by this coordinator; what another one has lent is not ours to end
        self._lock = threading.Lock()

    def rest_of(self, limit: int | None) -> int | None:
        """Return what is left of a limit; ask before each placement, as runs before settle a part of it."""
        if limit is None:
            return None
        with self._lock:
            settled = sum(count for word, count in self.ledger.counts().items() if word.settled)
            if self._settled_before is None:
                self._settled_before = settled
            return max(0, limit - (settled - self._settled_before))

    def place(self, worker: str) -> Placement:
        """Give out a new ticket; one that was out is not accepted any more."""
        with self._lock:
            self.ended = self.failed = None
            self.placement = Placement(worker, self._clock() + self._lease)
            return self.placement

    def revoke(self) -> None:
        """Accept the ticket no more: its run has ended, or its lease is over."""
        with self._lock:
            self.placement = None
            if self._lent:
                self.ledger.lend(None)
                self._lent = False

    def revoke_unbegun(self) -> bool:
        """Accept the ticket no more if nobody has come with it; tell whether that is so."""
        with self._lock:
            if self.placement is None or self.placement.incarnation is not None:
                return False
            self.placement = None
            return True

    @property
    def has_lapsed(self) -> bool:
        """True if whoever has the ticket cannot send any more, and what was sent has arrived."""
        placement = self.placement
        return placement is not None and self._clock() >= placement.until + MARGIN

    def answer(self, call: LedgerCall) -> dict[str, Any]:
        """Do what a worker asks for, once, and return the reply."""
        with self._lock:
            placement = self.placement
            if placement is None or call["ticket"] != placement.ticket:
                return {"refused": "the target was placed again"}
            if self.has_lapsed:
                return {"refused": "the lease is over"}
            if placement.incarnation is None:
                placement.incarnation = call["incarnation"]
            if call["incarnation"] != placement.incarnation:
                return {"refused": "another execution came first"}
            placement.until = self._clock() + self._lease
            if progress := call.get("progress"):
                self._on_progress(progress)
            self.failed = call.get("failed") or self.failed
            if call["number"] is not None:
                if call["number"] == placement.number + 1:
                    placement.reply = self._done(call["operations"])
                    placement.number += 1
                elif call["number"] != placement.number:
                    return {"refused": "a call is missing"}
            kept = orjson.Fragment(placement.reply)
            return {"now": time.time(), "stop": self.stop, "reply": kept}

    def _done(self, operations: Sequence[list[Any]]) -> bytes:
        """Do operations in one transaction; what cannot be told is not done."""
        try:
            with self.ledger.transaction():
                results = [self._operations.do(name, arguments) for name, *arguments in operations]
                reply = orjson.dumps({"results": results})
        except BulkseedError as error:
            return orjson.dumps({"error": str(error)})
        except Exception as error:  # noqa: BLE001  # a worker may send anything; no text of it comes back
            return orjson.dumps({"error": f"unexpected {type(error).__name__} at the coordinator"})
        for name, *arguments in operations:
            if name == "begin_run":
                self._lent = self._operations.goes_on = True
                self.undone_before += self._undone
                self._undone.clear()
            elif name == "end_run":
                self._lent, self.ended = False, arguments[0]
            elif name == "end_rollback":
                row, end = owned_row_from_json(arguments[0]), rollback_end_from_json(arguments[1])
                self._undone[end.outcome] += end.outcome in UNDONE
                self._on_end(row.name, end)
        return reply
