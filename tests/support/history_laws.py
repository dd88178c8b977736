"""What must be true of every history, whatever happens in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace

from bulkseed.engine.options import RunOptions
from bulkseed.jobs.rollback import rollback
from bulkseed.ledger import open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Outcome, Row, SecretDefinition, Summary
from bulkseed.policy.advice import TAKEN_FOR_OURS
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnDeleteWindow, OnExists, Rules
from bulkseed.policy.rollback import RollbackOutcome
from support.history import History, Manifest, manifest, name, rules_of, value
from support.world import World


def outcomes(rows: Iterable[Row]) -> dict[str, Outcome]:
    """Return the outcome of every row that names a definition."""
    return {row.name: Outcome(row.outcome) for row in rows if row.name and row.outcome is not Outcome.INVALID}


def rows_of(world: World) -> list[Row]:
    """Return the rows of its ledger."""
    with read_ledger(world.path) as ledger:
        return list(ledger.rows())


def attempts(world: World) -> int:
    """Count the attempts that the last run has on record."""
    with read_ledger(world.path) as ledger:
        run = ledger.last_run()
        return 0 if run is None else sum(1 for _ in ledger.attempts(run.run_id))


def examine(world: World, summary: Summary | None) -> dict[str, Outcome]:
    """What must hold after every run, however it ended."""
    rows, doubted = examine_ledger(world)
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


def examine_ledger(world: World) -> tuple[dict[str, Outcome], set[str]]:
    """See that the ledger proves itself; return its rows, and which of them are in doubt."""
    with read_ledger(world.path) as ledger:
        broken = [finding for finding in audit(ledger) if not finding.holds]
        rows = outcomes(ledger.rows())
        doubted = {n for (n,) in ledger.select("SELECT name FROM definitions WHERE doubt")}
    assert not broken, broken
    return rows, doubted


def is_done(history: History, world: World, rows: dict[str, Outcome]) -> bool:
    """Tell whether further runs would find nothing to do."""
    refused = history.on_exists is OnExists.FAIL or history.on_delete_window is OnDeleteWindow.FAIL
    finished = {Outcome.CONFLICT, Outcome.REJECTED} if refused else {Outcome.CONFLICT}
    theirs = {n for n, who in world.kms.creators.items() if who == "foreign"}
    theirs |= {name(i) for i in history.generated} | world.untold
    return len(rows) == history.count and all(
        outcome.settled or (outcome in finished | {Outcome.VALUE_LOST} and n in theirs)
        for n, outcome in rows.items()
    )


def judge(history: History, world: World, rows: dict[str, Outcome]) -> None:
    """What must hold in the end: the service is as the manifest says, and every row tells the truth."""
    kms, doubted = world.kms, examine_ledger(world)[1]
    assert set(rows) == {name(i) for i in range(history.count)}
    lost = {Outcome.VALUE_LOST}
    for number in range(history.count):
        who, ours = name(number), (name(number), "v1")
        outcome = rows[who]
        generated = number in history.generated
        if kms.creators[who] == "ours":
            untold = who in world.untold and who in doubted
            assert outcome in {Outcome.CREATED, Outcome.ADOPTED} or (generated and outcome in lost) or untold
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


async def regenerate(history: History, world: World) -> None:
    """The way out of values that were lost: a new version of what is proved to be ours, and nothing else.

    What somebody made with our version id after our claim cannot be told from ours.
    """
    lost = {n for n, outcome in outcomes(rows_of(world)).items() if outcome is Outcome.VALUE_LOST}
    if not lost:
        return
    raised = [
        replace(entry, version_id="v2")
        if isinstance(entry, SecretDefinition) and entry.name in lost
        else entry
        for entry in manifest(history)
    ]
    world.clear_troubles()
    await world.live(Manifest(raised), rules=replace(rules_of(history), regenerate=True))
    rows = outcomes(rows_of(world))
    said = {row.name: row.message for row in rows_of(world) if row.outcome is not Outcome.INVALID}
    for who in lost:
        ours, put = world.kms.creators[who] == "ours", world.kms.versions.get((who, "v2"), ("", ""))[0]
        older = int(who.rpartition("-")[2]) in history.there
        assert ours or not older or put != "ours", f"the value of {who}, which is theirs, was replaced"
        assert (rows[who] is Outcome.UPDATED) == (put == "ours")
        assert said[who] == TAKEN_FOR_OURS or put != "ours", "it is not said that nothing proves it ours"
    examine_ledger(world)


async def undo(history: History, world: World) -> None:
    """Roll back: what is ours goes, what is theirs stays, and nothing that is there is called gone."""
    with read_ledger(world.path) as ledger:
        owned = {n for (n,) in ledger.select("SELECT name FROM definitions WHERE owned")}
    regenerated = {
        n for (n, version), (by, _) in world.kms.versions.items() if (version, by) == ("v2", "ours")
    }
    theirs = {n for n, by in world.kms.creators.items() if by == "foreign"}
    untold = theirs & regenerated  # by version and time they are ours
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
    examine_ledger(world)
