"""Pages of lists: PageNumber from 1, PageSize from 1 to 100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from bulkseed.model import Fault
from bulkseed.wire.fault import invalid_parameter

SIZE_MAX = 100  # API metadata

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list is asked for."""

    number: int
    size: int

    @classmethod
    def read(cls, number: int | None, size: int | None, default: int) -> Self | Fault:
        """Check what a caller asks for; `default` is the size without a wish."""
        page = cls(1 if number is None else number, default if size is None else size)
        if page.number < 1:
            return invalid_parameter("PageNumber")
        if not 1 <= page.size <= SIZE_MAX:
            return invalid_parameter("PageSize")
        return page

    @property
    def first(self) -> int:
        """Return how many entries come before this page."""
        return (self.number - 1) * self.size

    def cut(self, entries: Sequence[T]) -> Sequence[T]:
        """Return the entries of this page."""
        return entries[self.first : self.first + self.size]
