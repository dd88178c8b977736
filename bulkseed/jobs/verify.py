"""A verify: every definition is read back through the read lane and compared in memory.

It is a run like any other, with another journey: the same intake, workers, retries, outages and stop-loss.
What it finds goes into a ledger of its own (`bulkseed.ledger.verifications`), so that one which was
interrupted can be resumed: what was identical then is believed, everything else is read again. Without
`resume` nothing is believed. A manifest that has changed meanwhile is a reason not to resume: values leave
no trace to compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bulkseed.engine.job import VERIFY
from bulkseed.engine.summary import with_results
from bulkseed.jobs.apply import seed
from bulkseed.ledger import Ledger, LedgerReader
from bulkseed.ledger.verifications import require_readbacks, start_over
from bulkseed.model import ManifestEntry, Outcome, Row, Summary, Target
from bulkseed.policy.verify import Verified, verified

PROBLEMS = [o for o in Outcome if not o.settled and o is not Outcome.PENDING]


@dataclass(slots=True, frozen=True)
class Verification:
    """What a verify found: the run's summary, and how many definitions had which result."""

    run: Summary
    results: Counter[Verified]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary in the shape that scripts rely on."""
        return with_results(self.run, {result.value: self.results[result] for result in Verified})

    def problems(self, ledger: LedgerReader) -> Iterator[tuple[Verified, Row]]:
        """Yield what this run found not to be identical."""
        for row in ledger.rows(PROBLEMS):
            if row.run_id == self.run.run_id:
                yield verified(row.outcome, row.code), row


async def verify(
    definitions: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
    target: Target,
    ledger: Ledger,
    *,
    resume: bool = False,
    qps: float = 450.0,
    on_row: Callable[[Row], None] | None = None,
    **options: Any,
) -> Verification:
    """Read `definitions` back from `target` and compare.

    Args:
        definitions: what a manifest gives; definitions and invalid lines.
        target: the service.
        ledger: an open ledger of verifies, bound to the target.
        resume: believe what an earlier verify in this ledger found identical.
        qps: the ceiling for reads in any one-second window; 0 for none.
        on_row: called with every row as it is decided.
        options: as those of `bulkseed.seed`.

    Raises:
        CredentialsError: there are no credentials.
        LedgerError: the ledger cannot be written, or records other runs than verifies.
        UsageError: the target's endpoint makes no sense.
    """
    if resume:
        require_readbacks(ledger)
    else:
        start_over(ledger)
    missing = 0

    def count(row: Row) -> None:
        nonlocal missing
        missing += verified(row.outcome, row.code) is Verified.MISSING
        if on_row is not None:
            on_row(row)

    run = await seed(definitions, target, ledger, task=VERIFY, qps=qps, on_row=count, **options)
    results = Counter[Verified]()
    for outcome, number in run.outcomes.items():
        results[verified(outcome, None)] += number
    results[Verified.DIFFERS] -= missing
    results[Verified.MISSING] += missing
    return Verification(run, results)
