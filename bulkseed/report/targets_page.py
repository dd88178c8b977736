"""Many ledgers of one run → a page with a row for each target, which links to that target's own page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bulkseed.model import Outcome, Verified
from bulkseed.policy.rollback import RowState
from bulkseed.report.attempts import Pace
from bulkseed.report.numbers import Numbers
from bulkseed.report.page import fullest_pace, identity, page_template


@dataclass(slots=True, frozen=True)
class TargetRow:
    """What the table says of a target: `page` is the name of its own page, which lies beside."""

    name: str
    page: str
    region: str
    counts: dict[Outcome | Verified | RowState, int]
    unsettled: int
    adds_up: bool
    fullest: Pace | None

    @classmethod
    def of(cls, name: str, page: str, numbers: Numbers) -> TargetRow:
        """Return the row of a target from the numbers of its ledger."""
        fullest = fullest_pace(numbers.paces)
        return cls(name, page, numbers.region, numbers.counts, numbers.unsettled, numbers.adds_up, fullest)

    @property
    def definitions(self) -> int:
        """How many its ledger has, the invalid lines among them."""
        return sum(self.counts.values())

    @property
    def well(self) -> bool:
        """True if there is nothing to look at."""
        return self.adds_up and not self.unsettled and (self.fullest is None or self.fullest.kept)


def render_targets(run: str, rows: Sequence[TargetRow], unrouted: int, version: str) -> str:
    """Return the page of a run folder, the worst targets first.

    `unrouted`: how many lines went nowhere. `version` is that of bulkseed.
    """
    counts: Counter[Outcome | Verified | RowState] = Counter()
    for row in rows:
        counts.update(row.counts)
    return page_template("targets.html").render(
        run=run,
        rows=sorted(rows, key=lambda row: (row.well, row.adds_up, -row.unsettled, row.name)),
        unrouted=unrouted,
        definitions=counts.total(),
        unsettled=sum(row.unsettled for row in rows),
        undone=counts[RowState.ROLLED_BACK],
        identity=identity(counts),
        version=version,
    )
