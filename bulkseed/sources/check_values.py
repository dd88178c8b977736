"""Reading values only to see whether they can be moved: each is dropped as soon as it has come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from bulkseed.model import Fault, InvalidLine, NoReply, ReadValue, SecretDefinition, UnreadValue
from bulkseed.policy.advice import advice
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.sources.protocol import PATIENCE

AT_ONCE = 32
"""Reads that wait for the source together; as many values are in memory at most."""

_PASSING = frozenset({Verdict.THROTTLED, Verdict.RETRY})


@dataclass(slots=True)
class CheckedValues:
    """Definitions whose value can be moved, lines that say why others cannot, and the bytes of all values."""

    accepted: list[SecretDefinition] = field(default_factory=list)
    refused: list[InvalidLine] = field(default_factory=list)
    size: int = 0


async def check_values(definitions: Sequence[SecretDefinition]) -> CheckedValues:
    """Read each value that is still at its source, at the source's pace."""
    found: dict[int, int | str] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def check(index: int, value: UnreadValue) -> None:
        async with limit:
            found[index] = await _size_of(value)

    async with anyio.create_task_group() as group:
        for index, definition in enumerate(definitions):
            if isinstance(definition.data, UnreadValue):
                group.start_soon(check, index, definition.data)
    checked = CheckedValues()
    for index, definition in enumerate(definitions):
        size = found.get(index, 0)
        if isinstance(size, str):
            line = InvalidLine(definition.origin, (size,), definition.name, definition.version_id)
            checked.refused.append(line)
        else:
            checked.accepted.append(definition)
            checked.size += size
    return checked


async def _size_of(value: UnreadValue) -> int | str:
    """Return how many bytes a value has as it is sent, or why it cannot be moved."""
    began, pause = time.monotonic(), 0.5
    while True:
        answer = await value.read()
        if isinstance(answer, ReadValue):
            return len(answer.data.reveal().encode())
        passing = isinstance(answer, NoReply) or classify(answer) in _PASSING
        if not passing or time.monotonic() - began > PATIENCE:
            return advice(answer.code).meaning if isinstance(answer, Fault) else answer.reason
        await anyio.sleep(pause)
        pause = min(pause * 2, 10.0)
