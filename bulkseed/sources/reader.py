"""Sources as a manifest: listed completely when they are opened, each value read when it is asked for.

All sources of a call share the loop that keeps their pace: see `bulkseed.sources.loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from bulkseed.errors import CredentialsError, ManifestError, ServiceError, UsageError
from bulkseed.manifest.catalogue import Catalogue, Listed
from bulkseed.manifest.definition import checked_defaults
from bulkseed.manifest.keys import TARGET
from bulkseed.manifest.templates.expand import Keep, keep_all
from bulkseed.model import Fault, ManifestEntry, NoReply, Origin, ReadValue, Target, UnreadValue
from bulkseed.policy.advice import Advice, advice
from bulkseed.sources.content import text_to_send
from bulkseed.sources.loop import SourceLoop
from bulkseed.sources.open_source import OpenSource
from bulkseed.sources.protocol import Content, Reference, SourceFault
from bulkseed.sources.spec import SourceSpec

CLOSED = NoReply("the source was closed", maybe_applied=False)


class SourceManifest:
    """The entries of one or more sources. Use it in a `with`, as a `Manifest`.

    `paths` are the sources' labels, which entries have as their manifest. Where a `Manifest` measures in
    bytes, here entries are counted. `tell` hears of each label how many are listed so far. `readers`: how
    many processes read the sources, and share their rates.
    """

    def __init__(
        self,
        specs: Sequence[SourceSpec],
        *,
        allow_empty: bool = False,
        tell: Callable[[str, int], None] = lambda _label, _size: None,
        readers: int = 1,
    ) -> None:
        self.paths = tuple(spec.label for spec in specs)
        self._catalogue = Catalogue()
        self._sources: list[OpenSource] = []
        with ExitStack() as stack:
            stack.callback(self._catalogue.close)
            self._loop = stack.enter_context(SourceLoop())
            stack.callback(self._loop.call, self._close_all)
            self._loop.call(self._list_all, specs, allow_empty, tell, readers)
            self._catalogue.complete()
            self._stack = stack.pop_all()
        self._entries = self._counted(self.part())
        self.bytes_total: int | None = self._catalogue.size
        self.bytes_read = 0

    @property
    def notes(self) -> list[str]:
        """What the user should know about the listings."""
        return [note for source in self._sources for note in source.notes]

    def require_other_than(self, target: Target) -> None:
        """Refuse a source that is the target: each secret would meet itself.

        Raises:
            UsageError: one is.
        """
        for source in self._sources:
            if self._loop.call(source.is_target, target):
                raise UsageError(
                    f"{source.spec.label} is the target itself, in the same account: give it its own"
                    " (BULKSEED_SOURCE_ALIBABA_CLOUD_…, or ?profile=), or name another region or instance"
                )

    @property
    def whole(self) -> list[str]:
        """The labels of sources that were listed whole: what is not listed there is not there."""
        return [source.spec.label for source in self._sources if not source.lacks_some]

    def lists(self, name: str) -> bool:
        """Tell whether a secret that would have this name was listed."""
        return self._catalogue.has(name)

    def credentials(self) -> list[str]:
        """Tell whose credentials are used at each source, where that can be told."""
        return [told for source in self._sources if (told := self._loop.call(source.who))]

    @property
    def paces(self) -> list[str]:
        """The most requests that go to each source."""
        return [source.pace for source in self._sources]

    def count(self, check: Callable[[], object] = lambda: None) -> int:  # noqa: ARG002  # as of a `Manifest`
        """Return how many entries there are: a listing is complete before it is read."""
        return self._catalogue.size

    def part(self, keep: Keep = keep_all, more: Mapping[str, str] | None = None) -> Iterator[ManifestEntry]:
        """Yield the entries that `keep` keeps; `more` are defaults that win. Several parts can be open.

        What a source's ``set`` has for ``Target`` stands in every entry of it, as if in a line.
        """
        named = {source.spec.label: source.spec.set.get(TARGET) for source in self._sources}
        defaults = tuple(
            checked_defaults({**source.set, **more}) if more else source.defaults for source in self._sources
        )

        def keep_named(origin: Origin, item: object) -> bool:
            if isinstance(item, dict) and (target := named[origin.manifest]):
                item[TARGET] = target
            return keep(origin, item)

        return self._catalogue.entries(self.paths, defaults, self._unread, keep_named)

    def _counted(self, entries: Iterator[ManifestEntry]) -> Iterator[ManifestEntry]:
        for entry in entries:
            self.bytes_read += 1
            yield entry

    def __iter__(self) -> Iterator[ManifestEntry]:
        return self._entries

    def __next__(self) -> ManifestEntry:
        return next(self._entries)

    def close(self) -> None:
        """Drop the catalogue, end what is under way, and let go of connections."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _list_all(
        self, specs: Sequence[SourceSpec], allow_empty: bool, tell: Callable[[str, int], None], readers: int
    ) -> None:
        self._sources = [OpenSource(spec, readers=readers) for spec in specs]
        for number, source in enumerate(self._sources):
            label = source.spec.label
            try:
                await source.open()
                size = await source.list_all(number, self._catalogue.add, partial(tell, label))
            except SourceFault as fault:
                raise _error(label, fault) from None
            if not size and not allow_empty:
                raise ManifestError(
                    f"{label}: there is no secret below it, or none that may be listed;"
                    " --allow-empty if that is right"
                )

    def _unread(self, listed: Listed) -> UnreadValue:
        source = self._sources[listed.source]
        reference = Reference(listed.path, listed.version, handle=listed.handle, key=listed.key)
        return self._value(source, reference)

    def _value(self, source: OpenSource, reference: Reference) -> UnreadValue:
        def at(version: str) -> UnreadValue | None:
            if not source.pins or reference.version is None:
                return None
            return self._value(source, replace(reference, version=version))

        return UnreadValue(partial(self._read, source, reference), at)

    async def _read(self, source: OpenSource, reference: Reference) -> ReadValue | Fault | NoReply:
        """Read a value in the sources' own loop, from the loop of a run, which it never makes wait."""
        content = await self._loop.wait_for(source.read(reference))
        if content is None:
            return CLOSED
        versions = {reference.version, content.version} if isinstance(content, Content) else set()
        if len(versions - {None}) == 2:
            return SourceFault("Moved").as_fault()
        return rendered(content, source.spec.keys, reference.key)

    async def _close_all(self) -> None:
        for source in self._sources:
            await source.close()


_OF_A_LIST = {
    "Source.NotFound": Advice("the source has no such place to list", "look at the address for a wrong name"),
    "Source.Denied": Advice("the source does not let us list it", "grant listing it, then run again"),
}
"""Codes that mean something else where a whole listing, and not one secret, was asked for."""


def rendered(content: Content | SourceFault, keys: str, key: str | None) -> ReadValue | Fault:
    """Return the text to send, or the fault that a run is told; `keys` and `key` as for `text_to_send`."""
    found = content if isinstance(content, SourceFault) else text_to_send(content.value, keys, key)
    return found.as_fault() if isinstance(found, SourceFault) else found


def _error(label: str, fault: SourceFault) -> ManifestError | CredentialsError | ServiceError:
    told, action = _OF_A_LIST.get(fault.code, advice(fault.code))
    text = f"{label}: {fault.reason or told}; {action}"
    if fault.code == "Source.Credentials":
        return CredentialsError(text)
    return ServiceError(text) if fault.passing else ManifestError(text)
