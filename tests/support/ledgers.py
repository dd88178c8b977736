"""What the ledger's tests share: a target, definitions, and whole small runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bulkseed.ledger import AttemptRecord, Claim, Ledger, Settlement, open_ledger
from bulkseed.model import (
    Credentials,
    ManifestEntry,
    Origin,
    Outcome,
    QuotaGroup,
    SecretDefinition,
    SecretValue,
    Target,
    Verified,
)

TESTS = Path(__file__).parents[1]
START = 1_764_000_000.0
LIMITS = {QuotaGroup.CREATE: 10.0}


def target(endpoint: str = "https://kms.cn-hangzhou.aliyuncs.com", region: str = "cn-hangzhou") -> Target:
    """Return a target that nobody calls."""
    return Target(endpoint, region, Credentials("id", SecretValue("secret")))


def definition(
    name: str, line: int = 1, version: str = "v1", manifest: str = "prod.jsonl", value: str = "value"
) -> SecretDefinition:
    """Return a definition read from a line of a manifest."""
    return SecretDefinition(name, SecretValue(value), version, Origin(manifest, line))


def definitions(count: int, first: int = 1) -> list[SecretDefinition]:
    """Return `count` definitions on lines of their own."""
    return [definition(f"secret-{line:06d}", line) for line in range(first, first + count)]


def settlement(
    claim: Claim, outcome: Outcome | Verified = Outcome.CREATED, at: float = START + 2, **more: Any
) -> Settlement:
    """Return the end of a claim."""
    return Settlement(claim.row_id, outcome, at, **more)


def attempt(
    claim: Claim, at: float = START + 1, status: int | None = 200, lane: QuotaGroup = QuotaGroup.CREATE
) -> AttemptRecord:
    """Return an attempt for a claim that took 20 ms."""
    return AttemptRecord(claim.row_id, lane, at, 0.02, status)


def answer(claim: Claim, outcome: Outcome, at: float) -> AttemptRecord:
    """Return an attempt with an answer that may bring `outcome` about."""
    lanes = {
        Outcome.ADOPTED: QuotaGroup.READ,
        Outcome.IDENTICAL: QuotaGroup.READ,
        Outcome.UPDATED: QuotaGroup.MANAGE,
    }
    done = outcome is Outcome.CREATED or outcome in lanes
    return attempt(claim, at, 200 if done else 409, lanes.get(outcome, QuotaGroup.CREATE))


def summary(outcomes: Mapping[Any, int], attempts: int) -> dict[str, Any]:
    """Return the part of a run's summary that the audit reads."""
    return {
        "definitions": sum(outcomes.values()),
        "outcomes": {outcome.value: outcomes.get(outcome, 0) for outcome in Outcome},
        "attempts": attempts,
    }


def whole_run(
    ledger: Ledger,
    entries: Iterable[ManifestEntry],
    run_id: str = "run-1",
    *,
    now: float = START,
    apart: float = 0.2,
) -> None:
    """Create every definition among `entries`, one attempt each, `apart` seconds from each other."""
    ledger.begin_run(run_id, ["prod.jsonl"], LIMITS, now)
    admission = ledger.admit(list(entries), now)
    claims = admission.to_send
    sent = [now + i * apart for i in range(len(claims))]
    ledger.record(
        [settlement(claim, at=at + 0.02) for claim, at in zip(claims, sent, strict=True)],
        [attempt(claim, at) for claim, at in zip(claims, sent, strict=True)],
    )
    outcomes = {Outcome.INVALID: len(admission.invalid), **admission.settled}
    outcomes[Outcome.CREATED] = outcomes.get(Outcome.CREATED, 0) + len(claims)
    ledger.end_run(summary(outcomes, len(claims)), 0, None, now + len(claims) * apart)


def new_ledger(folder: Path, name: str = "prod.ledger.db") -> Ledger:
    """Open a ledger in `folder` for the usual target."""
    return open_ledger(folder / name, target())


def child(scenario: str, path: Path) -> subprocess.Popen[str]:
    """Start a process that uses the ledger; see `support.ledger_child`."""
    return subprocess.Popen(
        [sys.executable, "-m", "support.ledger_child", scenario, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent)))},
    )


def told_by(scenario: str, path: Path) -> str:
    """Run a scenario to its end and return what it printed."""
    with child(scenario, path) as process:
        told, _ = process.communicate()
    assert process.returncode == 0, told
    return told
