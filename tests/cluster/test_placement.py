"""Which worker gets a target: who cannot begin is left alone; one ledger's trouble is one target's end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from support import virtual_clock
from support.ledgers import START, attempt, definition, new_ledger, settlement, summary
from support.remote_ledgers import LossyCalls, remote

from bulkseed.cluster.coordinator import surveyed
from bulkseed.cluster.dask_cluster import _OF_A_TERMINAL, _kept_from
from bulkseed.cluster.hosted_ledger import HostedLedger, Placement
from bulkseed.cluster.lease import DRAINED
from bulkseed.cluster.placement import Placer, WorkerSeen
from bulkseed.cluster.remote_ledger import RemoteLedger
from bulkseed.cluster.task import CoordinatorAddress
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError, ManifestError, ServiceError
from bulkseed.model import Summary
from bulkseed.targets.run_all import TargetEnd, TargetRun
from bulkseed.targets.spec import TargetSpec

LEASE = 5.0
TARGETS = ("a", "b", "c", "d", "e", "f")


def now() -> float:
    """Return the loop's time, also before it begins."""
    try:
        return virtual_clock.now()
    except RuntimeError:
        return virtual_clock.START


def at_its_worker(hosted: HostedLedger) -> RemoteLedger:
    """Return a ledger as the worker has it that it was placed at."""
    return RemoteLedger(hosted.ledger.path, LossyCalls(hosted, 0))


class Ending:
    """A task that has ended when it is said so."""

    def __init__(self) -> None:
        self.ended = False

    def done(self) -> bool:
        """Tell whether it has."""
        return self.ended


class TwoWorkers:
    """One worker does what it is told at once; the other cannot reach us, and its tasks end so or never."""

    is_lost = False

    def __init__(self, hosted: Mapping[str, HostedLedger], *, tasks_end: bool) -> None:
        self.given: list[tuple[str, str]] = []
        self._hosted = hosted
        self._tasks_end = tasks_end

    async def seen(self) -> Mapping[str, WorkerSeen]:
        """Return both, heard of just now."""
        now = asyncio.get_running_loop().time()
        return {name: WorkerSeen(name, now) for name in ("cut-off", "well")}

    def begin(self, worker: str, _key: str, task: bytes) -> Ending:
        """Have a worker work on a target."""
        begun = Ending()
        target, ticket = orjson.loads(task)
        self.given.append((worker, target))
        if worker == "well":
            there = at_its_worker(self._hosted[target])
            there.begin_run(ticket, [], {}, START)
            there.end_run({**summary({}, 0), "stopped_by": None}, 0, None, START + 1)
        begun.ended = worker == "well" or self._tasks_end
        return begun


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[dict[str, HostedLedger]]:
    """Host a ledger for each target, by the loop's clock."""
    with ExitStack() as stack:
        yield {
            name: HostedLedger(
                stack.enter_context(new_ledger(tmp_path, f"{name}.ledger.db")), LEASE, clock=now
            )
            for name in TARGETS
        }


def a_task(name: str, placement: Placement) -> bytes:
    """Return what a worker is told."""
    return orjson.dumps([name, placement.ticket])


def an_end(_hosted: HostedLedger, _ended: Mapping[str, object]) -> TargetEnd:
    """Return the end of any run."""
    run = Summary(
        "r", "l", "http://127.0.0.1:9", "cn-hangzhou", 0, {}, 0, 0, 0, 0.0, 0.0, 0, 0.0, None, {}, None, 0
    )
    return TargetEnd(run, {}, {})


def placed(
    hosted: dict[str, HostedLedger], *, tasks_end: bool = True, meanwhile: Callable[[], object] = lambda: None
) -> tuple[list[TargetRun], TwoWorkers]:
    """Place all targets, and return their runs and what the workers were given."""
    runs = [TargetRun(TargetSpec(name, "cn-hangzhou"), 0) for name in hosted]

    async def place() -> TwoWorkers:
        loop = asyncio.get_running_loop()
        for found in hosted.values():
            found._clock = loop.time  # the loop was not there before
        workers = TwoWorkers(hosted, tasks_end=tasks_end)
        meanwhile()
        await Placer(runs, hosted, workers, a_task, an_end, Stop()).run()
        return workers

    return runs, virtual_clock.run(place)


@pytest.mark.parametrize("tasks_end", [True, False])
def test_who_cannot_begin_is_left_alone(hosted: dict[str, HostedLedger], tasks_end: bool) -> None:
    """A worker that is heard of and cannot reach us has least to do: it does not get everything for that."""
    runs, workers = placed(hosted, tasks_end=tasks_end)
    assert [run.error for run in runs] == [None] * len(TARGETS)
    assert {target for worker, target in workers.given if worker == "well"} == set(TARGETS)
    assert sum(worker == "cut-off" for worker, _ in workers.given) <= len(TARGETS) // 2


def test_a_ledger_that_cannot_be_written_is_its_target_s_end_alone(
    hosted: dict[str, HostedLedger], tmp_path: Path
) -> None:
    """Its file was renamed while it was lent: that is told, and the others are done."""
    ledger = hosted["b"].ledger
    hosted["b"].place("cut-off")
    at_its_worker(hosted["b"]).begin_run("r", [], {}, START)
    runs, _ = placed(hosted, meanwhile=lambda: ledger.path.rename(tmp_path / "elsewhere.db"))
    failed = {run.spec.name: run.error for run in runs if run.error is not None}
    assert list(failed) == ["b"]
    assert isinstance(failed["b"], BulkseedError)
    assert failed["b"].exit_code == 4


class AllLeave(TwoWorkers):
    """Workers that are shut down: their runs end in order, and then the scheduler is gone, too."""

    async def seen(self) -> Mapping[str, WorkerSeen]:
        """Return both until all have left."""
        if len(self.given) == len(TARGETS):
            self.is_lost = True
            return {}
        return await super().seen()

    def begin(self, worker: str, _key: str, task: bytes) -> Ending:
        """Have a worker work on a target until it is shut down."""
        target, ticket = orjson.loads(task)
        self.given.append((worker, target))
        there = at_its_worker(self._hosted[target])
        there.begin_run(ticket, [], {}, START)
        there.end_run({**summary({}, 0), "stopped_by": DRAINED}, 3, DRAINED, START + 1)
        return Ending()


def test_who_has_run_has_its_end_when_the_scheduler_is_gone(hosted: dict[str, HostedLedger]) -> None:
    """What waits for another worker then is as its last run has told, and nobody was interrupted."""
    runs = [TargetRun(TargetSpec(name, "cn-hangzhou"), 0) for name in hosted]
    runs.append(TargetRun(TargetSpec("z", "cn-hangzhou", workers=("nobody",)), 0))

    async def place() -> None:
        for found in hosted.values():
            found._clock = asyncio.get_running_loop().time
        there = {**hosted, "z": hosted["a"]}
        await Placer(runs, there, AllLeave(hosted, tasks_end=False), a_task, an_end, Stop()).run()

    virtual_clock.run(place)
    *begun, never = runs
    assert all(run.end is not None for run in begun)
    assert (never.end, never.exit_code, "scheduler is gone" in never.why_not) == (None, 3, True)


def test_a_limit_is_for_all_placements_together(tmp_path: Path) -> None:
    """What runs at lost workers have settled counts."""
    with new_ledger(tmp_path) as ledger:
        found = HostedLedger(ledger, LEASE)
        left = [found.rest_of(2)]
        there = remote(found, 1)
        there.begin_run("r", ["m.jsonl"], {}, START)
        claims = there.admit([definition(f"{n}", n) for n in (1, 2, 3)], START).to_send
        for claim in claims:
            there.record([settlement(claim)], [attempt(claim)])
            left.append(found.rest_of(2))
        assert (left, found.rest_of(None)) == ([2, 1, 0, 0], None)


def test_a_terminal_s_signals_do_not_reach_local_workers() -> None:
    """Ctrl-C goes to every process of a terminal's command: theirs keep it back, ours does not."""
    call = [sys.executable, "-c", "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, []))"]
    with _kept_from(_OF_A_TERMINAL):
        kept = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    assert ("2" in kept.split(), signal.pthread_sigmask(signal.SIG_BLOCK, [])) == (True, set())


class Readers:
    """Workers that read manifests; each answers as it is said, or cannot."""

    def __init__(self, **answers: dict[str, int] | BulkseedError) -> None:
        self.asked: list[str] = []
        self._answers = answers

    async def seen(self) -> Mapping[str, WorkerSeen]:
        """Return all."""
        return {name: WorkerSeen(name, 0.0) for name in self._answers}

    async def survey(self, _us: CoordinatorAddress, worker: str) -> dict[str, int]:
        """Return its answer."""
        self.asked.append(worker)
        answer = self._answers[worker]
        if isinstance(answer, BulkseedError):
            raise answer
        return answer


async def test_another_worker_reads_where_one_cannot_reach_us() -> None:
    """What is wrong with the manifest itself is told at once; where nobody can, the last trouble is."""
    us = CoordinatorAddress("tls://127.0.0.1:9", "token")
    cut_off, bad = ServiceError("cannot connect"), ManifestError("no such file")
    readers = Readers(a=cut_off, b={"lines": 3}, c=cut_off)
    assert (await surveyed(readers, us), readers.asked) == ({"lines": 3}, ["a", "b"])
    with pytest.raises(ManifestError, match="no such file"):
        await surveyed(Readers(a=cut_off, b=bad, c={"lines": 3}), us)
    with pytest.raises(ServiceError, match="cannot connect"):
        await surveyed(Readers(a=cut_off, b=cut_off), us)
    with pytest.raises(ServiceError, match="the cluster has no worker"):
        await surveyed(Readers(), us)
