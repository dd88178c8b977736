"""What waits for others on its way to the coordinator, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from support import virtual_clock

from bulkseed.cluster.channel import GATHER, GATHER_SOON, Channel
from bulkseed.cluster.lease import Lease


@pytest.mark.parametrize("second", [GATHER, GATHER_SOON])
def test_a_message_goes_when_its_first_call_has_to(second: float) -> None:
    """Calls that come meanwhile go along; one that is waited for takes those along that were there."""
    messages: list[tuple[float, list[int]]] = []

    async def send(message: bytes) -> bytes:
        calls: list[dict[str, Any]] = orjson.loads(message)
        messages.append((round(virtual_clock.now() - virtual_clock.START, 3), [c["n"] for c in calls]))
        return orjson.dumps([{"now": 0.0, "stop": None, "reply": None} for _ in calls])

    async def talk() -> None:
        channel, lease = Channel(send, 1.0), Lease(30.0)
        carrying = asyncio.create_task(channel.run())
        first = asyncio.create_task(channel.ask({"n": 1}, lease))
        await asyncio.sleep(0.01)
        await channel.ask({"n": 2}, lease, second)
        await first
        await channel.ask({"n": 3}, lease)
        carrying.cancel()

    virtual_clock.run(talk)
    went = min(GATHER, 0.01 + second)
    assert messages == [(round(went, 3), [1, 2]), (round(went + GATHER, 3), [3])]
