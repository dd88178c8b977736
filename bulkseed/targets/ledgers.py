"""A target's ledger, opened and closed beside the event loop: neither may hold up the other targets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from bulkseed.ledger import Ledger, open_ledger
from bulkseed.model import Target


@asynccontextmanager
async def ledger_at(
    path: Path, target: Target, threads: Executor | None = None, *, create: bool = True
) -> AsyncIterator[Ledger]:
    """Open a ledger, and close it at the end: that waits for the disk, up to tens of milliseconds.

    `threads` open it: those that all ledgers share. What a close waits for would take them from the others.

    Raises:
        LedgerError: it cannot be used; see `open_ledger`.
    """
    opening = partial(open_ledger, path, target, create=create)
    with anyio.CancelScope(shield=True):  # what is opened is closed
        ledger = await asyncio.get_running_loop().run_in_executor(threads, opening)
    try:
        yield ledger
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(ledger.close)
