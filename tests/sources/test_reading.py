"""Reads cross from the loop of a run into that of the sources, and neither may hold the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from bulkseed.model import Fault, NoReply, ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources.protocol import Content, Reference, Source, SourceFault
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url
from bulkseed.sources.table import SOURCES


class Toy(Source):
    """Two secrets, read as the test has set."""

    RATE = 0.0
    IN_LOOP = True
    busy: ClassVar[bool]
    begun: ClassVar[threading.Event]
    released: ClassVar[threading.Event]

    def list_all(self) -> Iterator[Reference]:
        """Yield them."""
        yield from (Reference("a"), Reference("b"))

    async def read_in_loop(self, reference: Reference) -> Content | SourceFault | None:
        """Hold the loop until the test lets go, or wait without an end."""
        self.begun.set()
        if not self.busy:
            await asyncio.Event().wait()
        return Content("fake" if self.released.wait(20) else "late", reference.version)


class Batched(Source):
    """Three secrets, two of which are read by one request; each request waits for its gate."""

    RATE = 0.0
    BATCH = 2
    begun: ClassVar[list[threading.Event]]
    gates: ClassVar[list[threading.Event]]

    def list_all(self) -> Iterator[Reference]:
        """Yield them."""
        yield from (Reference("a"), Reference("b"), Reference("c"))

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Wait, then read."""
        number = 0 if references[0].path == "a" else 1
        self.begun[number].set()
        self.gates[number].wait(20)
        return [Content("fake", reference.version) for reference in references]


async def test_who_gives_up_a_request_for_several_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one is told that it may ask again."""
    monkeypatch.setitem(SOURCES, "toy", (f"{__name__}:Batched", ""))
    Batched.begun, Batched.gates = ([threading.Event() for _ in range(2)] for _ in range(2))
    with SourceManifest([from_url("toy:x?in_flight=1")]) as source:
        reads = [asyncio.ensure_future(value.read()) for value in values(source)]
        await asyncio.to_thread(Batched.begun[0].wait, 20)
        await source._loop.wait_for(asyncio.sleep(0))  # by now the other two have asked
        Batched.gates[0].set()
        await asyncio.to_thread(Batched.begun[1].wait, 20)
        reads[1].cancel()
        await asyncio.wait(reads, timeout=20)
        Batched.gates[1].set()
        told = reads[2].result()
    assert isinstance(told, Fault)
    assert told.code == "Source.Unavailable"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> type[Toy]:
    """The kind, registered."""
    monkeypatch.setitem(SOURCES, "toy", (f"{__name__}:Toy", ""))
    Toy.busy, Toy.begun, Toy.released = True, threading.Event(), threading.Event()
    return Toy


def values(source: SourceManifest) -> list[UnreadValue]:
    """Return the values to read."""
    found = [entry.data for entry in source if isinstance(entry, SecretDefinition)]
    return [value for value in found if isinstance(value, UnreadValue)]


async def test_a_busy_source_does_not_hold_the_run(toy: type[Toy]) -> None:
    """Its loop stands still, and the run asks for more and goes on."""
    with SourceManifest([from_url("toy:x")]) as source:
        first, second = values(source)
        reads = [asyncio.ensure_future(first.read())]
        await asyncio.to_thread(toy.begun.wait, 20)
        reads.append(asyncio.ensure_future(second.read()))
        await asyncio.sleep(0)  # it has asked
        toy.released.set()
        answers = await asyncio.gather(*reads)
    assert [answer.data.reveal() for answer in answers if isinstance(answer, ReadValue)] == ["fake", "fake"]


async def test_a_closed_source_ends_its_reads(toy: type[Toy]) -> None:
    """What is under way, and what comes after, has no reply; nothing waits without an end."""
    toy.busy = False
    source = SourceManifest([from_url("toy:x")])
    first, second = values(source)
    reading = asyncio.ensure_future(first.read())
    await asyncio.to_thread(toy.begun.wait, 20)
    await asyncio.to_thread(source.close)
    for answer in (await reading, await second.read()):
        assert isinstance(answer, NoReply)
        assert not answer.maybe_applied
