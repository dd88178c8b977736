"""A store that is made up as it is listed, to measure ours alone. It counts values that are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bulkseed.sources.protocol import Content, Reference, Source, SourceFault


class MadeUpStore(Source):
    """As many references as its address says."""

    RATE = 0.0
    reads = 0

    def list_all(self) -> Iterator[Reference]:
        """Yield them."""
        for number in range(int(self.spec.path)):
            yield Reference(f"team-{number % 100}/service-{number}", "v1", tags={"owner": "ops"})

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Count, and give a value."""
        MadeUpStore.reads += len(references)
        return [Content("fake-not-a-secret", reference.version) for reference in references]
