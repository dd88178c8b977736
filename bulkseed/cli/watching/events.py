"""What a run tells the log: every event has a stable name, and facts that are the same in text and JSON.

`EVENTS` holds name → level and meaning. Rows and attempts are logged only where the level asks for them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from bulkseed.engine.stats import Stats
from bulkseed.ledger import AttemptRecord
from bulkseed.model import Row, Summary
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome

log = logging.getLogger("bulkseed.run")

EVENTS: dict[str, tuple[int, str]] = {
    "run.started": (logging.INFO, "a run begins"),
    "run.ended": (logging.INFO, "a run has ended; its summary's counts"),
    "run.progress": (logging.INFO, "how far a run is, every few seconds, whatever the level"),
    "definition.settled": (logging.DEBUG, "a definition is settled"),
    "definition.failed": (logging.INFO, "a definition is not settled, with code and message"),
    "attempt": (logging.DEBUG, "a request was answered or lost"),
    "secret.deleted": (logging.DEBUG, "a rollback has deleted a secret, or it was gone"),
    "secret.restored": (logging.DEBUG, "a rollback has put the version before back in force"),
    "secret.left": (logging.INFO, "a rollback has left a secret, with the result and why"),
    "service.silent": (logging.WARNING, "nothing gets through; the run waits"),
    "service.back": (logging.WARNING, "the service answers again"),
    "source.silent": (logging.WARNING, "no value can be read at the source; the run waits"),
    "source.back": (logging.WARNING, "the source answers again"),
}


def tell(event: str, **facts: Any) -> None:
    """Log an event with its facts."""
    level, _ = EVENTS[event]
    if log.isEnabledFor(level):
        known = {name: value for name, value in facts.items() if value is not None}
        log.log(level, event, extra={"facts": known})


def tell_progress(**facts: Any) -> None:
    """Log how far a run is. `--progress` asks for it, so `--log-level` does not decide."""
    level, _ = EVENTS["run.progress"]
    extra = {"facts": {name: value for name, value in facts.items() if value is not None}}
    log.handle(log.makeRecord(log.name, level, "", 0, "run.progress", (), None, extra=extra))


def row_teller() -> Callable[..., None] | None:
    """Return what logs a row and more facts of it; None when the level leaves nothing to log."""
    return _tell_row if log.isEnabledFor(logging.INFO) else None


def attempt_tellers() -> list[Callable[[AttemptRecord], None]]:
    """Return what logs attempts: nothing when the level leaves nothing to log."""
    return [_tell_attempt] if log.isEnabledFor(logging.DEBUG) else []


def _tell_row(row: Row, **more: str) -> None:
    event = "definition.settled" if row.outcome.settled else "definition.failed"
    tell(
        event,
        secret_name=row.name,
        outcome=row.outcome.value,
        code=row.code,
        message=row.message,
        manifest=row.manifest,
        line=row.line,
        attempts=row.attempts,
        **more,
    )


def _tell_attempt(attempt: AttemptRecord) -> None:
    milliseconds = round(attempt.latency * 1000, 1)
    tell(
        "attempt",
        row=attempt.row_id,
        quota_group=attempt.group.value,
        latency_ms=milliseconds,
        status=attempt.status,
        code=attempt.code,
    )


def tell_removal(name: str, end: RollbackEnd, **more: str) -> None:
    """Log how a secret's rollback ended, and more facts of it."""
    restored = "secret.restored" if end.outcome is RollbackOutcome.RESTORED else "secret.left"
    deleted = end.outcome in {RollbackOutcome.DELETED, RollbackOutcome.GONE}
    event = "secret.deleted" if deleted else restored
    tell(event, secret_name=name, result=end.outcome.value, code=end.code, message=end.message, **more)


def tell_end(summary: Summary, ends: Mapping[Any, int], **more: str) -> None:
    """Log how a run ended, how many had which of its ends (members of an enumeration), and more facts."""
    counts = {end.value: count for end, count in ends.items() if count}
    tell(
        "run.ended",
        run_id=summary.run_id,
        exit_code=summary.exit_code,
        stopped_by=summary.stopped_by,
        attempts=summary.attempts,
        throttled=summary.throttled,
        retried=summary.retried,
        elapsed_s=summary.elapsed_s,
        **counts,
        **more,
    )


async def watch_service(stats: Stats) -> None:
    """Log when the service or a source falls silent and when it is back, until cancelled."""
    silent: set[str] = set()
    while True:
        await anyio.sleep(1.0)
        for name in silent.symmetric_difference(stats.silent):
            event = "back" if name in silent else "silent"
            tell(f"{name.removeprefix('the ')}.{event}", problem=stats.last_problem)
        silent = set(stats.silent)
