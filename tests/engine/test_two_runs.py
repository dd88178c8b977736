"""Two runs in one process do not disturb each other, in one event loop or in two threads."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulkseed.engine.options import RunOptions
from bulkseed.jobs.apply import seed
from bulkseed.jobs.rollback import rollback
from bulkseed.jobs.verify import verify
from bulkseed.ledger import Ledger, open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Origin, Outcome, SecretDefinition, SecretValue, Target
from bulkseed.policy.rollback import RollbackOutcome
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service

UNLIMITED = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
COUNT = 6


def definitions(prefix: str, count: int = COUNT) -> list[SecretDefinition]:
    """Return definitions below a prefix."""
    return [
        SecretDefinition(f"{prefix}/{i}", SecretValue(f"fake-{i}"), "v1", Origin(prefix, i + 1))
        for i in range(count)
    ]


class SlowDisk:
    """A disk that takes as long for a transaction as another whole run does."""

    def __init__(self) -> None:
        self._finished = threading.Semaphore(0)
        self.transactions = 0

    def runs_finished(self) -> None:
        """Let one transaction through."""
        self._finished.release()

    def slow_down(self, ledger: Ledger) -> None:
        """Make every transaction of a ledger wait for a run to finish."""
        usual = ledger.transaction

        @contextmanager
        def slow() -> Iterator[None]:
            if not ledger.connection.in_transaction:
                assert self._finished.acquire(timeout=60), "the other run stands still meanwhile"
                self.transactions += 1
            with usual():
                yield

        ledger.transaction = slow  # type: ignore[method-assign]  # the same, but slow


async def _apply(target: Target, path: Path, prefix: str, disk: SlowDisk | None = None) -> None:
    with open_ledger(path, target) as ledger:
        if disk is not None:
            disk.slow_down(ledger)
        summary = await seed(definitions(prefix), target, ledger, qps=0)
    assert (summary.exit_code, summary.outcomes[Outcome.CREATED]) == (0, COUNT)


async def _verify(target: Target, path: Path, prefix: str, disk: SlowDisk) -> None:
    await _apply(target, path, prefix)
    with open_ledger(path.with_suffix(".verify.db"), target) as ledger:
        found_by = verify(definitions(prefix), target, ledger, options=RunOptions(qps=0), resume=True)
        disk.slow_down(ledger)
        found = await found_by
    assert found.run.exit_code == 0


async def _roll_back(target: Target, path: Path, prefix: str, disk: SlowDisk) -> None:
    await _apply(target, path, prefix)
    with open_ledger(path, target) as ledger:
        disk.slow_down(ledger)
        rolled_back = await rollback(target, ledger, options=RunOptions(qps=0))
    assert rolled_back.results == {RollbackOutcome.DELETED: COUNT, RollbackOutcome.PENDING: 0}


JOBS: dict[str, Any] = {"apply": _apply, "verify": _verify, "rollback": _roll_back}


@pytest.mark.parametrize("job", JOBS)
async def test_a_run_on_a_slow_disk_does_not_hold_up_another_in_the_same_loop(
    job: str, tmp_path: Path
) -> None:
    """Whenever the disk of the one is waited for, from the beginning to the end, the other goes on (H21)."""
    disk = SlowDisk()
    async with local_service(UNLIMITED) as target:
        slow: Coroutine[Any, Any, None] = JOBS[job](target, tmp_path / "slow.db", "slow", disk)
        slow_run = asyncio.create_task(slow)
        for number in itertools.count():
            await _apply(target, tmp_path / f"{number}.db", f"quick-{number}")
            disk.runs_finished()
            if slow_run.done():
                break
        await slow_run
    assert disk.transactions >= 4, "its beginning, its claims, its answers, its end"


def test_runs_in_two_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Each with a loop, a service and a ledger of its own: both settle everything, and both ledgers hold."""
    ends: list[str] = []

    async def life(name: str) -> None:
        async with local_service(UNLIMITED) as target:
            with open_ledger(tmp_path / f"{name}.db", target) as ledger:
                summary = await seed(definitions(name, 400), target, ledger, qps=0)
            assert (summary.exit_code, summary.attempts) == (0, 400)
        ends.append(name)

    threads = [threading.Thread(target=asyncio.run, args=(life(name),)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["one", "two"]
    for name in ends:
        with read_ledger(tmp_path / f"{name}.db") as ledger:
            assert all(finding.holds for finding in audit(ledger))
