"""Single values at stores that lines of a manifest name: ``"SecretDataFrom": {"source": "vault+https://…"}``.

For those who may read and may not list. A store is logged in to once, when its first value is read, and all
lines that name it share its pace. What is read is the version in force.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from bulkseed.errors import BulkseedError, CredentialsError, UsageError
from bulkseed.model import Fault, NoReply, ReadValue, UnreadValue
from bulkseed.sources.loop import SourceLoop
from bulkseed.sources.open_source import OpenSource
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.protocol import Content, Reference, Source, SourceFault
from bulkseed.sources.reader import CLOSED, rendered
from bulkseed.sources.spec import SourceSpec, check_names, from_url
from bulkseed.sources.table import source_class


class NamedValues:
    """Gives the values that lines name. Close it at the end; it opens nothing before it is asked.

    `rate` is the most requests to each store in any second; None: the kind's own, or what the address says.
    `readers`: how many processes share that.
    """

    def __init__(self, rate: float | None = None, readers: int = 1) -> None:
        self._rate = rate
        self._readers = readers
        self._stack = ExitStack()
        self._loop: SourceLoop | None = None
        self._stores: dict[str, _Store] = {}

    def __call__(self, address: str, key: str | None, folder: Path) -> UnreadValue | str:
        """Return the value at an address, yet unread, or why there can be none, in our words.

        `key` is one of its keys; None takes the whole. Files that the address names are relative to `folder`.
        """
        try:
            spec = replace(from_url(address, {"rate": self._rate}), folder=folder)
            kind = source_class(spec)
            check_names(spec, kind.OPTIONS, kind.AUTH)
        except UsageError as error:
            return str(error).partition(": ")[2]  # before it is what the manifest says
        if kind.named is Source.named:
            return "this kind of source does not give a value by its name: let it stand for the manifest"
        if {".", "..", ""} & set(spec.path.split("/")):
            return "the path has an empty part, '.' or '..' in it"
        if self._loop is None:
            self._loop = self._stack.enter_context(SourceLoop())
            self._stack.callback(self._loop.call, self._close)
        return UnreadValue(partial(self._read, self._loop, spec, key))

    async def _read(self, loop: SourceLoop, spec: SourceSpec, key: str | None) -> ReadValue | Fault | NoReply:
        content = await loop.wait_for(self._content(spec))
        if content is None:
            return CLOSED
        return rendered(content, "json" if key is None else "split", key)

    async def _content(self, spec: SourceSpec) -> Content | SourceFault:
        store = self._store_of(spec)
        try:
            source, reference = await store.find(spec)
        except SourceFault as fault:
            return fault
        except CredentialsError as error:
            return SourceFault("Credentials", str(error))
        except BulkseedError as error:
            return SourceFault("Unreadable", str(error))
        return await source.read(reference)

    def _store_of(self, spec: SourceSpec) -> _Store:
        """Return what all values of a store share; addresses of one differ in nothing but the path."""
        key = repr(replace(spec, label="", path="")) + repr(sorted(spec.auth.items()))
        return self._stores.setdefault(key, _Store(self._readers))

    async def _close(self) -> None:
        for store in self._stores.values():
            for source in store.opened:
                await source.close()

    def close(self) -> None:
        """End what is under way, and let go of connections."""
        self._stack.close()


class _Store:
    """One store: its pace, and what is open of it, one for each engine that it has."""

    def __init__(self, readers: int) -> None:
        self.opened: list[OpenSource] = []
        self._readers = readers
        self._opening = asyncio.Lock()
        self._pacer: SourcePacer | None = None

    async def find(self, spec: SourceSpec) -> tuple[OpenSource, Reference]:
        """Return what is open for a path, and the reference of its secret; open it if nothing is.

        Raises:
            SourceFault: it cannot be opened.
            BulkseedError: how to log in makes no sense, or is not there.
        """
        async with self._opening:
            for source in self.opened:
                if (reference := source.named(spec.path)) is not None:
                    return source, reference
            source = OpenSource(spec, self._pacer, readers=self._readers)
            self._pacer = source.pacer  # whether it can be opened or not: that takes requests, too
            try:
                await source.open()
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await source.close()
                raise
            self.opened.append(source)
            reference = source.named(spec.path)
        if reference is None:
            raise SourceFault("NotFound")
        return source, reference
