"""What a run has heard stays in its hands until it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from support import virtual_clock
from support.ledgers import LIMITS, START, definitions, new_ledger

from bulkseed.client.operations import CREATE, Operation
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.intake import SMALL_BLOCK_TIME
from bulkseed.engine.recorder import FLUSH_EVERY, Recorder
from bulkseed.errors import LedgerError
from bulkseed.ledger import Claim, Creation, Ledger, Settlement, read_ledger
from bulkseed.model import Fault, Outcome, SecretDefinition

COUNT = 600


def refusal(claim: Claim, status: int) -> tuple[WorkItem[SecretDefinition], Operation[Any, Any], int, Fault]:
    """Return what a client tells of an attempt that was refused."""
    work = WorkItem(claim.definition, claim.row_id)
    work.sent_at = START + 1
    return work, CREATE, status, Fault("Odd", status)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a run going on."""
    with new_ledger(tmp_path) as opened:
        opened.begin_run("run-1", ["prod.jsonl"], LIMITS, START)
        yield opened


async def test_a_write_that_fails_loses_nothing(ledger: Ledger) -> None:
    """The disk is full for a while: answers and attempts of before are on record once there is room again."""
    claims = ledger.admit(definitions(COUNT), START).to_send
    created, refused = claims[: COUNT // 2], claims[COUNT // 2 :]
    with ThreadPoolExecutor(1) as thread:
        recorder = Recorder(ledger, thread)
        for claim in refused:
            recorder.attempted(*refusal(claim, 403))
            recorder.settled(Settlement(claim.row_id, Outcome.REJECTED, START + 2, code="Odd"))
        for claim in created:
            recorder.created(Creation(claim.row_id, START + 1, 0.02, "0a1b2c3d4e5f"))
        used = ledger.one("PRAGMA page_count")
        await recorder.in_ledger_thread(lambda: ledger.connection.execute(f"PRAGMA max_page_count = {used}"))
        for _ in range(2):
            with pytest.raises(LedgerError, match="full"):
                await recorder.flush()
            assert ledger.counts()[Outcome.PENDING] == COUNT
            assert ledger.one("SELECT count(*) FROM attempts") == 0
        await recorder.in_ledger_thread(
            lambda: ledger.connection.execute(f"PRAGMA max_page_count = {used * 10}")
        )
        await recorder.flush()
    counts = ledger.counts()
    assert (counts[Outcome.CREATED], counts[Outcome.REJECTED]) == (len(created), len(refused))
    assert ledger.one("SELECT count(*) FROM attempts") == ledger.one("SELECT sum(attempts) FROM definitions")
    assert ledger.one("SELECT settled FROM runs") == len(created)


async def test_what_is_heard_during_a_write_is_kept_for_the_next(ledger: Ledger) -> None:
    """An answer that comes while others are being written is neither lost nor written twice."""
    claims = ledger.admit(definitions(4), START).to_send
    with ThreadPoolExecutor(1) as thread:
        recorder = Recorder(ledger, thread)

        def hear() -> None:
            created, refused = claims.pop(), claims.pop()
            recorder.created(Creation(created.row_id, START + 1, 0.02))
            recorder.attempted(*refusal(refused, 403))
            recorder.settled(Settlement(refused.row_id, Outcome.REJECTED, START + 2, code="Odd"))

        hear()
        await recorder.commit(hear)
        await recorder.flush()
    counts = ledger.counts()
    assert (counts[Outcome.CREATED], counts[Outcome.REJECTED]) == (2, 2)
    assert ledger.one("SELECT count(*) FROM attempts") == 4


@pytest.mark.parametrize("kind", ["creation", "end", "attempt"])
@pytest.mark.parametrize("since", [0.0, 0.3, 0.6, 0.8], ids="others wrote after {}".format)
def test_whatever_is_heard_is_on_disk_in_time(ledger: Ledger, kind: str, since: float) -> None:
    """It is written though nothing else comes, and though others had written just before it came."""
    (claim,) = ledger.admit(definitions(1), START).to_send

    async def run() -> None:
        with ThreadPoolExecutor(1) as thread:
            recorder = Recorder(ledger, thread)
            flushing = asyncio.create_task(recorder.flush_regularly())
            await asyncio.sleep(since)
            await recorder.flush()
            if kind == "creation":
                recorder.created(Creation(claim.row_id, START + 1, 0.02))
            elif kind == "end":
                recorder.settled(Settlement(claim.row_id, Outcome.REJECTED, START + 2, code="Odd"))
            else:
                recorder.attempted(*refusal(claim, 500))
            await asyncio.sleep(FLUSH_EVERY + 0.01)
            flushing.cancel()

    virtual_clock.run(run)
    with read_ledger(ledger.path) as reader:
        pending = reader.counts()[Outcome.PENDING]
        assert (pending, reader.one("SELECT count(*) FROM attempts")) == {
            "creation": (0, 1),
            "end": (0, 0),
            "attempt": (1, 1),
        }[kind]
    assert FLUSH_EVERY < 1, "the promise"


@pytest.mark.parametrize(("apart", "alone"), [(SMALL_BLOCK_TIME, 0), (2.0, 10)])
def test_answers_go_with_the_claims_of_the_next_block(ledger: Ledger, apart: float, alone: int) -> None:
    """At a slow pace no commit is for answers alone; where claims are rarer they are written in time."""
    flushed = []

    class Told(Recorder):
        async def flush(self) -> None:
            flushed.append(asyncio.get_running_loop().time())
            await super().flush()

    async def run() -> None:
        claims = iter(ledger.admit(definitions(101), START).to_send)
        with ThreadPoolExecutor(1) as thread:
            recorder = Told(ledger, thread)
            flushing = asyncio.create_task(recorder.flush_regularly())

            async def claim_regularly() -> None:
                while True:
                    await recorder.commit(lambda: None)
                    await asyncio.sleep(apart)

            claiming = asyncio.create_task(claim_regularly())
            for number, claim in zip(range(100), claims, strict=False):
                await asyncio.sleep(0.1)
                recorder.created(Creation(claim.row_id, START + 0.1 * number, 0.02))
            flushing.cancel()
            claiming.cancel()

    virtual_clock.run(run)
    assert len(flushed) == alone


async def test_what_must_be_done_is_done_despite_a_cancellation(ledger: Ledger) -> None:
    """A run that is cancelled twice while its end is being written waits for the disk, and is cancelled then.

    Meanwhile the loop goes on with whatever else it has to do.
    """
    disk, done = Event(), list[str]()
    with ThreadPoolExecutor(1) as thread:
        recorder = Recorder(ledger, thread)

        def write() -> None:
            disk.wait(60)
            done.append("written")

        ending = asyncio.create_task(recorder.to_the_end(write))
        for _ in range(2):
            await asyncio.sleep(0)
            ending.cancel()
            await asyncio.sleep(0)
        assert not ending.done()
        disk.set()
        with pytest.raises(asyncio.CancelledError):
            await ending
    assert done == ["written"]
