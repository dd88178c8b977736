"""Definitions on their way to the workers: read in blocks, looked up and claimed, both off the event loop.

Workers share one intake and pull. A block's claims are on disk before the first of its definitions is
handed out. Blocks are small where sending is slow, so that few definitions are claimed and unsent at a crash,
and grow while everything read is settled already, so that a resume is fast.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from concurrent.futures import Executor
from itertools import islice

from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.ledger import Admission, Claim, Ledger
from bulkseed.model import InvalidLine, ManifestEntry
from bulkseed.pacing.clock import Clock

LARGEST_BLOCK = 2048
LARGEST_BYTES = 4 << 20
"""A block ends once its values exceed this."""


def block_size(qps: float) -> int:
    """Return how many definitions to claim at a time: a quarter of a second's worth, at most 1024.

    Without a ceiling more: every commit writes each page of the index that it touches (measured).
    """
    return LARGEST_BLOCK if qps <= 0 else min(1024, max(1, int(qps / 4)))


class Intake:
    """Hands out claims.

    `limit`: how many to hand out at most. `give_up`: a stop that ends even a read that is under way, as pipes
    may stall; the block that was being read is then as if never read.
    """

    def __init__(
        self,
        entries: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
        ledger: Ledger,
        recorder: Recorder,
        stats: Stats,
        clock: Clock,
        *,
        reader: Executor,
        block: int,
        limit: int | None,
        give_up: Stop | None = None,
        on_invalid: Callable[[InvalidLine], None],
        spawn: Callable[[Callable[[], Awaitable[None]]], object],
    ) -> None:
        self._sync = iter(entries) if isinstance(entries, Iterable) else None
        self._async = None if isinstance(entries, Iterable) else aiter(entries)
        self._ledger = ledger
        self._recorder = recorder
        self._stats = stats
        self._clock = clock
        self._reader = reader
        self._block = block
        self._size = block
        self._left = limit
        self._give_up = give_up
        self._on_invalid = on_invalid
        self._spawn = spawn
        self._ready: deque[Claim] = deque()
        self._ended = False
        self._filling = asyncio.Lock()
        self._filling_ahead = False

    async def next(self) -> Claim | None:
        """Return the next claim, or None when there are no more."""
        while (claim := self.take()) is None:
            async with self._filling:  # the end has been read while the last block is still being claimed
                if not self._ready:
                    if self._ended:
                        return None
                    await self._fill()
        return claim

    def take(self) -> Claim | None:
        """Return the next claim if one is ready."""
        if not self._ready:
            return None
        claim = self._ready.popleft()
        if len(self._ready) < self._block // 2 and not self._ended and not self._filling_ahead:
            self._filling_ahead = True
            self._spawn(self._fill_ahead)
        return claim

    async def _fill_ahead(self) -> None:
        try:
            async with self._filling:
                if not self._ended:
                    await self._fill()
        finally:
            self._filling_ahead = False

    async def _fill(self) -> None:
        """Read and claim blocks until there is something to send."""
        size = self._size if self._left is None else min(self._size, self._left)
        admission = await self._admit(size, claim=True)
        if admission.to_send:
            self._size = self._block
        else:
            self._size = min(self._size * 2, LARGEST_BLOCK)
        if self._left is not None:
            self._left -= len(admission.to_send)
            self._ended = self._ended or self._left <= 0

    async def _admit(self, size: int, *, claim: bool) -> Admission:
        entries = await self._read(size)
        admission = await self._recorder.do(lambda: self._write_and_admit(entries, claim=claim))
        self._ready.extend(admission.to_send)
        for line in admission.invalid:
            self._on_invalid(line)
        return admission

    async def _read(self, size: int) -> list[ManifestEntry]:
        """Read in a thread of its own: a manifest that comes slowly must not keep answers from the disk."""
        reading: asyncio.Future[list[ManifestEntry]]
        if self._async is None:
            reading = asyncio.get_running_loop().run_in_executor(self._reader, self._read_block, size)
        else:
            reading = asyncio.ensure_future(self._read_async(size))
        if self._give_up is None:
            return await reading
        entries = await self._give_up.wait_for(reading)
        if entries is None:
            self._ended = True
            return []
        return entries

    def _read_block(self, size: int) -> list[ManifestEntry]:
        assert self._sync is not None  # noqa: S101  # the caller checked
        entries: list[ManifestEntry] = []
        weight = 0
        for entry in islice(self._sync, size):
            entries.append(entry)
            if not isinstance(entry, InvalidLine):
                weight += len(entry.data.reveal())
                if weight > LARGEST_BYTES:
                    break
        else:
            self._ended = self._ended or len(entries) < size
        return entries

    async def _read_async(self, size: int) -> list[ManifestEntry]:
        assert self._async is not None  # noqa: S101  # the caller checked
        entries: list[ManifestEntry] = []
        while len(entries) < size:
            try:
                entries.append(await anext(self._async))
            except StopAsyncIteration:
                self._ended = True
                break
        return entries

    def _write_and_admit(self, entries: list[ManifestEntry], *, claim: bool) -> Admission:
        """Admit and count, both in the ledger's thread: a run that is cancelled meanwhile counts right."""
        now = self._clock.time()
        admission = self._recorder.commit_with(lambda: self._ledger.admit(entries, now, claim=claim))
        self._stats.admitted(len(entries), admission.settled, len(admission.invalid))
        return admission

    async def hand_back(self) -> list[Claim]:
        """Return the claims that were not handed out."""
        async with self._filling:
            left = list(self._ready)
            self._ready.clear()
            return left

    async def account_for_rest(self) -> None:
        """Read what is left of the manifest without claiming: it is settled, invalid or pending."""
        while not self._ended:
            await self._admit(LARGEST_BLOCK, claim=False)
