"""Random histories of a manifest and its service, and what must be true of each, whatever happens in it."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from bulkseed.engine.stop import Stop
from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import (
    InvalidLine,
    ManifestEntry,
    Origin,
    Outcome,
    Row,
    SecretDefinition,
    SecretValue,
    Summary,
)
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import KINDS
from bulkseed.wire.actions import create_secret, delete_secret, put_secret_value
from support import virtual_clock
from support.world import Trouble, World, outcomes

FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a disk that is fast, where there is one
LIVES = 25
"""No history needs as many runs: every trouble meets one request."""

TROUBLES = ["none", "refused", "late", *(kind for kind in KINDS if kind != "delay")]
THERE = ["same", "other value", "other version", "same value, other version", "to be deleted"]
MEANWHILE = ["create", "create", "put"]
ENDS = ["kill", "kill", "kill", "cancel", "stop", "restart"]


@dataclass
class History:
    """What happens. `ends`, `meanwhile` and `restarts` begin with the step at which it does.

    `generated` are the definitions whose value every run makes anew.
    """

    count: int
    on_exists: OnExists
    on_delete_window: OnDeleteWindow
    qps: float
    quota: float
    workers: int | None
    max_attempts: int
    skew: float
    one_way: float
    bad_lines: bool
    troubles: list[Trouble]
    there: dict[int, str]
    ends: list[tuple[int, str]]
    meanwhile: list[tuple[int, int, str]]
    restarts: list[int] = field(default_factory=list)
    generated: set[int] = field(default_factory=set)


steps = st.integers(0, 40)
histories = st.builds(
    History,
    count=st.integers(1, 8),
    on_exists=st.sampled_from(OnExists),
    on_delete_window=st.sampled_from(OnDeleteWindow),
    qps=st.sampled_from([0.0, 3.0, 8.0, 20.0, 400.0]),
    quota=st.sampled_from([0, 2, 20]),
    workers=st.sampled_from([None, 1, 2]),
    max_attempts=st.integers(2, 6),
    skew=st.sampled_from([0.0, -400.0, 400.0, 3600.0]),
    one_way=st.sampled_from([0.0, 0.001, 0.01]),
    bad_lines=st.booleans(),
    troubles=st.lists(
        st.builds(Trouble, st.sampled_from(TROUBLES), st.sampled_from([0.0, 0.02, 0.4, 2.0])), max_size=16
    ),
    there=st.dictionaries(st.integers(0, 5), st.sampled_from(THERE), max_size=3),
    ends=st.lists(st.tuples(steps, st.sampled_from(ENDS)), max_size=4),
    meanwhile=st.lists(st.tuples(steps, st.integers(0, 5), st.sampled_from(MEANWHILE)), max_size=3),
    restarts=st.just([]) | st.lists(steps, max_size=2),
    generated=st.sets(st.integers(0, 5), max_size=3),
)


def check(history: History, spoil: Callable[[World], None] | None = None) -> None:
    """Live the history until everything is done, and see that all promises held; `spoil` breaks the code."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(_live, history, Path(folder), spoil)


def name(number: int) -> str:
    """Return the name of a definition."""
    return f"secret-{number}"


def value(number: int) -> str:
    """Return the value of a definition."""
    return f"our-value-{number}"


def manifest(history: History) -> list[ManifestEntry]:
    """Return the definitions, perhaps among lines that are none and a name that comes twice."""
    entries: list[ManifestEntry] = []
    for i in range(history.count):
        generated = i in history.generated
        text = f"generated-value-{next(_made)}" if generated else value(i)
        origin = Origin("m.jsonl", i + 1)
        entries.append(SecretDefinition(name(i), SecretValue(text), "v1", origin, generated=generated))
    if history.bad_lines:
        again = SecretDefinition(name(0), SecretValue("another-value"), "v1", Origin("m.jsonl", 90))
        entries[1:1] = [InvalidLine(Origin("m.jsonl", 91), ("is no definition",)), again]
    return entries


_made = itertools.count()


class _Manifest(list[ManifestEntry]):
    paths = ("m.jsonl",)


async def _live(history: History, folder: Path, spoil: Callable[[World], None] | None) -> None:
    data_dir = folder / "kms" if history.restarts else None
    asyncio.get_running_loop().thread_time = 0.002  # type: ignore[attr-defined]  # of the virtual clock
    world = World(
        folder,
        options=ServiceOptions(data_dir=data_dir, create_qps=history.quota, read_qps=0, manage_qps=0),
        troubles=history.troubles,
        one_way=lambda: history.one_way,
        skew=history.skew,
    )
    if spoil is not None:
        spoil(world)
    with closing(world):
        await _people(history, world)
        await asyncio.sleep(5.0)  # what was there is older than any claim, by the service's seconds
        _arrange(history, world)
        settled: dict[str, Outcome] = {}
        ends = list(history.ends)
        for _ in range(LIVES):
            await asyncio.sleep(1.0)
            path, heard, sent = world.path, set(world.replied), len(world.sent)
            summary = await _one_life(history, world, ends.pop(0) if ends else None)
            rows = _examine(world, summary)
            if world.path == path:  # it was not killed
                assert all(rows[n] is Outcome.CREATED for n in world.replied - heard), "an answer is lost"
                assert _attempts(world) == len(world.sent) - sent
            for known, outcome in settled.items():
                assert rows[known] is outcome, f"{known} was {outcome}, now {rows[known]}"
            settled = {n: o for n, o in rows.items() if o.settled}
            if summary is not None and not ends and _is_done(history, world, rows):
                break
        else:
            raise AssertionError(f"not done after {LIVES} runs: {rows}")
        await world.settle()
        _judge(history, world, rows)
        if all(outcome.settled for outcome in rows.values()):
            sent = len(world.sent)
            await world.live(_Manifest(manifest(history)), rules=_rules(history))
            assert len(world.sent) == sent, "a settled row cost a request"
            assert outcomes(_rows(world)) == rows


def _rules(history: History) -> Rules:
    spare = 5 if history.quota == 2 else 0  # or what is refused anew in every run starves the rest
    retry = RetryPolicy(max_attempts=history.max_attempts + spare, budget=300.0, ceiling=5.0)
    return Rules(retry, history.on_exists, history.on_delete_window)


async def _people(history: History, world: World) -> None:
    """Somebody else's secrets are there."""
    for number, kind in history.there.items():
        same_value = kind in {"same", "same value, other version"}
        data = SecretValue(value(number) if same_value else "their-value")
        version = "v0" if "other version" in kind else "v1"
        world.foreign(create_secret.Request(name(number), version, data))
        if kind == "to be deleted":
            world.foreign(delete_secret.Request(name(number), recovery_window_in_days=30))
        await asyncio.sleep(1.0)  # they keep to the quota


def _arrange(history: History, world: World) -> None:
    """Plan what happens in between."""
    for number, (step, who, what) in enumerate(history.meanwhile):
        if what == "create":
            theirs = SecretValue(f"their-value-{number}")
            request: object = create_secret.Request(name(who), "v1" if step % 2 else "v0", theirs)
        else:
            request = put_secret_value.Request(
                name(who), f"w{number}", SecretValue(f"their-new-value-{number}")
            )
        world.at_step(step, lambda request=request: world.foreign(request))  # type: ignore[misc]  # bound now
    for step in history.restarts:
        world.at_step(step, world.restart_service)


async def _one_life(history: History, world: World, end: tuple[int, str] | None) -> Summary | None:
    stop = Stop()
    if end is not None:
        after, how = end
        actions: dict[str, Callable[[], None]] = {
            "kill": world.kill,
            "cancel": world.cancel,
            "stop": lambda: stop.request("interrupted"),
            "restart": lambda: None,
        }
        alive = True
        world.at_step(world.steps + after, lambda: actions[how]() if alive else None)
    try:
        return await world.live(
            _Manifest(manifest(history)),
            stop=stop,
            qps=history.qps,
            workers=history.workers,
            rules=_rules(history),
        )
    finally:
        alive = False


def _rows(world: World) -> list[Row]:
    with read_ledger(world.path) as ledger:
        return list(ledger.rows())


def _attempts(world: World) -> int:
    with read_ledger(world.path) as ledger:
        run = ledger.last_run()
        return 0 if run is None else sum(1 for _ in ledger.attempts(run.run_id))


def _examine(world: World, summary: Summary | None) -> dict[str, Outcome]:
    """What must hold after every run, however it ended."""
    with read_ledger(world.path) as ledger:
        broken = [finding for finding in audit(ledger) if not finding.holds]
        rows = outcomes(ledger.rows())
        doubted = {n for (n,) in ledger.select("SELECT name FROM definitions WHERE doubt")}
    assert not broken, broken
    if summary is not None:
        assert sum(summary.outcomes.values()) == summary.definitions
        told = outcomes(world.rows)
        assert all(rows[n] is outcome for n, outcome in told.items()), (rows, told)
    for who, outcome in rows.items():
        if outcome in {Outcome.CREATED, Outcome.ADOPTED}:
            assert world.kms.creators.get(who) == "ours", f"{who} is not ours and was called {outcome}"
        if outcome is Outcome.CREATED:
            assert who in world.replied, f"the service never said that it created {who}"
        if outcome not in {Outcome.CREATED, Outcome.ADOPTED, Outcome.PENDING} and who not in doubted:
            assert world.kms.creators.get(who) != "ours", f"{who} is ours and was called {outcome}"
    return rows


def _is_done(history: History, world: World, rows: dict[str, Outcome]) -> bool:
    refused = history.on_exists is OnExists.FAIL or history.on_delete_window is OnDeleteWindow.FAIL
    finished = {Outcome.CONFLICT, Outcome.REJECTED} if refused else {Outcome.CONFLICT}
    theirs = {n for n, who in world.kms.creators.items() if who == "foreign"}
    theirs |= {name(i) for i in history.generated}  # or perhaps theirs: that cannot be told
    return len(rows) == history.count and all(
        outcome.settled or (outcome in finished | {Outcome.VALUE_LOST} and n in theirs)
        for n, outcome in rows.items()
    )


def _judge(history: History, world: World, rows: dict[str, Outcome]) -> None:
    """What must hold in the end: the service is as the manifest says, and every row tells the truth."""
    kms = world.kms
    assert set(rows) == {name(i) for i in range(history.count)}
    lost = {Outcome.VALUE_LOST}
    for number in range(history.count):
        who, ours = name(number), (name(number), "v1")
        outcome = rows[who]
        generated = number in history.generated
        if kms.creators[who] == "ours":
            assert outcome in {Outcome.CREATED, Outcome.ADOPTED} or (generated and outcome in lost)
            assert generated or world.value(who, "v1") == value(number)
            continue
        updated = kms.versions.get(ours, ("nobody", ""))[0] == "ours"
        theirs = [v for (n, _), (by, v) in kms.versions.items() if n == who and by == "foreign"]
        expected: set[Outcome] = {
            OnExists.SKIP: {Outcome.EXISTING},
            OnExists.FAIL: {Outcome.REJECTED},
            OnExists.VERIFY: {Outcome.IDENTICAL if value(number) in theirs else Outcome.CONFLICT},
            OnExists.UPDATE: {Outcome.UPDATED}
            if updated
            else {Outcome.IDENTICAL}
            if value(number) in theirs
            else {Outcome.CONFLICT},
        }[history.on_exists]
        if history.on_exists is OnExists.VERIFY and kms.versions.get(ours) != ("foreign", value(number)):
            expected = {Outcome.CONFLICT}
        if history.on_exists is OnExists.UPDATE and world.value(who) != value(number):
            expected |= {Outcome.CONFLICT}
        if generated:
            assert not updated, "a generated value has replaced another"
            expected = lost | {Outcome.REJECTED if history.on_exists is OnExists.FAIL else Outcome.EXISTING}
        if history.there.get(number) == "to be deleted" and history.on_delete_window is OnDeleteWindow.FAIL:
            expected = {Outcome.REJECTED}
        assert outcome in expected, f"{who}: {outcome}, should be one of {expected}"
        if updated:
            assert history.on_exists is OnExists.UPDATE
            assert world.value(who, "v1") == value(number)
    for (who, version), (by, text) in kms.versions.items():
        held = world.value(who, version)
        if history.there.get(int(who.rpartition("-")[2])) != "to be deleted":
            assert held == text, f"version {version} of {who} by {by} is lost"
