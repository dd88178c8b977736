"""Which worker gets a target: who cannot begin is left alone; one ledger's trouble is one target's end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from support import virtual_clock
from support.ledgers import START, new_ledger, summary
from support.remote_ledgers import over_json

from bulkseed.cluster.host import HostedLedger, Placement
from bulkseed.cluster.placement import Placer, WorkerSeen
from bulkseed.engine.stop import Stop
from bulkseed.errors import BulkseedError
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
            head = {"target": target, "ticket": ticket, "incarnation": "it"}
            begin = ["begin_run", f"{ticket}", [], {}, START, "apply", False, [True, [], []], None]
            over_json(self._hosted[target], {**head, "number": 1, "operations": [begin]})
            end = ["end_run", {**summary({}, 0), "stopped_by": None}, 0, None, START + 1]
            over_json(self._hosted[target], {**head, "number": 2, "operations": [end]})
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
    ticket = hosted["b"].place("cut-off").ticket
    over_json(
        hosted["b"],
        {
            "target": "b",
            "ticket": ticket,
            "incarnation": "it",
            "number": 1,
            "operations": [["begin_run", "r", [], {}, START, "apply", False, [True, [], []], None]],
        },
    )
    runs, _ = placed(hosted, meanwhile=lambda: ledger.path.rename(tmp_path / "elsewhere.db"))
    failed = {run.spec.name: run.error for run in runs if run.error is not None}
    assert list(failed) == ["b"]
    assert isinstance(failed["b"], BulkseedError)
    assert failed["b"].exit_code == 4
