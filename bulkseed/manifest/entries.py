"""What a run reads its definitions from, whatever they stand in: manifests, or another store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from bulkseed.model import ManifestEntry


class OpenEntries(Protocol):
    """Entries that are open, to be read once. Use it in a `with`.

    `paths` are the manifests that entries can have as theirs. `bytes_read` of `bytes_total` is how much was
    read; None: that cannot be told.
    """

    paths: tuple[str, ...]
    bytes_total: int | None

    @property
    def bytes_read(self) -> int:
        """How much was read."""
        ...

    def count(self, check: Callable[[], object] = ..., /) -> int | None:
        """Return how many there are; None where only reading tells. `check` may raise to give up."""
        ...

    def __iter__(self) -> Iterator[ManifestEntry]: ...

    def __next__(self) -> ManifestEntry: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
