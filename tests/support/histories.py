"""Random histories of a manifest and its service, and what must be true of each, whatever happens in it."""

from __future__ import annotations

import asyncio
import itertools
import math
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from bulkseed.engine.options import RunOptions
from bulkseed.engine.stop import Stop
from bulkseed.jobs.rollback import rollback
from bulkseed.ledger import open_ledger, read_ledger
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
from bulkseed.policy.rollback import RollbackOutcome
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import KINDS
from bulkseed.wire.actions import create_secret, delete_secret, put_secret_value
from support import virtual_clock
from support.world import Trouble, World, outcomes

FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a disk that is fast, where there is one
LIVES = 25
"""No history needs as many runs: every trouble meets one request."""

TROUBLES = ["none", "refused", "late", "mixed", *(kind for kind in KINDS if kind != "delay")]
THERE = ["same", "other value", "other version", "same value, other version", "to be deleted"]
MEANWHILE = ["create", "create", "put"]
JUMPS = ["sleep", "sleep uncounted", "sleep without the wall clock", "set", "set", "the service's"]
SECONDS = [-3600.0, -3.0, -0.4, 0.4, 3.0, 10.0, 3600.0]
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
    jumps: list[tuple[int, str, float]] = field(default_factory=list)  # step, what, seconds
    between: list[float] = field(default_factory=list)  # by which our clock is set before each further run
    drift: float = 0.0
    force: bool = False


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
        st.builds(Trouble, st.sampled_from(TROUBLES), st.sampled_from([0.0, 0.02, 0.4, 2.0, 6.0])),
        max_size=16,
    ),
    there=st.dictionaries(st.integers(0, 5), st.sampled_from(THERE), max_size=3),
    ends=st.lists(st.tuples(steps, st.sampled_from(ENDS)), max_size=4),
    meanwhile=st.lists(st.tuples(steps, st.integers(0, 5), st.sampled_from(MEANWHILE)), max_size=3),
    restarts=st.just([]) | st.lists(steps, max_size=2),
    generated=st.sets(st.integers(0, 5), max_size=3),
    jumps=st.just([])
    | st.lists(st.tuples(steps, st.sampled_from(JUMPS), st.sampled_from(SECONDS)), max_size=3),
    between=st.just([]) | st.lists(st.sampled_from([0.0, *SECONDS]), max_size=3),
    drift=st.sampled_from([0.0, 0.0, 0.002, -0.002]),
    force=st.booleans(),
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
        ends, between = list(history.ends), list(history.between)
        world.drift, skew = history.drift, world.skew
        for life in range(LIVES):
            await asyncio.sleep(1.0)
            if life and between:
                world.skew += between.pop(0)
            if world.skew != skew:
                world.undated |= _undated(world)
                skew = world.skew
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
        await _regenerate(history, world)
        await _undo(history, world)


async def _regenerate(history: History, world: World) -> None:
    """The way out of values that were lost: a new version of what is proved to be ours, and nothing else.

    What somebody made with our version id after our claim cannot be told from ours.
    """
    lost = {n for n, outcome in outcomes(_rows(world)).items() if outcome is Outcome.VALUE_LOST}
    if not lost:
        return
    raised = [
        replace(entry, version_id="v2")
        if isinstance(entry, SecretDefinition) and entry.name in lost
        else entry
        for entry in manifest(history)
    ]
    world.clear_troubles()
    await world.live(_Manifest(raised), rules=replace(_rules(history), regenerate=True))
    rows = outcomes(_rows(world))
    for who in lost:
        ours, put = world.kms.creators[who] == "ours", world.kms.versions.get((who, "v2"), ("", ""))[0]
        older = int(who.rpartition("-")[2]) in history.there and who not in world.undated
        assert ours or not older or put != "ours", f"the value of {who}, which is theirs, was replaced"
        assert (rows[who] is Outcome.UPDATED) == (put == "ours")
    _examine_ledger(world)


async def _undo(history: History, world: World) -> None:
    """Roll back: what is ours goes, what is theirs stays, and nothing that is there is called gone."""
    with read_ledger(world.path) as ledger:
        owned = {n for (n,) in ledger.select("SELECT name FROM definitions WHERE owned")}
    regenerated = {
        n for (n, version), (by, _) in world.kms.versions.items() if (version, by) == ("v2", "ours")
    }
    theirs = {n for n, by in world.kms.creators.items() if by == "foreign"}
    untold = theirs & (world.undated | regenerated)  # by version and time they are ours
    changed = {n for (n, _), (by, _) in world.kms.versions.items() if by == "foreign"}
    before = {n: world.value(n) for n in (theirs | changed) - untold}
    world.clear_troubles()
    await asyncio.sleep(5.0)
    ends: dict[str, RollbackOutcome] = {}
    with closing(open_ledger(world.path, world.target)) as ledger:
        done = await rollback(
            world.target,
            ledger,
            recovery_days=None if history.force else 7,
            options=RunOptions(qps=history.qps, rules=Rules(RetryPolicy(100, 3000.0, ceiling=5.0))),
            on_end=lambda who, end: ends.update({who: end.outcome}),
            ports=world.ports(),
        )
    assert set(ends) == owned
    assert done.results.total() == len(owned)
    for who, text in before.items():
        assert world.value(who) == text, f"{who} is theirs, or was changed by them"
    for who, end in ends.items():
        if who in untold:
            continue
        there = world.value(who) is not None
        assert there is (end is RollbackOutcome.CHANGED), f"{who} was {end}"
        paused = any(what == "sleep uncounted" for _, what, _ in history.jumps)  # then only a time disagrees
        assert there is (who in changed) or (there and paused), f"{who} is ours, unchanged, and was {end}"
    _examine_ledger(world)


def _undated(world: World) -> set[str]:
    """Return what is in doubt, and nothing of the service's clock was on record when it was claimed.

    If our clock is set now, a secret of theirs with our version and value cannot be told from ours.
    """
    with read_ledger(world.path) as ledger:
        found = ledger.select(
            "SELECT name FROM definitions d JOIN runs r ON r.id = d.run WHERE doubt"
            " AND coalesce(claimed_service, ahead, 0) = 0"
        )
        return {name for (name,) in found}


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
    for step, what, seconds in history.jumps:
        world.at_step(step, partial(jump, world, what, seconds))
    for step in history.restarts:
        world.at_step(step, world.restart_service)


def jump(world: World, what: str, seconds: float) -> None:
    """Let a clock jump in mid-run. What is under way before the service was heard of has no date."""
    world.undated.update(world.undated_sends if world.heard else map(name, range(8)))
    match what:
        case "set":
            world.skew += seconds
        case "the service's":  # it is put right by a little, and goes on
            world.slept += math.copysign(min(abs(seconds), 0.4), seconds)
            world.skew -= math.copysign(min(abs(seconds), 0.4), seconds)
        case "sleep":
            world.sleep(abs(seconds))
        case "sleep uncounted":
            world.sleep(abs(seconds), steady=False)
        case "sleep without the wall clock":
            world.sleep(abs(seconds), wall=False)


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
    rows, doubted = _examine_ledger(world)
    if summary is not None:
        assert sum(summary.outcomes.values()) == summary.definitions
        told = outcomes(world.rows)
        assert all(rows[n] is outcome for n, outcome in told.items()), (rows, told)
    for who, outcome in rows.items():
        if outcome in {Outcome.CREATED, Outcome.ADOPTED} and who not in world.undated:
            assert world.kms.creators.get(who) == "ours", f"{who} is not ours and was called {outcome}"
        if outcome is Outcome.CREATED:
            assert who in world.replied, f"the service never said that it created {who}"
        if outcome not in {Outcome.CREATED, Outcome.ADOPTED, Outcome.PENDING} and who not in doubted:
            assert world.kms.creators.get(who) != "ours", f"{who} is ours and was called {outcome}"
    return rows


def _examine_ledger(world: World) -> tuple[dict[str, Outcome], set[str]]:
    """See that the ledger proves itself; return its rows, and which of them are in doubt."""
    with read_ledger(world.path) as ledger:
        broken = [finding for finding in audit(ledger) if not finding.holds]
        rows = outcomes(ledger.rows())
        doubted = {n for (n,) in ledger.select("SELECT name FROM definitions WHERE doubt")}
    assert not broken, broken
    return rows, doubted


def _is_done(history: History, world: World, rows: dict[str, Outcome]) -> bool:
    refused = history.on_exists is OnExists.FAIL or history.on_delete_window is OnDeleteWindow.FAIL
    finished = {Outcome.CONFLICT, Outcome.REJECTED} if refused else {Outcome.CONFLICT}
    theirs = {n for n, who in world.kms.creators.items() if who == "foreign"}
    theirs |= {name(i) for i in history.generated} | world.undated  # or perhaps theirs: that cannot be told
    return len(rows) == history.count and all(
        outcome.settled or (outcome in finished | {Outcome.VALUE_LOST} and n in theirs)
        for n, outcome in rows.items()
    )


def _judge(history: History, world: World, rows: dict[str, Outcome]) -> None:
    """What must hold in the end: the service is as the manifest says, and every row tells the truth."""
    kms, doubted = world.kms, _examine_ledger(world)[1]
    assert set(rows) == {name(i) for i in range(history.count)}
    lost = {Outcome.VALUE_LOST}
    for number in range(history.count):
        who, ours = name(number), (name(number), "v1")
        outcome = rows[who]
        generated = number in history.generated
        if kms.creators[who] == "ours":
            untold = who in world.undated and who in doubted
            assert outcome in {Outcome.CREATED, Outcome.ADOPTED} or (generated and outcome in lost) or untold
            assert generated or world.value(who, "v1") == value(number)
            continue
        if who in world.undated and outcome is Outcome.ADOPTED:
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
