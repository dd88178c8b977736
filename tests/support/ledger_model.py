"""Any history of runs, claims, answers, failures and kills, against a dictionary that loses nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bulkseed.ledger import Claim, Creation, Ledger, LedgerPort, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import InvalidLine, Origin, Outcome
from support.ledgers import START, answer, attempt, definition, new_ledger, settlement, summary

NAMES = st.sampled_from("abcd")
ENTRIES = st.lists(st.tuples(NAMES, st.sampled_from(["v1", "v2"])) | st.none(), max_size=6)
UNFINISHED = {Outcome.PENDING, Outcome.EXHAUSTED}
MAY_DOUBT = {*UNFINISHED, Outcome.REJECTED, Outcome.EXISTING}
ENDS = st.sampled_from([end for end in Outcome if end not in {Outcome.INVALID, Outcome.BEHIND}])
"""What an apply writes as an end: what is behind keeps the end that it had."""


@dataclass
class Known:
    """What is true of a name."""

    version: str
    line: int
    outcome: Outcome = Outcome.PENDING
    doubt_since: float | None = None
    owned: bool = False
    held: str | None = None
    attempts: int = 0
    run: int = 0


class LedgerHistories(RuleBasedStateMachine):
    """Steps that a run can take, in any order."""

    @initialize()
    def start(self) -> None:
        """Begin with a new ledger and a first run."""
        self.folder = Path(tempfile.mkdtemp())
        self.now = START
        self.known: dict[str, Known] = {}
        self.invalid = 0
        self.bad_places: set[int] = set()
        self.run = 0
        self.open()
        self.begin()

    def open(self) -> None:
        """Open the ledger without waiting for the disk: here the process dies, not the machine."""
        self.ledger: Ledger = new_ledger(self.folder)
        self.ledger.connection.execute("PRAGMA synchronous = OFF")
        self.port = self.writer()

    def writer(self) -> LedgerPort:
        """Return what a run writes to."""
        return self.ledger

    def teardown(self) -> None:
        """Everything still adds up at the end."""
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.check(self.folder)
            shutil.rmtree(self.folder)

    @precondition(lambda self: not self.going_on)
    @rule()
    def begin(self) -> None:
        """Begin a run; the one before, if it did not end, was cut short."""
        self.now += 1
        self.run += 1
        self.port.begin_run(f"run-{self.run}", ["prod.jsonl"], {}, self.now)
        self.going_on = True
        self.invalid = self.line = self.attempts = 0
        self.bad_before, self.bad_places = self.bad_places | getattr(self, "bad_before", set()), set()
        self.seen: dict[str, int] = {}
        self.settled: Counter[Outcome] = Counter()
        self.claims: dict[str, Claim] = {}
        self.uncertain: set[str] = set()

    @precondition(lambda self: self.going_on)
    @rule(entries=ENTRIES, claim=st.sampled_from([True, True, False]))
    def admit(self, entries: list[tuple[str, str] | None], claim: bool) -> None:
        """Read a block: settled names cost nothing, second ones are invalid, the rest is claimed or left."""
        self.now += 1
        block: list[object] = []
        expected: list[tuple[str, float | None, str | None]] = []
        settled: Counter[Outcome] = Counter()
        duplicates: list[str] = []
        for entry in entries:
            self.line += 1
            self.bad_before.discard(self.line)
            if entry is None:
                self.bad_places.add(self.line)
                block.append(InvalidLine(Origin("prod.jsonl", self.line), ("bad",)))
                self.invalid += 1
                continue
            name, version = entry
            block.append(definition(name, self.line, version))
            if name in self.seen:
                duplicates.append(f"duplicate: first seen at prod.jsonl:{self.seen[name]}")
                self.bad_places.add(self.line)
                self.invalid += 1
                continue
            self.seen[name] = self.line
            row = self.known.setdefault(name, Known(version, self.line))
            row.line = self.line
            if row.outcome.settled and row.version == version:
                settled[row.outcome] += 1
                continue
            if row.owned and row.outcome.settled:
                row.held = row.version
            expected.append((name, row.doubt_since, row.held if row.owned else None))
            row.version, row.outcome, row.run = version, Outcome.PENDING, self.run
            if claim and row.doubt_since is None:
                row.doubt_since = self.now
        admission = self.port.admit(block, self.now, claim=claim)  # type: ignore[arg-type]  # a block of both
        told = [(c.definition.name, c.doubt_since, c.held) for c in admission.to_send]
        assert told == (expected if claim else [])
        assert admission.unsent == (0 if claim else len(expected))
        assert admission.settled == settled
        assert [line.reasons[0] for line in admission.invalid if line.name] == duplicates
        self.settled += settled
        self.claims |= {c.definition.name: c for c in admission.to_send}

    @precondition(lambda self: self.claims)
    @rule(name=NAMES, status=st.sampled_from([200, 429, None]))
    def attempt(self, name: str, status: int | None) -> None:
        """An attempt is on record before its definition is settled."""
        if name in self.claims:
            self.now += 1
            self.port.record([], [attempt(self.claims[name], self.now, status)])
            self.known[name].attempts += 1
            self.attempts += 1
            if status != 429:
                self.uncertain.add(name)

    @precondition(lambda self: self.claims)
    @rule(
        leave=st.sets(NAMES, max_size=2),
        outcome=ENDS,
        doubt=st.booleans(),
        short=st.booleans(),
        fails=st.integers(0, 3),
    )
    def settle(self, leave: set[str], outcome: Outcome, doubt: bool, short: bool, fails: int) -> None:
        """Answers come in, with their last attempts; if the transaction fails nothing has changed.

        `short`: that a secret was created may come as one record.
        """
        claims = {name: claim for name, claim in self.claims.items() if name not in leave}
        self.now += 1
        doubts = {
            name: outcome in MAY_DOUBT and (doubt or (outcome in UNFINISHED and name in self.uncertain))
            for name in claims
        }
        ends = [settlement(claims[name], outcome, self.now + 0.02, doubt=doubts[name]) for name in claims]
        sent = [answer(claim, outcome, self.now) for claim in claims.values()]
        records: tuple[Any, ...] = (ends, sent)
        if short and outcome is Outcome.CREATED:
            records = ([], [], [Creation(claim.row_id, self.now, 0.02) for claim in claims.values()])
        if fails == 0:
            with suppress(InterruptedError), self.port.transaction():
                self.port.record(*records)
                self.interrupt()
            return
        self.port.record(*records)
        for name in claims:
            row = self.known[name]
            row.outcome = outcome
            row.attempts += 1
            row.owned = row.owned or outcome in {Outcome.CREATED, Outcome.ADOPTED}
            if not doubts[name]:
                row.doubt_since = None
            del self.claims[name]
        self.attempts += len(claims)

    def interrupt(self) -> NoReturn:
        """Fail in the middle of a transaction; the run reads no more."""
        self.going_on = False
        raise InterruptedError

    @precondition(lambda self: self.going_on and self.seen)
    @rule()
    def end(self) -> None:
        """End the run with a true summary."""
        outcomes = self.settled + Counter(row.outcome for row in self.known.values() if row.run == self.run)
        outcomes[Outcome.INVALID] = self.invalid
        self.port.end_run(summary(outcomes, self.attempts), 0, None, self.now + 1)
        self.going_on = False
        self.claims = {}

    @precondition(lambda self: self.claims)
    @rule()
    def kill(self) -> None:
        """Go on from what a kill leaves on the disk: the file and its log as they are at this moment."""
        image = Path(tempfile.mkdtemp())
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.ledger.path}{suffix}", image)
        self.ledger.close()
        shutil.rmtree(self.folder)
        self.folder = image
        self.check(image)
        self.open()
        self.begin()

    @invariant()
    def the_rows_are_true(self) -> None:
        """Rows and counts say what is known, no more and no less."""
        if not hasattr(self, "ledger"):
            return
        rows = {
            name: Known(
                *(version, line, Outcome(outcome), since / 1e6 if doubt else None, bool(owned), held),
                *(attempts, run),
            )
            for name, version, line, outcome, since, doubt, owned, held, attempts, run in self.ledger.select(
                "SELECT name, version_id, place, outcome, claimed_at, doubt, owned, (SELECT e.version_id"
                " FROM earlier_versions e WHERE definition = d.id ORDER BY e.run DESC LIMIT 1), attempts, run"
                " FROM definitions d"
            )
        }
        assert rows == {name: replace(row) for name, row in self.known.items()}
        counts = self.ledger.counts()
        assert counts.pop(Outcome.INVALID) == self.invalid + len(self.bad_before)
        assert sum(counts.values()) == len(self.known)

    def check(self, folder: Path) -> None:
        """The audit finds nothing."""
        with read_ledger(folder / "prod.ledger.db") as reader:
            assert [finding for finding in audit(reader) if not finding.holds] == []
