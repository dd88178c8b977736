"""Whole runs keep to their pace: at the sender, at the service, and in the ledger; and lose no time."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support import virtual_clock
from support.histories import FOLDER
from support.world import Trouble, World

from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Origin, SecretDefinition, SecretValue, Summary
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.service.options import ServiceOptions

TROUBLES = ["429", "500-before", "500-after", "drop-before", "drop-after", "truncate", "refused", "html-502"]


@dataclass
class Shift:
    """A run: how many secrets at which rate, over which network, with which troubles."""

    count: int
    qps: float
    workers: int | None
    latencies: list[float]
    troubles: list[str]


shifts = st.builds(
    Shift,
    count=st.integers(1, 120),
    qps=st.sampled_from([0.5, 1.0, 3.0, 10.0, 40.0, 100.0]),
    workers=st.sampled_from([None, None, 1, 3, 30]),
    latencies=st.lists(st.floats(0.0, 0.045), min_size=1, max_size=7),
    troubles=st.lists(st.sampled_from(TROUBLES), max_size=8),
)


@settings(max_examples=40)
@given(shifts)
def test_no_second_holds_more_attempts_than_the_rate(shift: Shift) -> None:
    """For any secrets, workers, rates, latencies and faults: neither on record nor as the service sees it.

    And the run takes no longer than attempts ÷ rate, plus the waits that latency and retries ask for.
    """
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(_shift, shift, Path(folder))


async def _shift(shift: Shift, folder: Path) -> None:
    latencies = cycle(shift.latencies)
    world = World(
        folder,
        options=ServiceOptions(create_qps=0, read_qps=0, manage_qps=0),
        troubles=[Trouble(kind, next(latencies)) for kind in shift.troubles],
        one_way=lambda: next(latencies),
    )
    with closing(world):
        rules = Rules(RetryPolicy(max_attempts=20, first_delay=0.2, ceiling=2.0))
        summary = await world.live(
            _definitions(shift.count), qps=shift.qps, workers=shift.workers, rules=rules
        )
        assert summary is not None
        assert summary.exit_code == 0
        creates = [at for at, action, _ in world.kms.arrivals if action == "CreateSecret"]
        with read_ledger(world.path) as ledger:
            recorded = [attempt.sent_at for attempt in ledger.attempts() if attempt.group == "create"]
            assert all(finding.holds for finding in audit(ledger))
    second, most = max(1.0, 1 / shift.qps), max(1, math.floor(shift.qps))
    assert _most(recorded, second) <= most
    jitter = max(shift.latencies) - min(shift.latencies)  # the network may bring sends closer together
    assert _most(creates, second - jitter) <= most
    assert summary.max_in_one_second <= max(1, math.ceil(shift.qps))
    assert summary.elapsed_s <= _fair_time(shift, summary, len(recorded))


def _definitions(count: int) -> list[SecretDefinition]:
    return [
        SecretDefinition(f"secret-{i}", SecretValue(f"value-{i}"), "v1", Origin("m.jsonl", i + 1))
        for i in range(count)
    ]


def _fair_time(shift: Shift, summary: Summary, creates: int) -> float:
    """Attempts at the pace, or at what the workers can do; then the waits after troubles."""
    at_pace = creates / shift.qps
    round_trip = 2 * max(shift.latencies) + 0.01
    by_workers = summary.attempts * round_trip / (shift.workers or math.inf)
    waits = sum(20.0 if kind == "429" else 4.0 for kind in shift.troubles)
    return 1.1 * max(at_pace, by_workers) + waits + 2.0 / shift.qps + 1.0


def _most(times: Iterable[float], window: float) -> int:
    ordered = sorted(times)
    # Microseconds, as the ledger keeps them.
    return max(
        sum(1 for later in ordered[i:] if round((later - first) * 1e6) < round(window * 1e6))
        for i, first in enumerate(ordered)
    )
