"""The in-process shell: a transport that needs no socket, for tests and for the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bulkseed.model import NoReply
from bulkseed.service.shell.group_commit import Gate
from bulkseed.wire.message import Request, Response


def no_latency() -> float:
    """Travel in no time."""
    return 0.0


class LoopbackTransport:
    """Carries requests to a gate; `latency` gives the seconds of each way, drawn anew for each."""

    def __init__(self, gate: Gate, latency: Callable[[], float] = no_latency) -> None:
        self._gate = gate
        self._latency = latency

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send `request`; a connection that the service drops is NoReply and may have been applied."""
        if not on_write():
            return NoReply("the right to send had ended", maybe_applied=False)
        await asyncio.sleep(self._latency())
        response = await self._gate.answer(request)
        await asyncio.sleep(self._latency())
        return (
            NoReply("connection closed without a reply", maybe_applied=True) if response is None else response
        )
