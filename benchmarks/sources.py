"""How long a listing of a large store takes, and how much memory: ``python -m benchmarks.sources [COUNT]``.

The store is made up, so that what is measured is the catalogue: every reference is mapped, written, looked
through for names that collide, and read again as an entry of a manifest.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

from bulkseed.sources.protocol import Reference, Source
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url
from bulkseed.sources.table import SOURCES


class Many(Source):
    """As many references as its address says."""

    RATE = 0.0

    def list_all(self) -> Iterator[Reference]:
        """Yield them."""
        for number in range(int(self.spec.path)):
            yield Reference(f"team-{number % 100}/service-{number}", f"v{number % 7}", tags={"owner": "ops"})


def main(count: int) -> None:
    """List, count and read `count` references."""
    SOURCES["many"] = ("benchmarks.sources:Many", "")
    before, began = _peak(), time.perf_counter()
    with SourceManifest([from_url(f"many:{count}?name=prod/{{path}}&tags.owner={{tag:owner}}")]) as source:
        listed = time.perf_counter()
        read = sum(1 for _ in source)
        done = time.perf_counter()
    print(
        f"{count:,} listed: {count / (listed - began):,.0f}/s; {read:,} read: {read / (done - listed):,.0f}/s"
    )
    print(f"peak memory: {_peak():.0f} MiB, {_peak() - before:.0f} MiB more than before")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
