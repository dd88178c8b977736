"""Definitions on their way to the workers: read in blocks, looked up and claimed, both off the event loop.

Workers share one intake and pull. A block's claims are on disk before the first of its definitions is
handed out. Blocks are small where sending is slow, so that few definitions are claimed and unsent at a crash,
and grow while everything read is settled already, so that a resume is fast.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Protocol, runtime_checkable

from bulkseed.engine.pool import Spawn
from bulkseed.engine.stop import Stop
from bulkseed.ledger import Admission, Claim
from bulkseed.model import InvalidLine, ManifestEntry, UnreadValue
from bulkseed.stretch import LineStretch

LARGEST_BLOCK = 4096
"""Half as large, and a commit without a ceiling costs each secret half as much again (measured)."""
SMALLEST_BLOCK = 10
SMALL_BLOCK_TIME = 0.7
"""Seconds that a small block lasts: a little less than an answer may wait for its commit, so that the claims
of the next block take all answers along, and no commit is for answers alone."""
LARGEST_BYTES = 4 << 20
"""A block ends once its values exceed this."""


def block_size(qps: float, *, may_stall: bool = False) -> int:
    """Return how many definitions to claim at a time: a quarter of a second's worth, at most 1024.

    Ten at least, or what `SMALL_BLOCK_TIME` needs if that is less: a hundred runs in one loop spend a third
    of their time on commits (measured). Not of a pipe, which may stall: what it has given must not wait.
    Without a ceiling more: every commit writes each page of the index that it touches (measured).
    """
    if qps <= 0:
        return LARGEST_BLOCK
    least = 1 if may_stall else min(SMALLEST_BLOCK, int(qps * SMALL_BLOCK_TIME))
    return max(1, min(1024, int(qps / 4)), least)


@runtime_checkable
class HasParts(Protocol):
    """Entries that can be read many at once, as of a `Manifest`."""

    @property
    def parts(self) -> Iterator[ManifestEntry | LineStretch]:
        """Single entries, and those that are alike and on lines in a row as one."""
        ...


class BlockReader:
    """Reads entries in blocks, bounded in number and bytes.

    A synchronous iterable is read in the thread of `executor`: a manifest that comes slowly must not keep
    answers from the disk. `give_up`: a stop that ends even a read that is under way, as pipes may stall; the
    block that was being read is then as if never read.

    Attributes:
        ended: whether there is nothing more to read.
        complete: whether everything has been read.
    """

    def __init__(
        self,
        entries: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
        executor: Executor,
        give_up: Stop | None = None,
    ) -> None:
        self.ended = self.complete = False
        self._sync: Iterator[ManifestEntry | LineStretch] | None = None
        if isinstance(entries, HasParts):
            self._sync = entries.parts
        elif isinstance(entries, Iterable):
            self._sync = iter(entries)
        self._over: ManifestEntry | LineStretch | None = None  # was read, and belongs to the next block
        self._async = aiter(entries) if isinstance(entries, AsyncIterable) else None
        self._executor = executor
        self._give_up = give_up

    async def read(self, size: int) -> Sequence[ManifestEntry]:
        """Return the next entries, at most `size`."""
        reading: asyncio.Future[Sequence[ManifestEntry]]
        if self._sync is not None:
            reading = asyncio.get_running_loop().run_in_executor(self._executor, self._read_block, size)
        else:
            reading = asyncio.ensure_future(self._read_block_async(size))
        if self._give_up is None:
            return await reading
        entries = await self._give_up.wait_for(reading)
        if entries is None:
            self.ended = True
            return []
        return entries

    def _read_block(self, size: int) -> Sequence[ManifestEntry]:
        block = _Block(size)
        while not block.full:
            part, self._over = self._over, None
            if part is None and (part := next(self._sync or iter(()), None)) is None:
                self.ended = self.complete = True
                break
            if isinstance(part, LineStretch):
                self._over = block.add_stretch(part)
            elif block.takes_entries:
                block.add(part)
            else:
                self._over = part
                break
        return block.entries

    async def _read_block_async(self, size: int) -> Sequence[ManifestEntry]:
        block = _Block(size)
        while not block.full:
            entry = await anext(self._async, None) if self._async is not None else None
            if entry is None:
                self.ended = self.complete = True
                break
            block.add(entry)
        return block.entries


class _Block:
    """Entries until they are `size`, or their values too many bytes: a stretch, or a list of entries."""

    def __init__(self, size: int) -> None:
        self.full = size <= 0
        self._size = size
        self._weight = 0
        self._stretch: LineStretch | None = None
        self._entries: list[ManifestEntry] = []

    @property
    def entries(self) -> Sequence[ManifestEntry]:
        return self._entries if self._stretch is None else self._stretch

    @property
    def takes_entries(self) -> bool:
        return self._stretch is None

    def add(self, entry: ManifestEntry) -> None:
        self._entries.append(entry)
        if not isinstance(entry, InvalidLine) and not isinstance(entry.data, UnreadValue):
            self._weight += len(entry.data.reveal())
        self.full = len(self._entries) >= self._size or self._weight > LARGEST_BYTES

    def add_stretch(self, stretch: LineStretch) -> LineStretch | None:
        """Add as much of it as there is room for, and return what is left."""
        part = stretch[: self._size - len(self.entries)]
        both = part if self._stretch is None else self._stretch.followed_by(part)
        if both is None or self._entries:
            self.full = True
            return stretch
        self._stretch = both
        self._weight += part.weight
        self.full = len(both) >= self._size or self._weight > LARGEST_BYTES
        return stretch[len(part) :] if len(part) < len(stretch) else None


class Intake:
    """Hands out claims.

    `admit` takes up a block of entries; with False it only accounts for them. `limit`: how many claims to
    hand out at most.
    """

    def __init__(
        self,
        blocks: BlockReader,
        admit: Callable[[Sequence[ManifestEntry], bool], Awaitable[Admission]],
        spawn: Spawn,
        *,
        block: int,
        limit: int | None = None,
    ) -> None:
        self._blocks = blocks
        self._admit = admit
        self._spawn = spawn
        self._block = block
        self._size = block
        self._few = (block + 1) // 2 if block > 1 else 0
        self._left = limit
        self._ready: deque[Claim] = deque()
        self._filling = asyncio.Lock()
        self._filling_ahead = False

    @property
    def _ended(self) -> bool:
        return self._blocks.ended or (self._left is not None and self._left <= 0)

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
        if len(self._ready) < self._few and not self._ended and not self._filling_ahead:
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
        """Read and claim a block."""
        size = self._size if self._left is None else min(self._size, self._left)
        admission = await self._admit(await self._blocks.read(size), True)
        self._ready.extend(admission.to_send)
        self._size = self._block if admission.to_send else min(self._size * 2, LARGEST_BLOCK)
        if self._left is not None:
            self._left -= len(admission.to_send)

    async def hand_back(self) -> list[Claim]:
        """Return the claims that were not handed out."""
        async with self._filling:
            left = list(self._ready)
            self._ready.clear()
            return left

    async def account_for_rest(self) -> None:
        """Read what is left of the manifest without claiming: it is settled, invalid or pending."""
        while not self._ended:
            await self._admit(await self._blocks.read(LARGEST_BLOCK), False)
