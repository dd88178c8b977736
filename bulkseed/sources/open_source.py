"""One source in use: its pacer, its few threads, its listing, and the reads that wait for a thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

import anyio
import anyio.to_thread
import orjson

from bulkseed.errors import BulkseedError
from bulkseed.humanize import number
from bulkseed.manifest.catalogue import Listed
from bulkseed.manifest.definition import checked_defaults
from bulkseed.manifest.keys import TARGET
from bulkseed.model import Target
from bulkseed.sources.content import as_map
from bulkseed.sources.mapping import CannotBeNamedError, check_template, fill, name_of, wanted
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.protocol import UNLISTED, Content, Reference, Source, SourceFault
from bulkseed.sources.silence import silence, silently
from bulkseed.sources.spec import SourceSpec, check_names
from bulkseed.sources.table import source_class

T = TypeVar("T")

OPENING = 10.0
"""Seconds to wait for a source that does not answer at first: its address may be wrong."""

GIVEN_UP = SourceFault("Unavailable", "the request that it was part of was given up")

BLOCK = 1000
"""References that go into the catalogue at a time."""


class OpenSource:
    """A source in use. Belongs to one event loop; what blocks runs in its threads.

    `pacer` is one that it shares. `readers`: how many share its rate. `lacks_some`: what is not listed may be
    at the source all the same.
    """

    def __init__(self, spec: SourceSpec, pacer: SourcePacer | None = None, *, readers: int = 1) -> None:
        kind = source_class(spec)
        check_names(spec, kind.OPTIONS, kind.AUTH)
        check_template(spec)
        self.spec = spec
        self.set = {key: text for key, text in spec.set.items() if key != TARGET}
        self.defaults = checked_defaults(self.set)
        rate = kind.RATE if spec.rate is None else spec.rate
        self.pacer = pacer or SourcePacer(max(1.0, rate / readers) if rate else 0.0)
        self.lacks_some = bool(spec.include or spec.exclude or spec.changed_since)
        silence(kind.LOGGERS)
        self._source: Source = kind(spec, self.pacer)
        self._threads = anyio.CapacityLimiter(spec.in_flight)
        self._slots = anyio.Semaphore(spec.in_flight)
        self._waiting: deque[tuple[Reference, asyncio.Future[Content | SourceFault]]] = deque()

    async def open(self) -> None:
        """Log in.

        Raises:
            SourceFault: it cannot be used.
        """
        await self._run(partial(self._source.patiently, self._open, OPENING))

    async def list_all(
        self, number: int, add: Callable[[list[Listed]], None], tell: Callable[[int], None]
    ) -> int:
        """Hand the whole listing to `add`, part by part, and return how many references there were.

        `tell` hears of the number so far.

        Raises:
            SourceFault: it cannot be completed.
        """
        listing = self._listed(number)
        size = 0
        while part := await self._run(lambda: list(islice(listing, BLOCK))):
            await self._run(partial(add, part))
            size += len(part)
            tell(size)
        return size

    async def read(self, reference: Reference) -> Content | SourceFault:
        """Read one value; what waits together is read by one request where the store can do that."""
        if self._source.IN_LOOP:
            async with self._slots:
                found = await self._read_in_loop(reference)
            if found is not None:
                return found
        future: asyncio.Future[Content | SourceFault] = asyncio.get_running_loop().create_future()
        self._waiting.append((reference, future))
        async with self._slots:
            if batch := self._take():
                results: Sequence[Content | SourceFault] = [GIVEN_UP] * len(batch)
                try:
                    results = await self._run(partial(self._read, [reference for reference, _ in batch]))
                finally:  # whoever asked is not wanted any more, and the others of the batch may be
                    for (_, waiting), result in zip(batch, results, strict=True):
                        if not waiting.done():
                            waiting.set_result(result)
        return await future

    def named(self, path: str) -> Reference | None:
        """Return what reads the one secret at a path; None where this has no such path."""
        return self._source.named(path)

    async def is_target(self, target: Target) -> bool:
        """Tell whether this is where the secrets are to go."""
        return await self._run(partial(self._source.is_target, target))

    async def who(self) -> str:
        """Tell whose credentials these are, as far as the store tells."""
        try:
            return await self._run(self._source.who)
        except SourceFault as fault:
            return f"not told: {fault.told}"
        except Exception as error:  # noqa: BLE001  # its text may echo a credential
            return f"not told: {_broken(error).told}"

    @property
    def pace(self) -> str:
        """The most requests that go out."""
        rate = self.spec.rate if self.spec.rate is not None else self._source.RATE
        ceiling = f"at most {number(rate)} requests a second" if rate else "no ceiling of ours"
        return f"{ceiling}, {self.spec.in_flight} at once"

    @property
    def pins(self) -> bool:
        """Whether an older version can be read."""
        return self._source.PINS

    @property
    def notes(self) -> list[str]:
        """What the user should know about the listing."""
        return [f"{self.spec.label}: {note}" for note in self._source.notes]

    async def close(self) -> None:
        """Let go of connections."""
        await anyio.to_thread.run_sync(self._source.close)

    async def _run(self, call: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(
            partial(silently, call), limiter=self._threads, abandon_on_cancel=True
        )

    def _open(self) -> None:
        try:
            self._source.open()
        except (SourceFault, BulkseedError):
            raise
        except Exception as error:  # noqa: BLE001  # its text may echo what the store holds
            raise _broken(error) from None

    def _listed(self, number: int) -> Iterator[Listed]:
        for reference in self._guarded(self._source.list_all()):
            self.lacks_some |= reference.problem == UNLISTED
            if wanted(self.spec, reference):
                for each in self._split(reference):
                    yield self._named(number, each)

    def _guarded(self, listing: Iterator[Reference]) -> Iterator[Reference]:
        try:
            yield from listing
        except SourceFault:
            raise
        except Exception as error:  # noqa: BLE001  # its text may echo what the store holds
            raise _broken(error) from None

    def _split(self, reference: Reference) -> Iterator[Reference]:
        """Yield the reference, or one for each key of its map."""
        if self.spec.keys != "split" or reference.problem is not None:
            yield reference
            return
        try:
            keys = self._source.patiently(partial(self._keys, reference))
        except SourceFault as fault:
            if fault.passing or fault.code == "Source.Credentials":
                raise  # it is no matter of this secret
            yield replace(reference, problem=fault.told)
            return
        if not keys:
            yield replace(reference, problem="has no key")
        for key in keys:
            yield replace(reference, key=key)

    def _keys(self, reference: Reference) -> list[str]:
        keys = self._source.keys(reference)
        if keys is None:
            [content] = self._source.read([reference])
            if isinstance(content, SourceFault):
                raise content
            keys = sorted(as_map(content.value))
        return keys

    def _named(self, number: int, reference: Reference) -> Listed:
        spec, known = self.spec, self._source.fields
        name, problem = None, reference.problem
        try:
            name = name_of(spec, reference, known)
        except CannotBeNamedError as error:
            problem = problem or str(error)
        tags = {key: fill(text, reference, known) for key, text in spec.tags.items()}
        pairs = [{"TagKey": key, "TagValue": text} for key, text in tags.items() if text]
        return Listed(
            number,
            reference.path,
            reference.key,
            reference.version,
            reference.handle,
            name,
            problem,
            orjson.dumps(pairs).decode() if pairs else None,
            fill(spec.description, reference, known) or None,
        )

    def _take(self) -> list[tuple[Reference, asyncio.Future[Content | SourceFault]]]:
        batch: list[tuple[Reference, asyncio.Future[Content | SourceFault]]] = []
        while self._waiting and len(batch) < self._source.BATCH:
            found = self._waiting.popleft()
            if not found[1].done():
                batch.append(found)
        return batch

    async def _read_in_loop(self, reference: Reference) -> Content | SourceFault | None:
        try:
            return await self._source.read_in_loop(reference)
        except SourceFault as fault:
            return fault
        except Exception as error:  # noqa: BLE001  # its text may echo a value
            return _broken(error)

    def _read(self, references: list[Reference]) -> list[Content | SourceFault]:
        try:
            found = self._source.read(references)
        except SourceFault as fault:
            return [fault] * len(references)
        except Exception as error:  # noqa: BLE001  # its text may echo a value
            return [_broken(error)] * len(references)
        if len(found) == len(references):
            return found
        return [_broken(ValueError("nobody knows which is whose"))] * len(references)


def _broken(error: Exception) -> SourceFault:
    return SourceFault("Unreadable", f"what it holds could not be understood ({type(error).__name__})")
