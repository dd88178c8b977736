"""A run's counters → its summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bulkseed.engine.lane import Lane
from bulkseed.engine.options import RunHooks
from bulkseed.errors import LedgerError
from bulkseed.ledger import LedgerPort
from bulkseed.model import Outcome, QuotaGroup, Summary, Verified
from bulkseed.pacing.pacer import Pacer


def summarise(
    run_id: str,
    ledger: Path,
    lane: Lane,
    group: QuotaGroup,
    hooks: RunHooks,
    elapsed: float,
    words: type[Outcome | Verified] = Outcome,
) -> Summary:
    """Return the summary of a run that has ended; what was read and has no other outcome is pending."""
    stats, stop, pacer = hooks.stats, hooks.stop, lane.pacers[group]
    outcomes = {words(word.value): count for word, count in stats.outcomes.items()}
    outcomes[words.PENDING] = outcomes.get(words.PENDING, 0) + stats.read - stats.finished
    mean = _mean(pacer)
    settled = all(not count or outcome.settled for outcome, count in outcomes.items())
    return Summary(
        run_id=run_id,
        ledger=str(ledger),
        endpoint=lane.target.endpoint,
        region=lane.target.region,
        definitions=stats.read,
        outcomes=outcomes,
        attempts=stats.attempts,
        throttled=stats.throttled,
        retried=stats.retried,
        elapsed_s=round(elapsed, 3),
        limit_qps=pacer.limit_qps,
        max_in_one_second=pacer.worst_second,
        mean_qps=round(mean, 3),
        utilisation=round(mean / pacer.limit_qps, 4) if pacer.limit_qps > 0 and mean else None,
        latency_ms=stats.latencies.as_milliseconds(),
        stopped_by=stop.reason,
        exit_code=stop.exit_code if stop.requested else 0 if settled else 1,
        words=words,
        settled_before=stats.known.total() - stats.known[Outcome.INVALID],
    )


def check_against_ledger(summary: Summary, ledger: LedgerPort) -> None:
    """Hold a run's summary against what the ledger has counted for it, in the same commits as its rows.

    Raises:
        LedgerError: they differ, or a number is negative.
    """
    tally = ledger.tally()
    settled = sum(count for outcome, count in summary.outcomes.items() if outcome.settled)
    invalid = summary.outcomes.get(Outcome.INVALID, 0)
    told = {
        "definitions": (summary.definitions, tally.read),
        "sum of the outcomes": (sum(summary.outcomes.values()), tally.read),
        "settled": (settled, tally.known + tally.settled),
        "invalid": (invalid, tally.invalid),
        "neither": (summary.definitions - settled - invalid, tally.claimed + tally.unsent - tally.settled),
    }
    wrong = [
        f"{what} {found:,}, on record {count:,}" for what, (found, count) in told.items() if found != count
    ]
    wrong += [f"{outcome} {count:,}" for outcome, count in summary.outcomes.items() if count < 0]
    if wrong:
        raise LedgerError(
            f"ledger {summary.ledger}: the summary of run {summary.run_id} would be untrue"
            f" ({'; '.join(wrong)}); what is on record holds,"
            f" as `bulkseed ledger audit {summary.ledger}` proves"
        )


def with_results(run: Summary, results: Mapping[str, int]) -> dict[str, Any]:
    """Return a summary in the shape that scripts rely on, with `results` in the place of outcomes."""
    replaced = {"outcomes": ("results", dict(results))}
    return dict(replaced.get(key, (key, value)) for key, value in run.as_dict().items())


def _mean(pacer: Pacer) -> float:
    """Sends over the time they took, the last one's share of a second included; over a second at least."""
    span = pacer.last_sent_at - pacer.first_sent_at
    if pacer.limit_qps > 0:
        return min(pacer.limit_qps, pacer.sent / max(span + 1 / pacer.limit_qps, 1.0))
    return pacer.sent / max(span, 1.0)
