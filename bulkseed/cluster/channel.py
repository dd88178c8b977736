"""All that the targets of one worker ask of their coordinator, in as few messages as possible.

What comes while a message is under way goes with the next. A message without an answer is sent again as it
was: the coordinator knows each call by its number.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from bulkseed.cluster.hosted_ledger import LedgerCall
from bulkseed.cluster.lease import Lease, lease_clock
from bulkseed.errors import LedgerError

GATHER = 0.05
"""Seconds that a call waits for others: a message costs more than what is in it."""

GATHER_SOON = 0.005
"""Seconds for a call that something waits for which is to be sent: a rollback claims and ends one by one."""

PAUSE = 0.2
"""Seconds before a message is sent again."""


class CutOffError(LedgerError):
    """The coordinator cannot be reached, or has given the target to somebody else: it will see to it."""


@dataclass(slots=True)
class _Waiting:
    call: LedgerCall
    lease: Lease
    reply: asyncio.Future[dict[str, Any]]


class Channel:
    """Carries calls by `send`, which takes a message and returns the answer; `run` has to go on meanwhile.

    Attributes:
        ahead: seconds that the coordinator's wall clock is ahead of ours, by the quickest message so far.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[bytes]], patience: float) -> None:
        """`patience`: seconds that one message may take."""
        self.ahead = 0.0
        self._send = send
        self._patience = patience
        self._waiting: list[_Waiting] = []
        self._due = math.inf  # when the next message has to go, by the loop's clock
        self._sooner = asyncio.Event()
        self._quickest = math.inf

    async def ask(self, call: LedgerCall, lease: Lease, gather: float = GATHER) -> dict[str, Any]:
        """Return the reply to a call, which renews the lease; it waits `gather` seconds for others at most.

        Raises:
            CutOffError: there is none, and the lease is over.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(call, lease, loop.create_future())
        self._waiting.append(waiting)
        due = loop.time() + gather
        if due < self._due:
            self._due = due
            self._sooner.set()
        return await waiting.reply

    async def run(self) -> None:
        """Carry calls until cancelled; those that are not answered then are cut off."""
        batch: list[_Waiting] = []
        try:
            while True:
                await self._gathered()
                batch, self._waiting = self._waiting, []
                while batch and not await self._carry(batch):
                    batch = [waiting for waiting in batch if not _given_up(waiting)]
                    if batch:
                        await asyncio.sleep(PAUSE)
        finally:
            for waiting in (*batch, *self._waiting):
                if not waiting.reply.done():
                    waiting.reply.set_exception(CutOffError("nothing is carried any more"))

    async def _gathered(self) -> None:
        """Wait until a message has to go."""
        loop = asyncio.get_running_loop()
        while (left := self._due - loop.time()) > 0:
            self._sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if left == math.inf else left):
                    await self._sooner.wait()
        self._due = math.inf

    async def _carry(self, batch: list[_Waiting]) -> bool:
        message = orjson.dumps([waiting.call for waiting in batch])
        asked_at = lease_clock()
        asked_wall = time.time()
        try:
            async with asyncio.timeout(self._patience):
                replies = list(zip(batch, orjson.loads(await self._send(message)), strict=True))
        except Exception:  # noqa: BLE001  # whatever a connection that breaks raises
            return False
        took = lease_clock() - asked_at
        for waiting, reply in replies:
            if "refused" not in reply:
                waiting.lease.renewed(asked_at)
                if took < self._quickest:
                    self._quickest = took
                    self.ahead = reply["now"] - asked_wall - took / 2
            if not waiting.reply.done():
                waiting.reply.set_result(reply)
        return True


def _given_up(waiting: _Waiting) -> bool:
    if waiting.lease.is_over and not waiting.reply.done():
        waiting.reply.set_exception(CutOffError("the coordinator has not answered for a whole lease"))
    return waiting.reply.done()
