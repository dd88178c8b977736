"""What a worker tells beside the ledger's calls: how far a run is, and what is in its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bulkseed.engine.stats import Stats
from bulkseed.errors import BulkseedError
from bulkseed.model import Outcome, Verified


def progress_to_json(stats: Stats) -> dict[str, Any]:
    """Return the counters of a run."""
    return {
        "read": stats.read,
        "known": {outcome.value: count for outcome, count in stats.known.items() if count},
        "carried": {outcome.value: count for outcome, count in stats.carried.items() if count},
        "attempts": stats.attempts,
        "throttled": stats.throttled,
        "retried": stats.retried,
        "last_problem": stats.last_problem,
        "source_reads": stats.source_reads,
        "source_throttled": stats.source_throttled,
        "silent": stats.silent,
    }


def take_progress(stats: Stats, words: type[Outcome | Verified], found: dict[str, Any]) -> None:
    """Show in `stats` what a worker has told; `words` are those of its job."""
    for name, value in found.items():
        if isinstance(value, dict):
            value = Counter({words(text): count for text, count in value.items()})
        setattr(stats, name, value)


def failure_to_json(error: BulkseedError) -> dict[str, Any]:
    """Return what is in the way of a run."""
    return {"message": str(error), "exit_code": error.exit_code}


def failure_from_json(found: Mapping[str, Any]) -> BulkseedError:
    """Return the error that a worker has told of."""
    error = BulkseedError(found["message"])
    error.exit_code = found["exit_code"]
    return error
