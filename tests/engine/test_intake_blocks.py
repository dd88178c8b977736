"""Every definition of a manifest reaches a worker, however reading, claiming and sending interleave."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import virtual_clock
from support.histories import FOLDER
from support.world import World

from bulkseed.engine.intake import BlockReader
from bulkseed.model import ManifestEntry, Origin, Outcome, SecretDefinition, SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.stretch import LineStretch

OPTIONS = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)


def definitions(count: int) -> Iterator[SecretDefinition]:
    """Yield definitions as a manifest does."""
    for i in range(count):
        yield SecretDefinition(f"secret-{i}", SecretValue(f"value-{i}"), "v1", Origin("m.jsonl", i + 1))


async def slowly(count: int) -> AsyncIterator[SecretDefinition]:
    """Yield definitions asynchronously."""
    for definition in definitions(count):
        await asyncio.sleep(0)
        yield definition


@pytest.mark.parametrize("thread_time", [0.0, 0.003])
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 600])
def test_no_definition_is_left_behind(count: int, asynchronous: bool, thread_time: float) -> None:
    """Blocks end anywhere, and the disk is slower than the service: all are created in one run."""

    async def test(folder: Path) -> None:
        asyncio.get_running_loop().thread_time = thread_time  # type: ignore[attr-defined]  # of the virtual clock
        world = World(folder, options=OPTIONS, one_way=lambda: 0.0)
        with closing(world):
            entries = slowly(count) if asynchronous else definitions(count)
            summary = await world.live(entries, qps=0)
            assert summary is not None
            assert summary.outcomes.get(Outcome.CREATED, 0) == summary.definitions == count
            assert summary.exit_code == 0

    _run(test)


@pytest.mark.parametrize("limit", [1, 256, 300])
def test_a_limit_is_kept(limit: int) -> None:
    """`limit` definitions are sent, the rest is not even read; what is settled does not count."""

    async def test(folder: Path) -> None:
        world = World(folder, options=OPTIONS)
        with closing(world):
            for done in (limit, 2 * limit):
                summary = await world.live(definitions(700), qps=0, limit=limit)
                assert summary is not None
                assert summary.attempts == limit
                assert summary.outcomes[Outcome.CREATED] == min(done, 700)

    _run(test)


def test_no_value_stays_in_memory_once_it_is_settled() -> None:
    """Of a long manifest only a block or two and what workers carry is in memory at any time."""
    alive = most = 0

    class Counted(SecretValue):
        """A value that is counted while it lives."""

        __slots__ = ()

        def __init__(self, text: str) -> None:
            super().__init__(text)
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    async def test(folder: Path) -> None:
        world = World(folder, options=OPTIONS)
        with closing(world):
            entries = (
                SecretDefinition(f"secret-{i}", Counted("value"), "v1", Origin("m.jsonl", i + 1))
                for i in range(1500)
            )
            summary = await world.live(entries, qps=40, workers=5)
            assert summary is not None
            assert summary.exit_code == 0
            assert most <= 40, "a block at this pace has 10"

    _run(test)


def test_no_value_is_kept_while_the_manifest_is_waited_for() -> None:
    """A pipe that gives nothing for a while: what it gave before is settled and out of memory."""
    given: list[ref[SecretValue]] = []

    class Watched(SecretValue):
        """A value that can be looked for."""

        __slots__ = ("__weakref__",)

    async def slow() -> AsyncIterator[SecretDefinition]:
        for i in range(3):
            data = Watched("value")
            given.append(ref(data))
            definition = SecretDefinition(f"secret-{i}", data, "v1", Origin("m.jsonl", i + 1))
            del data
            yield definition
            del definition
            await asyncio.sleep(5.0)
            assert [value() for value in given] == [None] * len(given)

    async def test(folder: Path) -> None:
        with closing(World(folder, options=OPTIONS)) as world:
            summary = await world.live(slow(), qps=1, workers=5)
            assert summary is not None
            assert (summary.exit_code, summary.definitions) == (0, 3)

    _run(test)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0, 1, 2])), max_size=8),
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
@settings(max_examples=60)
def test_stretches_are_read_in_blocks(parts: list[tuple[int, int]], sizes: list[int]) -> None:
    """Cut and joined in any way, all entries come, in their order, at most as many as were asked for."""
    things, versions, line = list[ManifestEntry | LineStretch](), dict[int, str](), 1
    for count, kind in parts:
        lines = range(line, line + count)
        names = [b"secret-%d" % i for i in lines]
        whole = LineStretch(names, [b"value"] * count, f"v{kind}", Origin("m.jsonl", line))
        things += list(whole) if kind == 0 else [whole]
        versions |= dict.fromkeys(lines, f"v{kind}")
        line += count

    class Manifest(list[ManifestEntry]):
        """What gives entries one by one, and in parts."""

        parts = iter(things)

    async def test(_folder: Path) -> None:
        with ThreadPoolExecutor(1) as executor:
            reader, read, turn = BlockReader(Manifest(), executor), list[ManifestEntry](), 0
            while not reader.ended:
                size = sizes[turn % len(sizes)]
                block = await reader.read(size)
                assert 0 < len(block) <= size or reader.complete
                read += block
                turn += 1
        assert [(entry.origin.line, entry.version_id) for entry in read] == list(versions.items())

    _run(test)


def _run(test: object) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(test, Path(folder))  # type: ignore[arg-type]  # a coroutine function
