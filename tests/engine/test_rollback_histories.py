"""Whatever happens before, between and during rollbacks: what is ours and unchanged goes, all else stays."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support import virtual_clock
from support.histories import FOLDER, jump
from support.history import JUMPS, SECONDS
from support.history_laws import outcomes
from support.world import Network, Trouble, World

from bulkseed.engine.options import RunHooks, RunOptions
from bulkseed.engine.stop import Stop
from bulkseed.jobs.rollback import RolledBack, rollback
from bulkseed.ledger import open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Fault, NoReply, Origin, Outcome, SecretDefinition, SecretValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.policy.rollback import RollbackOutcome
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import (
    create_secret,
    delete_secret,
    describe_secret,
    put_secret_value,
    restore_secret,
    tag_resource,
    update_secret,
)
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.message import Request, Response

LIVES = 30
EXAMPLES = int(os.environ.get("BULKSEED_TEST_HISTORIES", "80"))
"""More for a soak: `benchmarks/soak_histories.py`."""
TROUBLES = [
    "none",
    "refused",
    "drop-before",
    "drop-after",
    "500-before",
    "500-after",
    "429",
    "truncate",
    "html-502",
    "mixed",
]
CHANGES = ["none", "none", "put", "describe", "tag", "made anew", "deleted", "restored", "gone"]


@dataclass
class History:
    """What happens. Numbers are those of secrets; `ends` and `meanwhile` begin with a step."""

    count: int
    theirs: set[int]  # there before the run
    making: list[Trouble]
    changes: dict[int, str]  # by somebody else, between the run and its rollback
    force: bool
    qps: float
    max_attempts: int
    skew: float
    troubles: list[Trouble]
    ends: list[tuple[int, str]]
    meanwhile: list[tuple[int, int]]  # somebody makes a secret of this name, if it is free
    lost: set[int]  # deletions whose reply is lost
    quick: bool  # and somebody makes a secret of that name at once
    apply_between: bool
    since: float = 0.0  # by which our clock was set between the run and its rollback
    jumps: list[tuple[int, str, float]] = field(default_factory=list)  # step, what, seconds


numbers = st.integers(0, 4)
steps = st.integers(0, 30)
troubles = st.lists(
    st.builds(Trouble, st.sampled_from(TROUBLES), st.sampled_from([0.0, 0.02, 0.4, 2.0, 6.0])), max_size=12
)
histories = st.builds(
    History,
    count=st.integers(1, 5),
    theirs=st.sets(numbers, max_size=2),
    making=st.lists(st.builds(Trouble, st.sampled_from(["none", "drop-after", "500-after"])), max_size=4),
    changes=st.dictionaries(numbers, st.sampled_from(CHANGES), max_size=5),
    force=st.booleans(),
    qps=st.sampled_from([0.0, 3.0, 10.0]),
    max_attempts=st.integers(1, 6),
    skew=st.sampled_from([0.0, -400.0, 400.0, 3600.0]),
    troubles=troubles,
    ends=st.lists(st.tuples(steps, st.sampled_from(["kill", "kill", "cancel", "stop"])), max_size=3),
    meanwhile=st.lists(st.tuples(steps, numbers), max_size=3),
    lost=st.sets(st.integers(0, 4), max_size=3),
    quick=st.booleans(),
    apply_between=st.booleans(),
    since=st.sampled_from([0.0, *SECONDS]),
    jumps=st.just([])
    | st.lists(st.tuples(steps, st.sampled_from(JUMPS), st.sampled_from(SECONDS)), max_size=2),
)


class _Manifest(list[Any]):
    paths = ("m.jsonl",)


@settings(max_examples=EXAMPLES)
@given(histories)
def test_foreign_and_changed_secrets_survive_every_rollback(history: History) -> None:
    """Run until done: exactly what we made and nobody changed is gone; every row and the audit say so."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(_live, history, Path(folder))


def _name(number: int) -> str:
    return f"secret-{number}"


async def _live(history: History, folder: Path) -> None:
    options = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    world = World(folder, options=options, troubles=history.making, skew=history.skew)
    people = _People(world)
    entries = _Manifest(
        SecretDefinition(_name(i), SecretValue(f"our-value-{i}"), "v1", Origin("m.jsonl", i + 1))
        for i in range(history.count)
    )
    with closing(world):
        people.make("stranger")
        for number in history.theirs:
            people.make(_name(number))
        await asyncio.sleep(5.0)
        summary = await world.live(entries, qps=0)
        assert summary is not None
        made = {
            name for name, outcome in _rows(world).items() if outcome in {Outcome.CREATED, Outcome.ADOPTED}
        }
        await asyncio.sleep(5.0)
        for name in sorted(made):
            people.change(name, history.changes.get(int(name[-1]), "none"))
        await asyncio.sleep(5.0)
        world._troubles = iter(history.troubles)
        world.make_transport = lambda world: _Lossy(world, people=people, history=history)
        world.skew += history.since
        for step, what, seconds in history.jumps:
            world.at_step(world.steps + step, partial(jump, world, what, seconds))
        for step, number in history.meanwhile:
            world.at_step(world.steps + step, partial(people.make_if_free, _name(number)))
        await _until_done(history, world, people, entries)
        await world.settle()
        people.judge(made)
        await _judge_rows(history, world, people, entries, made)


async def _until_done(history: History, world: World, people: _People, entries: _Manifest) -> None:
    ends = list(history.ends)
    for _ in range(LIVES):
        rolled_back = await _one_rollback(history, world, ends.pop(0) if ends else None)
        with read_ledger(world.path) as ledger:
            broken = [finding for finding in audit(ledger) if not finding.holds]
        assert not broken, broken
        if rolled_back is None and history.apply_between:
            await world.settle()
            _forget_deleted(world)
            await world.live(entries, qps=0)
            await asyncio.sleep(5.0)  # what is made anew within 3 s of our making it cannot be told from ours
            for name, outcome in _rows(world).items():
                there = world.value(name) is not None or name in people.gone
                assert there or not outcome.settled, f"{name} is not there, and its row says {outcome}"
            continue
        if rolled_back is not None and not ends:
            assert rolled_back.results.total() == rolled_back.run.definitions
            if (
                not rolled_back.results[RollbackOutcome.PENDING]
                and not rolled_back.results[RollbackOutcome.FAILED]
            ):
                return
    raise AssertionError("not done")


async def _one_rollback(history: History, world: World, end: tuple[int, str] | None) -> RolledBack | None:
    stop, alive = Stop(), True
    actions: dict[str, Callable[[], None]] = {
        "kill": world.kill,
        "cancel": world.cancel,
        "stop": lambda: stop.request("interrupted"),
    }
    if end is not None:
        world.at_step(world.steps + end[0], lambda: actions[end[1]]() if alive else None)
    ledger = open_ledger(world.path, world.target)
    task = asyncio.ensure_future(
        rollback(
            world.target,
            ledger,
            recovery_days=None if history.force else 7,
            options=RunOptions(
                qps=history.qps, rules=Rules(RetryPolicy(history.max_attempts, 300.0, ceiling=5.0))
            ),
            hooks=RunHooks(stop=stop),
            on_end=lambda _name, _end: None if world.killed else world.step(),
            ports=world.ports(),
        )
    )
    world._task = task  # type: ignore[assignment]  # a run of another kind, killed in the same way
    try:
        return await task
    except asyncio.CancelledError:
        return None
    finally:
        alive = False
        ledger.close()
        if world._copy is not None:
            world.path, world._copy = world._copy, None


def _rows(world: World) -> dict[str, Outcome]:
    with read_ledger(world.path) as ledger:
        return outcomes(ledger.rows())


def _forget_deleted(world: World) -> None:
    """The world's record knows no deletions: what is not there any more may be made again."""
    for name in list(world.kms.creators):
        if isinstance(world.foreign(describe_secret.Request(name)), Fault):
            del world.kms.creators[name]
            for key in [key for key in world.kms.versions if key[0] == name]:
                del world.kms.versions[key]


class _People:
    """Everybody else: what they made and what they changed must stay as they left it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.values: dict[
            str, str
        ] = {}  # name -> the value in force of what is theirs or was changed by them
        self.gone: set[str] = set()  # what they deleted
        self.deletions = 0  # by us

    def make(self, name: str) -> None:
        self.values[name] = f"their-value-{len(self.values)}"
        self._world.kms.creators.pop(name, None)
        made = self._world.foreign(create_secret.Request(name, "v1", SecretValue(self.values[name])))
        assert not isinstance(made, Fault), made

    def make_if_free(self, name: str) -> None:
        if isinstance(self._world.foreign(describe_secret.Request(name)), Fault):
            self.make(name)

    def change(self, name: str, how: str) -> None:
        foreign = self._world.foreign
        keep = self._world.value(name)
        match how:
            case "put":
                keep = "their-new-value"
                foreign(put_secret_value.Request(name, "v2", SecretValue(keep)))
            case "describe":
                foreign(update_secret.Request(name, description="in use by others"))
            case "tag":
                foreign(tag_resource.Request(secret_name=name, tags='[{"TagKey":"a","TagValue":"b"}]'))
            case "restored":
                foreign(delete_secret.Request(name))
                foreign(restore_secret.Request(name))
            case "deleted":
                foreign(delete_secret.Request(name))
                self.gone.add(name)
                return
            case "gone" | "made anew":
                foreign(delete_secret.Request(name, force_delete_without_recovery=True))
                self.gone.add(name)
                if how == "made anew":
                    self.make(name)
                return
            case _:
                return
        assert keep is not None
        self.values[name] = keep

    def judge(self, made: set[str]) -> None:
        """See that theirs is as they left it, and that ours is gone."""
        for name, value in self.values.items():
            assert self._world.value(name) == value, f"{name} was theirs, or changed by them"
        for name in made - self.values.keys():
            found = self._world.foreign(describe_secret.Request(name))
            assert isinstance(found, Fault) or found.planned_delete_time, (
                f"{name} was ours and is still there"
            )
        deleted = {name for _, action, name in self._world.kms.arrivals if action == "DeleteSecret"}
        assert deleted <= made, "a deletion was asked for that is not ours to ask for"


@dataclass
class _Lossy(Network):
    """Loses replies to deletions, and lets somebody use the name at once."""

    people: _People = field(kw_only=True)
    history: History = field(kw_only=True)

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        answer = await super().send(request, on_write)
        if request.headers["x-acs-action"] != "DeleteSecret" or self.world.killed:
            return answer
        self.people.deletions += 1
        if self.people.deletions - 1 not in self.history.lost:
            return answer
        if self.history.quick:
            self.people.make_if_free(dict(parse_form(request.query) or [])["SecretName"])
        return NoReply("reply lost", maybe_applied=True)


async def _judge_rows(
    history: History, world: World, people: _People, entries: _Manifest, made: set[str]
) -> None:
    with read_ledger(world.path) as ledger:
        owned = {name for (name,) in ledger.select("SELECT name FROM definitions WHERE owned")}
        doubted = {name for (name,) in ledger.select("SELECT name FROM definitions WHERE doubt")}
    rows = _rows(world)
    kept = {
        n
        for n in made & people.values.keys()
        if history.changes.get(int(n[-1])) in {"put", "describe", "tag", "restored"}
    }
    # What somebody made anew differs by its time alone, which takes no ownership.
    assert kept <= owned <= made & people.values.keys(), "what was deleted is not owned any more"
    assert history.apply_between or not doubted
    for name in made - people.values.keys():
        assert not rows[name].settled, f"{name} is gone, and its row says {rows[name]}"
    _forget_deleted(world)
    world._troubles = iter(())
    summary = await world.live(entries, qps=0)
    assert summary is not None
    for name, outcome in _rows(world).items():
        if history.force and name in made - people.values.keys() - people.gone:
            assert outcome is Outcome.CREATED
        if name in people.values and name not in owned:
            assert outcome is Outcome.EXISTING
