"""What a run has heard stays in its hands until it is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.ledgers import LIMITS, START, attempt, definitions, new_ledger

from bulkseed.engine.recorder import Recorder
from bulkseed.errors import LedgerError
from bulkseed.ledger import Creation, Ledger, Settlement
from bulkseed.model import Outcome

COUNT = 600


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
            recorder.attempted(attempt(claim, START + 1, 403))
            recorder.settled(Settlement(claim.row_id, Outcome.REJECTED, START + 2, code="Odd"))
        for claim in created:
            recorder.created(Creation(claim.row_id, START + 1, 0.02, "0a1b2c3d4e5f"))
        used = ledger.one("PRAGMA page_count")
        await recorder.do(lambda: ledger.connection.execute(f"PRAGMA max_page_count = {used}"))
        for _ in range(2):
            with pytest.raises(LedgerError, match="full"):
                await recorder.flush()
            assert ledger.counts()[Outcome.PENDING] == COUNT
            assert ledger.one("SELECT count(*) FROM attempts") == 0
        await recorder.do(lambda: ledger.connection.execute(f"PRAGMA max_page_count = {used * 10}"))
        recorder.finish(lambda: None)
    counts = ledger.counts()
    assert (counts[Outcome.CREATED], counts[Outcome.REJECTED]) == (len(created), len(refused))
    assert ledger.one("SELECT count(*) FROM attempts") == ledger.one("SELECT sum(attempts) FROM definitions")
    assert ledger.one("SELECT settled FROM runs") == len(created)
