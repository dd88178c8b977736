"""A run's counters → its summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.errors import LedgerError
from bulkseed.ledger import LedgerReader
from bulkseed.model import Outcome, Summary, Target
from bulkseed.pacing.pacer import Pacer


def summarise(
    run_id: str, ledger: str, target: Target, stats: Stats, creates: Pacer, stop: Stop, elapsed: float
) -> Summary:
    """Return the summary of a run that has ended; what was read and has no other outcome is pending."""
    outcomes = dict(stats.outcomes)
    outcomes[Outcome.PENDING] = outcomes.get(Outcome.PENDING, 0) + stats.read - stats.finished
    mean = _mean(creates)
    settled = all(not count or outcome.settled for outcome, count in outcomes.items())
    return Summary(
        run_id=run_id,
        ledger=ledger,
        endpoint=target.endpoint,
        region=target.region,
        definitions=stats.read,
        outcomes=outcomes,
        attempts=stats.attempts,
        throttled=stats.throttled,
        retried=stats.retried,
        elapsed_s=round(elapsed, 3),
        limit_qps=creates.limit_qps,
        max_in_one_second=creates.worst_second,
        mean_qps=round(mean, 3),
        utilisation=round(mean / creates.limit_qps, 4) if creates.limit_qps > 0 and mean else None,
        latency_ms=stats.latencies.as_milliseconds(),
        stopped_by=stop.reason,
        exit_code=stop.exit_code if stop.requested else 0 if settled else 1,
    )


def check_against_ledger(summary: Summary, ledger: LedgerReader) -> None:
    """Hold a run's summary against what the ledger has counted for it, in the same commits as its rows.

    Raises:
        LedgerError: they differ, or a number is negative.
    """
    run = ledger.last_run()
    if run is None or run.run_id != summary.run_id:
        raise LedgerError(f"ledger {ledger.path}: run {summary.run_id} is not its last one")
    tally = run.tally
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
    told = run.as_dict()
    return {
        ("results" if k == "outcomes" else k): (results if k == "outcomes" else v) for k, v in told.items()
    }


def _mean(lane: Pacer) -> float:
    """Sends over the time they took, the last one's share of a second included."""
    span = lane.last_sent_at - lane.first_sent_at
    if lane.limit_qps > 0:
        return min(lane.limit_qps, lane.sent / (span + 1 / lane.limit_qps))
    return lane.sent / span if span > 0 else 0.0
