"""The intake hands out every claim, whoever asks when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.ledgers import LIMITS, START, definitions, target

from bulkseed.engine.intake import BlockReader, Intake
from bulkseed.engine.recorder import Recorder
from bulkseed.ledger import Admission, open_ledger
from bulkseed.model import ManifestEntry


async def test_last_block_is_handed_out_to_all_who_ask_while_it_is_claimed(tmp_path: Path) -> None:
    """That the manifest has been read to its end does not mean that nothing comes any more."""

    async def entries() -> AsyncIterator[ManifestEntry]:
        for entry in definitions(2):
            yield entry

    disk = threading.Event()
    with open_ledger(tmp_path / "ledger.db", target()) as ledger, ThreadPoolExecutor(1) as executor:
        ledger.begin_run("run", [], LIMITS, START)
        executor.submit(disk.wait)  # the claim has to wait for a slow disk
        recorder = Recorder(ledger, executor)

        async def admit(block: Sequence[ManifestEntry], claim: bool) -> Admission:
            return await recorder.commit(lambda: ledger.admit(block, START, claim=claim))

        intake = Intake(BlockReader(entries(), executor), admit, lambda _fill: None, block=3)
        first, second = asyncio.create_task(intake.next()), asyncio.create_task(intake.next())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        disk.set()
        claims = [await first, await second]
    assert [claim is not None for claim in claims] == [True, True]
