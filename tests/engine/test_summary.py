"""A summary is held against what the ledger has counted; one that would be untrue is refused."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import World

from bulkseed.engine.stats import Stats
from bulkseed.engine.summary import check_against_ledger
from bulkseed.errors import LedgerError
from bulkseed.ledger import Ledger, open_ledger
from bulkseed.model import InvalidLine, ManifestEntry, Origin, Outcome, SecretDefinition, SecretValue, Summary
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_secret

UNLIMITED = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)


def entries(count: int = 20) -> list[ManifestEntry]:
    """Return definitions, and a line that is none."""
    bad = InvalidLine(Origin("m.jsonl", 99), ("is no definition",))
    return [
        *(
            SecretDefinition(f"secret-{i}", SecretValue(f"value-{i}"), "v1", Origin("m.jsonl", i + 1))
            for i in range(count)
        ),
        bad,
    ]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder on a fast disk."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as path:
        yield Path(path)


async def _two_runs(folder: Path) -> tuple[Summary, World]:
    """Run the first ten, then all of them, one of which is somebody else's."""
    with closing(World(folder, options=UNLIMITED)) as world:
        world.foreign(create_secret.Request("secret-15", "v0", SecretValue("their-value")))
        await world.live(entries(10), qps=0)
        summary = await world.live(entries(), qps=0)
    assert summary is not None
    return summary, world


@pytest.fixture
def ended(folder: Path) -> Iterator[tuple[Summary, Ledger]]:
    """Return the summary of a run that knew ten, created nine, found one, and its ledger."""
    summary, world = virtual_clock.run(_two_runs, folder)
    with open_ledger(world.path, world.target) as ledger:
        yield summary, ledger


def test_a_true_summary_agrees_with_its_ledger(ended: tuple[Summary, Ledger]) -> None:
    """What a run says is what it counted, and is on record."""
    summary, ledger = ended
    check_against_ledger(summary, ledger)
    counts = {outcome: count for outcome, count in summary.outcomes.items() if count}
    assert counts == {Outcome.CREATED: 19, Outcome.EXISTING: 1, Outcome.INVALID: 1}
    run = ledger.last_run()
    assert run is not None
    assert run.summary == summary.as_dict()


@pytest.mark.parametrize("column", ["read", "known", "claimed", "unsent", "invalid", "settled"])
@pytest.mark.parametrize("by", [1, -1])
def test_a_summary_that_the_ledger_contradicts_is_refused(
    ended: tuple[Summary, Ledger], column: str, by: int
) -> None:
    """Whichever counter is off, the error names run, ledger and numbers, and what to call."""
    summary, ledger = ended
    with ledger.transaction():
        ledger.connection.execute(f"UPDATE runs SET {column} = {column} + {by} WHERE id = 2")  # noqa: S608  # fixed text
    with pytest.raises(LedgerError, match=rf"run {summary.run_id} would be untrue .* on record .* audit"):
        check_against_ledger(summary, ledger)


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (Outcome.CREATED, Outcome.EXISTING),
        (Outcome.REJECTED, Outcome.PENDING),
        (Outcome.CREATED, Outcome.REJECTED),
        (Outcome.INVALID, Outcome.CREATED),
    ],
)
def test_a_summary_that_contradicts_itself_is_refused(
    ended: tuple[Summary, Ledger], more: Outcome, less: Outcome
) -> None:
    """A negative number is no truth, even if the sums are right."""
    summary, ledger = ended
    outcomes = {**summary.outcomes}
    outcomes[more] = outcomes.get(more, 0) + 50
    outcomes[less] = outcomes.get(less, 0) - 50
    with pytest.raises(LedgerError, match=f"{less} -"):
        check_against_ledger(replace(summary, outcomes=outcomes), ledger)


def test_the_sum_of_the_outcomes_is_checked(ended: tuple[Summary, Ledger]) -> None:
    """As many outcomes as definitions."""
    summary, ledger = ended
    with pytest.raises(LedgerError, match="sum of the outcomes 22, on record 21"):
        check_against_ledger(replace(summary, outcomes={**summary.outcomes, Outcome.CONFLICT: 1}), ledger)


def test_a_run_whose_counters_are_wrong_ends_in_an_error_and_loses_nothing(folder: Path) -> None:
    """Counters that another run has used already: no summary, but every answer is on record."""

    async def test() -> None:
        with closing(World(folder, options=UNLIMITED)) as world:
            stats = Stats()
            await world.live(entries(10), qps=0, stats=stats)
            with pytest.raises(LedgerError, match="would be untrue"):
                await world.live(entries(), qps=0, stats=stats)
            with open_ledger(world.path, world.target) as ledger:
                assert ledger.counts()[Outcome.CREATED] == 20
                run = ledger.last_run()
        assert run is not None
        assert (run.summary, run.ended_at, run.tally.settled) == (None, None, 10)

    virtual_clock.run(test)
