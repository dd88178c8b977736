"""A ledger at the coordinator: what travels, what is refused, and what nobody may do twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from support.ledgers import START, attempt, definition, new_ledger, settlement
from support.remote_ledgers import LEASE, LossyCalls, over_json, remote

from bulkseed.cluster.channel import Channel, CutOffError
from bulkseed.cluster.hosted_ledger import HostedLedger
from bulkseed.cluster.remote_ledger import RemoteLedger, RemoteRollbacks
from bulkseed.cluster.runner import _LeasedRun
from bulkseed.cluster.task import CoordinatorAddress, Task
from bulkseed.errors import LedgerError
from bulkseed.ledger.rollbacks import Rollbacks, rolled_back
from bulkseed.model import Outcome, Verified
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome


def test_no_value_travels(tmp_path: Path) -> None:
    """What is asked of the coordinator names definitions and has nothing of their values."""
    messages = []
    with new_ledger(tmp_path) as ledger:
        hosted = HostedLedger(ledger, LEASE)
        hosted.place("a worker")
        calls = LossyCalls(hosted, 0)

        def keep(operations: list[list[object]]) -> list[object]:
            messages.append(orjson.dumps(operations))
            return calls(operations)

        there = RemoteLedger(ledger.path, keep)
        there.begin_run("r", ["prod.jsonl"], {}, START)
        (claim,) = there.admit([definition("named", value="canary-value")], START).to_send
        assert claim.definition.data.reveal() == "canary-value"
        there.record([settlement(claim)], [attempt(claim)])
    assert any(b"named" in message for message in messages)
    assert not any(b"canary" in message for message in messages)


def test_an_error_is_told_and_nothing_is_half_done(tmp_path: Path) -> None:
    """A row cannot be settled twice, from afar as from near; what came with it is not recorded either."""
    with new_ledger(tmp_path) as ledger:
        there = remote(HostedLedger(ledger, LEASE), 1)
        there.begin_run("r", ["prod.jsonl"], {}, START)
        one, two = there.admit([definition("one", 1), definition("two", 2)], START).to_send
        there.record([settlement(one)], [attempt(one)])
        with pytest.raises(LedgerError, match="settled twice"):
            there.record([settlement(two), settlement(one)])
        assert {row.name: row.outcome for row in ledger.rows()} == {
            "one": Outcome.CREATED,
            "two": Outcome.PENDING,
        }


async def test_after_a_call_without_an_answer_nothing_is_recorded_twice(tmp_path: Path) -> None:
    """The coordinator stood still for a lease, and then did what it was asked: a recorder keeps its batch."""
    with new_ledger(tmp_path) as ledger:
        hosted = HostedLedger(ledger, LEASE)
        task = Task(CoordinatorAddress("here", ""), "t", hosted.place("w").ticket, str(ledger.path), LEASE)
        is_late = False

        async def send(message: bytes) -> bytes:
            replies = [hosted.answer(call) for call in orjson.loads(message)]
            if is_late:
                run.lease.end()
                raise ConnectionError
            return orjson.dumps(replies)

        channel = Channel(send, 1.0)
        carrying = asyncio.create_task(channel.run())
        run = _LeasedRun(task, channel)
        there = RemoteLedger(ledger.path, run.call)
        await asyncio.to_thread(there.begin_run, "r", ["prod.jsonl"], {}, START)
        (claim,) = (await asyncio.to_thread(there.admit, [definition("one")], START)).to_send
        for is_late in (True, False):  # noqa: B007  # `send` reads it
            with pytest.raises(CutOffError):
                await asyncio.to_thread(there.record, [], [attempt(claim)])
        carrying.cancel()
        assert [row.attempts for row in ledger.rows()] == [1]


def test_a_verify_from_afar_has_the_words_of_a_verify(tmp_path: Path) -> None:
    """What it finds behind is not settled, though the same word of an apply would be."""
    with new_ledger(tmp_path) as ledger:
        there = remote(HostedLedger(ledger, LEASE), 1)
        there.begin_run("r", ["prod.jsonl"], {}, START, "verify")
        one, two = there.admit([definition("one", 1), definition("two", 2)], START).to_send
        there.record(
            [
                settlement(claim)._replace(outcome=word)
                for claim, word in ((one, Verified.BEHIND), (two, Verified.PRESENT))
            ]
        )
        assert (there.tally().claimed, there.tally().settled) == (2, 1)
        there.begin_run("s", ["prod.jsonl"], {}, START + 1, "verify")
        again = there.admit([definition("one", 1), definition("two", 2)], START + 1)
        assert (again.settled, [word.settled for word in again.settled]) == ({Verified.PRESENT: 1}, [True])


def test_a_transaction_that_fails_here_is_not_sent(tmp_path: Path) -> None:
    """What was said inside is forgotten."""
    with new_ledger(tmp_path) as ledger:
        there = remote(HostedLedger(ledger, LEASE), 1)
        there.begin_run("r", ["prod.jsonl"], {}, START)
        (claim,) = there.admit([definition("one")], START).to_send
        with suppress(InterruptedError), there.transaction():
            there.record([settlement(claim)], [attempt(claim)])
            raise InterruptedError
        there.mark_foreign(claim.row_id)
        assert [row.outcome for row in ledger.rows()] == [Outcome.PENDING]


def test_only_the_ticket_that_is_out_and_its_first_execution_are_heard(tmp_path: Path) -> None:
    """A zombie's records, a second execution of one task, a number that was left out: all are refused."""
    with new_ledger(tmp_path) as ledger:
        hosted = HostedLedger(ledger, LEASE)
        old = hosted.place("a").ticket

        def call(ticket: str, incarnation: str, number: int) -> dict[str, object]:
            asked = {"target": "t", "ticket": ticket, "incarnation": incarnation, "number": number}
            begin = [
                "begin_run",
                incarnation,
                [],
                {},
                START,
                "apply",
                False,
                [True, [], []],
                None,
                [None, 0.0],
            ]
            return over_json(hosted, {**asked, "operations": [begin]})

        assert "reply" in call(old, "first", 1)
        assert call(old, "second", 1) == {"refused": "another execution came first"}
        assert call(old, "first", 3) == {"refused": "a call is missing"}
        new = hosted.place("b").ticket
        assert call(old, "first", 2) == {"refused": "the target was placed again"}
        assert "reply" in call(new, "third", 1)
        hosted.revoke()
        assert call(new, "third", 2) == {"refused": "the target was placed again"}
        assert sum(1 for _ in ledger.runs()) == 2


def test_what_another_coordinator_has_lent_is_not_ended_by_a_task_that_never_began(tmp_path: Path) -> None:
    """Killed, started again, and the first task is lost before it begins: the lease of before still holds."""
    with new_ledger(tmp_path) as ledger:
        remote(HostedLedger(ledger, LEASE), 0).begin_run("killed", [], {}, START)
    with new_ledger(tmp_path) as ledger:
        hosted = HostedLedger(ledger, LEASE)
        hosted.place("a worker")
        assert hosted.revoke_unbegun()
        hosted.place("a worker whose credentials are gone")
        hosted.revoke()
        there = remote(hosted, 0)
        assert there.begin_run("next", [], {}, START + 5) == START + 5 + LEASE + 1.5
        assert not hosted.revoke_unbegun()
        hosted.revoke()
        assert remote(hosted, 0).begin_run("after its lease", [], {}, START + 60) == START + 60


def test_a_ledger_that_was_lent_holds_the_next_run_back(tmp_path: Path) -> None:
    """The coordinator was killed: whoever goes on, near or far, waits for the lease to end."""
    with new_ledger(tmp_path) as ledger:
        there = remote(HostedLedger(ledger, LEASE), 0)
        there.begin_run("killed", [], {}, START)
    with new_ledger(tmp_path) as ledger:
        assert ledger.begin_run("next", [], {}, START + 5) == START + 5 + LEASE + 1.5
        ledger.end_run({}, 0, None, START + 6)
        assert ledger.begin_run("after", [], {}, START + 9) == START + 6


@pytest.mark.parametrize("seed", range(8))
def test_a_rollback_is_written_once_whatever_is_lost(tmp_path: Path, seed: int) -> None:
    """Over lost, repeated and late calls the ledger says what one on this machine would say."""
    told = []
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("r", ["prod.jsonl"], {}, START)
        claims = ledger.admit([definition(name, n + 1) for n, name in enumerate("abc")], START).to_send
        ledger.record([settlement(claim) for claim in claims], [attempt(claim) for claim in claims])
        ledger.end_run({}, 0, None, START + 1)
        hosted = HostedLedger(ledger, LEASE, on_end=lambda name, end: told.append((name, end)))
        there = remote(hosted, seed)
        with there.transaction():
            there.begin_run("undo", [], {}, START + 2, "rollback")
            rollbacks = RemoteRollbacks(there, START + 2)
        first, second, third = rollbacks.owned(0, 10)
        assert rollbacks.owned(0, 10) == Rollbacks(ledger, START + 2).owned(0, 10)
        for row in (first, second):
            rollbacks.claim(row, "2026-01-01T00:00:00Z", START + 3)
        deleted = RollbackEnd(RollbackOutcome.DELETED, status=200, request_id="q")
        changed = RollbackEnd(RollbackOutcome.CHANGED, "it has other versions than ours")
        rollbacks.end(first, deleted, START + 4, claimed=True, doubt=False)
        rollbacks.end(third, changed, START + 4, claimed=False, doubt=False)
        assert told == [(first.name, deleted), (third.name, changed)]
        assert rolled_back(ledger) == 1
        assert [row.claimed for row in Rollbacks(ledger, START + 5).owned(0, 10)] == [True, False]


def test_a_verify_that_goes_on_elsewhere_believes_what_was_found(tmp_path: Path) -> None:
    """The first run of a command forgets, those after it do not."""

    def known_at_first(hosted: HostedLedger) -> int:
        there = remote(hosted, 0)
        there.begin_run(f"{hosted.placement}", ["prod.jsonl"], {}, START, "verify", afresh=True)
        admission = there.admit([definition("one")], START)
        for claim in admission.to_send:
            there.record([settlement(claim, Verified.IDENTICAL)], [attempt(claim)])
        return admission.settled.total()

    with new_ledger(tmp_path) as ledger:
        for _ in range(2):  # as another command does
            hosted = HostedLedger(ledger, LEASE)
            assert [known_at_first(hosted) for _ in range(3)] == [0, 1, 1]
