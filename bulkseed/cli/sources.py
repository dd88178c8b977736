"""What commands say about sources: their options, and how one is listed before a run begins."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import click

from bulkseed.cli.arguments import Number, option
from bulkseed.cli.render import note, say

if TYPE_CHECKING:
    from bulkseed.ledger import LedgerReader
    from bulkseed.manifest.entries import OpenEntries
    from bulkseed.model import Target, UnreadValue
    from bulkseed.sources.named import NamedValues
    from bulkseed.sources.reader import SourceManifest
    from bulkseed.targets.manifests import Part

TELL_EVERY = 5.0
"""Seconds between two lines about a listing that goes on."""

NAMED = 3
"""How many of the secrets that are gone at a source are named."""


@dataclass(slots=True, frozen=True)
class SourceArguments:
    """What is taken from a source, and how it is named."""

    name: Annotated[
        str | None,
        option(
            "--name", metavar="TEMPLATE", help="Of a source: a secret's name, from {path} {key} {tag:x} …"
        ),
    ]
    include: Annotated[
        tuple[str, ...],
        option("--include", multiple=True, metavar="PATTERN", help="Of a source: take these paths only."),
    ]
    exclude: Annotated[
        tuple[str, ...],
        option("--exclude", multiple=True, metavar="PATTERN", help="Of a source: leave these paths out."),
    ]
    keys: Annotated[
        str | None,
        option(
            "--keys",
            metavar="json|split|KEY",
            help="Of a source's maps: the whole as JSON, a secret for each key, or one key's text.",
        ),
    ]
    characters: Annotated[
        str | None,
        option(
            "--characters",
            type=click.Choice(["refuse", "encode", "replace"]),
            help="Of a source: what becomes of characters that a name cannot have.  [default: refuse]",
        ),
    ]
    source_rate: Annotated[
        float | None,
        option(
            "--source-rate",
            type=Number(),
            metavar="N",
            help="The most requests to a source in any one-second window; 0: no ceiling.",
        ),
    ]
    allow_empty: Annotated[
        bool,
        option("--allow-empty", is_flag=True, help="A manifest or source may have nothing in it."),
    ]

    @property
    def overrides(self) -> Mapping[str, Any]:
        """What replaces the same keys of a source's own description."""
        return {
            "name": self.name,
            "include": self.include,
            "exclude": self.exclude,
            "keys": self.keys,
            "characters": self.characters,
            "rate": self.source_rate,
        }


class ValuesElsewhere:
    """Gives values that lines of a manifest name at other stores. Nothing is loaded before the first.

    `rate` is that of `--source-rate`.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._values: NamedValues | None = None

    def __call__(self, address: str, key: str | None, folder: Path) -> UnreadValue | str:
        """Return the value, yet unread, or why there is none."""
        if self._values is None:
            from bulkseed.sources.named import NamedValues

            self._values = NamedValues(self._rate)
        return self._values(address, key, folder)

    def close(self) -> None:
        """Let go of connections."""
        if self._values is not None:
            self._values.close()


def list_sources(
    names: tuple[str, ...], given: SourceArguments, defaults: Mapping[str, str]
) -> SourceManifest:
    """List sources, telling how far that is on standard error.

    Raises:
        UsageError: one makes no sense.
        ManifestError: one cannot be listed, or is empty.
        CredentialsError: one does not let us in.
        ServiceError: one does not answer.
        KeyboardInterrupt: the user does not want to wait. Nothing was written.
    """
    from bulkseed.sources.reader import SourceManifest
    from bulkseed.sources.spec import specs_of

    specs = specs_of(names, given.overrides, defaults)
    told_at = time.monotonic()

    def tell(label: str, size: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_EVERY:
            told_at = time.monotonic()
            say(f"listing {label}: {size:,} so far", err=True)

    with _interruptible():
        source = SourceManifest(specs, allow_empty=given.allow_empty, tell=tell)
    for told in source.notes:
        note(told)
    return source


def require_other(entries: OpenEntries, target: Target) -> None:
    """Refuse sources that are the target itself.

    Raises:
        UsageError: one is.
    """
    if (source := _listed(entries)) is not None:
        source.require_other_than(target)


def gone_at_source(entries: OpenEntries | Part, ledger: LedgerReader) -> str | None:
    """Say which settled secrets are not at their source any more; None if there are none.

    Nothing is said of a source that was listed in part: what was left out would look as if it were gone.
    """
    source = _listed(entries)
    return None if source is None else gone_in(source, ledger)


def gone_in(source: SourceManifest, ledger: LedgerReader) -> str | None:
    """Say the same of a listing."""
    count = 0
    first: list[str] = []
    for label in source.whole:
        for name in ledger.settled_of(label):
            if not source.lists(name):
                count += 1
                if len(first) < NAMED:
                    first.append(name)
    if not count:
        return None
    names = ", ".join(first) + (", …" if count > len(first) else "")
    return f"gone at the source: {count:,} settled ones ({names}); nothing is deleted for that"


def _listed(entries: OpenEntries | Part) -> SourceManifest | None:
    """Return the listing that entries come from; None for files, without loading what sources need."""
    from bulkseed.manifest import Manifest

    if isinstance(entries, Manifest):
        return None
    from bulkseed.sources.reader import SourceManifest
    from bulkseed.targets.sources import SourcePart

    if isinstance(entries, SourcePart):
        return entries.listed
    return entries if isinstance(entries, SourceManifest) else None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let signals end a listing at once: it blocks the loop of a run, which has not begun."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
