"""Sources of a run over many targets: listed once, and each target reads its own values alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bulkseed.model import ManifestEntry
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import specs_of
from bulkseed.targets.manifests import OnUnrouted
from bulkseed.targets.routing import Router, Survey
from bulkseed.targets.spec import TargetSpec


@dataclass(slots=True, frozen=True)
class NamedSources:
    """Sources that are not listed yet: each process that opens them lists them, with credentials of its own.

    `overrides` and `defaults` as of `specs_of`. `readers`: how many processes share the sources' rates.
    """

    paths: tuple[str, ...]
    overrides: Mapping[str, Any]
    defaults: Mapping[str, str]
    allow_empty: bool = False
    readers: int = 1

    @property
    def listed(self) -> None:
        """It is not listed here."""

    def absolute(self) -> NamedSources:
        """Return them by names that mean the same in another folder."""
        paths = tuple(path if ":" in path else str(Path(path).absolute()) for path in self.paths)
        return replace(self, paths=paths)

    def shared_by(self, readers: int) -> NamedSources:
        """Return them for so many processes, which keep the sources' rates together."""
        return replace(self, readers=readers)

    def route(self, specs: Sequence[TargetSpec], on_unrouted: OnUnrouted) -> RoutedSources:
        """List them, to know what each target gets; `close` what this returns.

        Raises:
            UsageError: one makes no sense.
            ManifestError: one cannot be listed, or is empty.
            CredentialsError: one does not let us in.
            ServiceError: one does not answer.
        """
        found = specs_of(self.paths, self.overrides, self.defaults)
        listed = SourceManifest(found, allow_empty=self.allow_empty, readers=self.readers)
        return RoutedSources(listed, specs, on_unrouted)


class Sources:
    """Sources that are listed. `paths` are as the user named them; who listed them closes them."""

    def __init__(self, paths: tuple[str, ...], listed: SourceManifest) -> None:
        self.paths = paths
        self.listed = listed

    def route(self, specs: Sequence[TargetSpec], on_unrouted: OnUnrouted) -> RoutedSources:
        """Look through the listing, to know what each target gets."""
        return RoutedSources(self.listed, specs, on_unrouted)


class RoutedSources:
    """A listing that was looked through once; its attributes are as of `RoutedManifests`."""

    def __init__(self, listed: SourceManifest, specs: Sequence[TargetSpec], on_unrouted: OnUnrouted) -> None:
        self._listed = listed
        self._router = Router(specs)
        survey = Survey(self._router, on_unrouted)
        for _ in listed.part(survey):
            pass
        self.lines, self.unrouted, self.definitions = survey.lines, survey.unrouted, survey.definitions

    def close(self) -> None:
        """Close the listing."""
        self._listed.close()

    def open(self, spec: TargetSpec) -> SourcePart:
        """Return what is for one target."""
        entries = self._listed.part(self._router.keeps(spec.name), spec.set)
        return SourcePart(self._listed, entries)


class SourcePart:
    """The entries of a listing that are for one target."""

    def __init__(self, listed: SourceManifest, entries: Iterator[ManifestEntry]) -> None:
        self.listed = listed
        self.paths = listed.paths
        self._entries = entries

    def __iter__(self) -> Iterator[ManifestEntry]:
        return self._entries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the listing to the other targets."""
