"""The manifests of a run over many targets: surveyed once, then read by each target for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from bulkseed.errors import UsageError
from bulkseed.manifest import Manifest, open_manifest
from bulkseed.manifest.location import is_manifest_url
from bulkseed.manifest.reader import STANDARD_INPUT, LinesReader
from bulkseed.manifest.templates.expand import Keep
from bulkseed.manifest.value_from import Elsewhere
from bulkseed.model import ManifestEntry, Origin
from bulkseed.targets.line_index import LineIndex
from bulkseed.targets.routing import Router, Survey
from bulkseed.targets.run_folder import RunFolder
from bulkseed.targets.spec import TargetSpec

if TYPE_CHECKING:
    from bulkseed.sources.reader import SourceManifest


@dataclass(slots=True, frozen=True)
class Manifests:
    """The manifests of a run, with the options of `open_manifest`."""

    paths: tuple[str, ...]
    format: str | None = None
    defaults: tuple[tuple[str, str], ...] = ()
    each: str | None = None
    unchecked: bool = False
    allow_empty: bool = True
    elsewhere: Elsewhere | None = None

    def open(
        self,
        keep: Keep,
        more: Sequence[tuple[str, str]] = (),
        read_lines: LinesReader | None = None,
        *,
        allow_empty: bool = True,
    ) -> Manifest:
        """Open them for one reader; `more` are defaults of its target, which win."""
        return open_manifest(
            *self.paths,
            format=self.format,
            defaults=dict((*self.defaults, *more)),
            each=self.each,
            keep=keep,
            unchecked=self.unchecked,
            allow_empty=allow_empty,
            read_lines=read_lines,
            elsewhere=self.elsewhere,
        )

    @property
    def listed(self) -> None:
        """Files have no listing."""

    def absolute(self) -> Manifests:
        """Return them by names that mean the same in another folder."""
        paths = tuple(map(_absolute, self.paths))
        return replace(self, paths=paths, each=self.each and _absolute(self.each))

    def shared_by(self, readers: int) -> Manifests:  # noqa: ARG002  # files have no rate
        """Return them for so many processes."""
        return self

    def route(self, specs: Sequence[TargetSpec], on_unrouted: OnUnrouted) -> RoutedManifests:
        """Read them once, to know what each target gets.

        Raises:
            ManifestError: a manifest cannot be read at all.
            UsageError: the manifests make no sense, or can be read only once.
        """
        return RoutedManifests(self, specs, on_unrouted)

    def require_files(self) -> None:
        """Refuse what can be read only once.

        Raises:
            UsageError: a manifest is standard input, a pipe or a device.
        """
        for path in (*self.paths, *((self.each,) if self.each else ())):
            if path == STANDARD_INPUT or (Path(path).exists() and not Path(path).is_file()):
                shown = "standard input" if path == STANDARD_INPUT else path
                raise UsageError(f"{shown} can be read only once, and each target reads it: name a file")


def _absolute(path: str) -> str:
    return path if is_manifest_url(path) else str(Path(path).absolute())


OnUnrouted = Callable[[Origin, str], None]
"""Is told of what goes nowhere, and why."""


class Part(Protocol):
    """What one target gets, to be read once. Use it in a `with`. `paths` as of a `Manifest`."""

    paths: tuple[str, ...]

    def __iter__(self) -> Iterator[ManifestEntry]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class RoutedInputs(Protocol):
    """Inputs that were looked through once: see `RoutedManifests`."""

    lines: int
    unrouted: int
    definitions: Counter[str]

    def open(self, spec: TargetSpec, /) -> Part:
        """Open what is for one target."""
        ...

    def close(self) -> None:
        """Close what all targets have in common."""
        ...


class Inputs(Protocol):
    """What a run over many targets reads: manifests, or sources. `paths` are as the user named them."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Their names."""
        ...

    @property
    def listed(self) -> SourceManifest | None:
        """The listing, if it was made here."""
        ...

    def route(self, specs: Sequence[TargetSpec], on_unrouted: OnUnrouted, /) -> RoutedInputs:
        """Look through them once, to know what each target gets."""
        ...


class RoutedManifests:
    """Manifests that were read once, so that it is known what each target gets. Nothing of them is kept.

    Attributes:
        lines: how many were read.
        unrouted: how many of them went nowhere.
        definitions: how many each target gets, by its name.
    """

    def __init__(
        self,
        manifests: Manifests,
        specs: Sequence[TargetSpec],
        on_unrouted: OnUnrouted,
    ) -> None:
        """Read the manifests; `on_unrouted` is told of what goes nowhere, and why.

        Raises:
            ManifestError: a manifest cannot be read at all.
            UsageError: the manifests make no sense, or can be read only once.
        """
        manifests.require_files()
        self._manifests = manifests
        self._router = Router(specs)
        single = manifests.each is None and len(set(manifests.paths)) == len(manifests.paths)
        self._index = index = LineIndex() if single else None
        survey = Survey(self._router, on_unrouted, *([index.note] if index is not None else []))
        learn = None if index is None else index.learn
        with manifests.open(survey, read_lines=learn, allow_empty=manifests.allow_empty) as entries:
            for _ in entries:
                pass
        self.lines, self.unrouted, self.definitions = survey.lines, survey.unrouted, survey.definitions

    def close(self) -> None:
        """Do nothing: each target has closed its own."""

    def open(self, spec: TargetSpec) -> Manifest:
        """Open what is for one target.

        Raises:
            ManifestError: a manifest is gone.
        """
        read_lines = None if self._index is None else self._index.of(spec.name)
        return self._manifests.open(self._router.keeps(spec.name), tuple(spec.set.items()), read_lines)


def route(inputs: Inputs, specs: Sequence[TargetSpec], folder: RunFolder) -> RoutedInputs:
    """Find out what each target gets, and write down what goes nowhere. Nothing is sent.

    Raises:
        ManifestError: a manifest cannot be read at all.
        UsageError: the manifests make no sense, or can be read only once.
    """
    unrouted: list[tuple[str, int | str, str]] = []
    routed = inputs.route(
        specs, lambda origin, why: unrouted.append((origin.manifest, origin.line, str(why)))
    )
    folder.write_unrouted(unrouted)
    return routed
