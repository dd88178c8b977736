"""Random bytes of the operating system, fetched in blocks: a call of the kernel for each costs more."""

from __future__ import annotations

import os
import threading

_BLOCK = 4096


class _Pool(threading.local):
    """The bytes that a thread has fetched and not given out; each is given out once."""

    def __init__(self) -> None:
        self.block = b""
        self.at = 0


_pool = _Pool()
os.register_at_fork(after_in_child=_pool.__init__)  # type: ignore[misc]  # a child must not repeat its parent's


def random_bytes(count: int) -> bytes:
    """Return `count` random bytes, at most 4,096."""
    pool = _pool
    start, end = pool.at, pool.at + count
    if end > len(pool.block):
        pool.block = os.urandom(_BLOCK)
        start, end = 0, count
    pool.at = end
    return pool.block[start:end]
