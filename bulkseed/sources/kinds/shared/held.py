"""What sources that are one file share: it is read once, when it is opened, and held in memory until the end.

So a value that is sent is the one that was listed, whatever happens to the file meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bulkseed.errors import ManifestError, UsageError
from bulkseed.sources.protocol import Content, Reference, Source, SourceFault, Value

Held = Iterator[tuple[Reference, Value]]


class HeldSource(Source):
    """A file, or standard input where the path is "-"."""

    RATE = 0.0

    def open(self) -> None:
        """Read the file."""
        self._entries = list(self.load())

    def load(self) -> Held:
        """Yield every secret of the file with its value."""
        raise NotImplementedError

    def list_all(self) -> Iterator[Reference]:
        """Yield every secret, in the order of the file."""
        for number, (reference, _) in enumerate(self._entries):
            yield Reference(
                reference.path,
                reference.version,
                reference.problem,
                reference.changed_at,
                str(number),
                tags=reference.tags,
                description=reference.description,
            )

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Give the values that the file had."""
        return [Content(self._entries[int(reference.handle)][1]) for reference in references]

    def content(self) -> bytes:
        """Return the bytes of the file.

        Raises:
            ManifestError: it cannot be read.
        """
        try:
            if self.spec.path == "-":
                if sys.stdin is None:
                    raise UsageError("standard input is closed: there is nothing for '-' to read")
                return sys.stdin.buffer.read()
            return self.path.read_bytes()
        except OSError as error:
            raise ManifestError(f"{self.spec.label}: {error.strerror}") from None

    @property
    def path(self) -> Path:
        """The file's path; a relative one starts from the folder of the file of sources."""
        return self.spec.folder / self.spec.path
