"""Ledgers with everything that a report can show, names that would break a careless page among them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

from bulkseed.ledger import AttemptRecord, Claim, Ledger, Settlement
from bulkseed.model import InvalidLine, Origin, Outcome, QuotaGroup
from support.ledgers import START, definition, new_ledger, summary

HOSTILE = (
    '"><img src=http://evil.example/x onerror=alert(1)><script>alert("x")</script>&amp;{{ 7 * 7 }}'
    + "y" * 200
)
LIMITS = {QuotaGroup.CREATE: 10.0, QuotaGroup.READ: 450.0}
CREATED = (200, None)
LOOK = (200, "read")  # in the lane of reads
STORIES: dict[int, tuple[Outcome, str | None, list[tuple[int | None, str | None]]]] = {
    3: (Outcome.CREATED, None, [(429, "Rejected.Throttling"), CREATED]),
    5: (Outcome.ADOPTED, None, [(None, None), (409, "Rejected.ResourceExist"), LOOK]),
    7: (Outcome.EXHAUSTED, "InternalFailure", [(502, "HTTP502"), (500, "InternalFailure")]),
    9: (Outcome.REJECTED, HOSTILE, [(404, HOSTILE)]),
}
"""Last digit of a definition → how it ends, with which code, after which answers; the others are created."""
EVENTFUL = 120
"""How many definitions `eventful` has, its three invalid lines not among them."""


def eventful(folder: Path) -> Path:
    """Make a ledger with an interrupted, a killed and a finished run, and every kind of answer."""
    ledger = new_ledger(folder)
    rng = random.Random(5)  # noqa: S311  # the same ledger each time
    entries = [definition(f"prod/orders/{line:03d}", line) for line in range(1, EVENTFUL + 1)]
    entries[9] = definition(HOSTILE, 10, manifest=HOSTILE)  # the first that is rejected
    run_id, now = iter(("run-1", "run-2", HOSTILE)), START
    with ledger, ledger.transaction():  # one wait for the disk
        for first, last, code in ((0, 40, 130), (40, 60, None), (60, EVENTFUL, 1)):
            ledger.begin_run(next(run_id), ["prod.jsonl"], LIMITS, now)
            claims = ledger.admit(entries[first:last], now).to_send
            now, told = _carry(ledger, claims, now, rng)
            if code is not None:
                ledger.end_run(told, code, "interrupted by SIGINT" if code == 130 else None, now)
            now += 3600
        ledger.begin_run("run-4", ["bad.jsonl"], LIMITS, now)
        ledger.admit([InvalidLine(Origin("bad.jsonl", 7), (HOSTILE,)), _duplicate(8), _duplicate(9)], now)
        outcomes = {Outcome.INVALID: 3}
        ledger.end_run(summary(outcomes, 0) | {"endpoint": HOSTILE}, 1, HOSTILE, now + 1)
    return ledger.path


def pending_run(ledger: Ledger, run: int, now: float, *after: float) -> None:
    """Begin a run at one a second and send a definition at `now` plus each of `after`; end nothing."""
    ledger.begin_run(f"run-{run}", ["a.jsonl"], {QuotaGroup.CREATE: 1.0}, now)
    (claim,) = ledger.admit([definition("a")], now).to_send
    records = [AttemptRecord(claim.row_id, QuotaGroup.CREATE, now + more, 0.0, 500) for more in after]
    ledger.record([Settlement(claim.row_id, Outcome.PENDING, now)], records)


def _duplicate(line: int) -> InvalidLine:
    return InvalidLine(Origin("bad.jsonl", line), (f"duplicate: first seen on line {line - 5}",), "prod/a")


def _carry(
    ledger: Ledger, claims: list[Claim], now: float, rng: random.Random
) -> tuple[float, dict[str, Any]]:
    """Send the claims at 9.9 a second; return when the last was sent, and the run's summary."""
    outcomes, sent = Counter[Outcome](), 0
    for number, claim in enumerate(claims):
        outcome, code, answers = STORIES.get(number % 10, (Outcome.CREATED, None, [CREATED]))
        attempts = []
        for status, answer in answers:
            latency = rng.lognormvariate(-4, 0.5)
            lane, code_told = (
                (QuotaGroup.READ, None) if (status, answer) == LOOK else (QuotaGroup.CREATE, answer)
            )
            attempts.append(AttemptRecord(claim.row_id, lane, now, latency, status, code_told))
            now += 1 / 9.9
        doubt = outcome is Outcome.EXHAUSTED
        ledger.record([Settlement(claim.row_id, outcome, now, code, code, doubt=doubt)], attempts)
        outcomes[outcome] += 1
        sent += len(attempts)
    return now, summary(outcomes, sent) | {"endpoint": "https://kms.cn-hangzhou.aliyuncs.com"}
