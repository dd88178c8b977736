"""Sources of a run over many targets: listed once, and each target reads its own values alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from bulkseed.model import ManifestEntry
from bulkseed.sources.reader import SourceManifest
from bulkseed.targets.manifests import OnUnrouted
from bulkseed.targets.routing import Router, Survey
from bulkseed.targets.spec import TargetSpec


class Sources:
    """Sources that are listed. `paths` are as the user named them; who listed them closes them."""

    def __init__(self, paths: tuple[str, ...], listed: SourceManifest) -> None:
        self.paths = paths
        self._listed = listed

    def route(self, specs: Sequence[TargetSpec], on_unrouted: OnUnrouted) -> RoutedSources:
        """Look through the listing, to know what each target gets."""
        return RoutedSources(self._listed, specs, on_unrouted)


class RoutedSources:
    """A listing that was looked through once; its attributes are as of `RoutedManifests`."""

    def __init__(self, listed: SourceManifest, specs: Sequence[TargetSpec], on_unrouted: OnUnrouted) -> None:
        self._listed = listed
        self._router = Router(specs)
        survey = Survey(self._router, on_unrouted)
        for _ in listed.part(survey):
            pass
        self.lines, self.unrouted, self.definitions = survey.lines, survey.unrouted, survey.definitions

    def open(self, spec: TargetSpec) -> SourcePart:
        """Return what is for one target."""
        entries = self._listed.part(self._router.keeps(spec.name), spec.set)
        return SourcePart(self._listed.paths, entries)


class SourcePart:
    """The entries of a listing that are for one target."""

    def __init__(self, paths: tuple[str, ...], entries: Iterator[ManifestEntry]) -> None:
        self.paths = paths
        self._entries = entries

    def __iter__(self) -> Iterator[ManifestEntry]:
        return self._entries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the listing to the other targets."""
