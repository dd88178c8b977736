"""A target's ledger, opened and closed beside the event loop: neither may hold up the other targets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from bulkseed.ledger import Ledger, open_ledger
from bulkseed.model import Target


@asynccontextmanager
async def ledger_at(path: Path, target: Target, *, create: bool = True) -> AsyncIterator[Ledger]:
    """Open a ledger, and close it at the end: that waits for the disk, up to tens of milliseconds.

    Raises:
        LedgerError: it cannot be used; see `open_ledger`.
    """
    ledger = await anyio.to_thread.run_sync(partial(open_ledger, path, target, create=create))
    try:
        yield ledger
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(ledger.close)
