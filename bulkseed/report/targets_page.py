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
    """What the table says of a target: `page` is the name of its own page, which lies beside.

    `verified`: how many definitions the verify that followed found otherwise; None: there is none that
    follows. `verify_is_other`: there is one, of other names or older. `missing`: how many definitions the
    last apply counted for it and did not come to. `without`: why there is no page; empty if there is one.
    """

    name: str
    page: str
    region: str
    counts: dict[Outcome | Verified | RowState, int]
    unsettled: int
    adds_up: bool
    fullest: Pace | None
    verified: int | None = None
    verify_is_other: bool = False
    missing: int = 0
    without: str = ""

    @classmethod
    def without_ledger(cls, name: str, region: str, why: str, expected: int) -> TargetRow:
        """Return the row of a target of which nothing is known but how much the last apply counted for it."""
        return cls(name, "", region, {}, 0, False, None, missing=expected, without=why)

    @classmethod
    def of(
        cls, name: str, page: str, numbers: Numbers, verified: Numbers | None = None, expected: int = 0
    ) -> TargetRow:
        """Return the row of a target from the numbers of its ledger, and of that of its verifies.

        `expected`: how many definitions the last apply counted for it.
        """
        follows = verified is not None and verified.follows(numbers)
        return cls(
            name,
            page,
            numbers.region,
            numbers.counts,
            numbers.unsettled,
            numbers.adds_up,
            fullest_pace(numbers.paces),
            verified.unsettled if verified is not None and follows else None,
            verified is not None and not follows,
            max(0, expected - sum(numbers.counts.values())),
        )

    @property
    def definitions(self) -> int:
        """How many its ledger has, the invalid lines among them."""
        return sum(self.counts.values())

    @property
    def well(self) -> bool:
        """True if there is nothing to look at."""
        verified = not self.verified and not self.verify_is_other
        kept = self.fullest is None or self.fullest.kept
        return self.adds_up and not self.unsettled and not self.missing and kept and verified


def render_targets(run: str, rows: Sequence[TargetRow], unrouted: int, version: str) -> str:
    """Return the page of a run folder, the worst targets first.

    `unrouted`: how many lines went nowhere. `version` is that of bulkseed.
    """
    counts: Counter[Outcome | Verified | RowState] = Counter()
    for row in rows:
        counts.update(row.counts)
    missing = sum(row.missing for row in rows)
    return page_template("targets.html").render(
        run=run,
        rows=sorted(rows, key=lambda row: (row.well, row.adds_up, -row.unsettled - row.missing, row.name)),
        unrouted=unrouted,
        definitions=counts.total() + missing,
        unsettled=sum(row.unsettled for row in rows) + missing,
        missing=missing,
        without=[row for row in rows if row.without],
        undone=counts[RowState.ROLLED_BACK],
        identity=identity(counts),
        verified=[row for row in rows if row.verified is not None],
        otherwise=sum(row.verified or 0 for row in rows),
        verify_is_other=sum(row.verify_is_other for row in rows),
        version=version,
    )
