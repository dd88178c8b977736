"""Definitions on lines in a row that differ in name and value only, as nearly all lines of a manifest do.

A run that is resumed reads mostly what is settled already: it compares such lines with the ledger by their
names, many at once, and no object is made for any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, overload

from bulkseed.model import Origin, SecretDefinition, SecretValue


class LineStretch(Sequence[SecretDefinition]):
    """A block of entries; each is made when it is asked for.

    Attributes:
        names: the name on each line, in ASCII.
        version_id: of all of them.
        origin: of the first; the others follow line by line.
    """

    __slots__ = ("_line", "_more", "_values", "names", "origin", "version_id")

    def __init__(
        self,
        names: list[bytes],
        values: list[bytes],
        version_id: str,
        origin: Origin,
        more: tuple[Any, ...] = (),
    ) -> None:
        """`more`: the fields of `SecretDefinition` that follow its origin. Raises nothing."""
        self.names, self.version_id, self.origin = names, version_id, origin
        self._values, self._more = values, more
        self._line = int(origin.line)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> SecretDefinition: ...
    @overload
    def __getitem__(self, index: slice) -> LineStretch: ...
    def __getitem__(self, index: int | slice) -> SecretDefinition | LineStretch:
        if isinstance(index, slice):
            start, stop, _ = slice(index.start, index.stop).indices(len(self.names))
            origin = Origin(self.origin.manifest, self._line + start)
            return LineStretch(
                self.names[start:stop], self._values[start:stop], self.version_id, origin, self._more
            )
        at = range(len(self.names))[index]
        origin = Origin(self.origin.manifest, self._line + at)
        data = SecretValue(self._values[at].decode())
        return SecretDefinition(self.names[at].decode(), data, self.version_id, origin, *self._more)

    def __iter__(self) -> Iterator[SecretDefinition]:
        manifest, version_id, more = self.origin.manifest, self.version_id, self._more
        for line, (name, value) in enumerate(zip(self.names, self._values, strict=True), self._line):
            data = SecretValue(value.decode())
            yield SecretDefinition(name.decode(), data, version_id, Origin(manifest, line), *more)

    @property
    def weight(self) -> int:
        """Bytes of all values."""
        return sum(map(len, self._values))

    def followed_by(self, other: LineStretch) -> LineStretch | None:
        """Return both as one; None where `other` is not of the lines that follow, or has another form."""
        follows = other.origin == (self.origin.manifest, self._line + len(self.names))
        if not follows or (other.version_id, other._more) != (self.version_id, self._more):
            return None
        names, values = self.names + other.names, self._values + other._values
        return LineStretch(names, values, self.version_id, self.origin, self._more)

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret values cannot be pickled")
