"""The audit proves what holds, and finds what does not."""

from __future__ import annotations

import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledgers import LIMITS, START, attempt, definition, definitions, new_ledger, summary, whole_run

from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import CHECKS, audit
from bulkseed.ledger.audit.sends import most_within
from bulkseed.model import InvalidLine, Origin, Outcome

BAD_LINE = InvalidLine(Origin("prod.jsonl", 99), ("bad",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a ledger after two runs: one created 25 secrets, the next found them and two more."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, [*definitions(25), BAD_LINE])
        whole_run(
            ledger, [*definitions(27), definition("secret-000001", 28), BAD_LINE], "run-2", now=START + 60
        )
    return ledger.path


def failures(path: Path) -> list[str]:
    """Return the names of the checks that do not hold."""
    with read_ledger(path) as ledger:
        return [finding.name for finding in audit(ledger) if not finding.holds]


def test_an_honest_ledger_passes(path: Path) -> None:
    """Every check holds and shows its numbers."""
    with read_ledger(path) as ledger:
        findings = audit(ledger)
    assert [finding.name for finding in findings if finding.holds] == list(CHECKS)
    details = {finding.name: finding.detail for finding in findings}
    assert details["every run adds up"] == "2 runs read 55 entries"
    assert details["all rows add up"] == "27 definitions + 2 invalid lines"
    assert details["the last summary agrees with the rows"] == "29 definitions"
    assert details["send times kept to the limit"] == "create: at most 5 within a second, limit 10"


@pytest.mark.parametrize(
    ("forgery", "found"),
    [
        ("UPDATE claims SET outcome = 'done' WHERE id = 1", "every row makes sense"),
        ("UPDATE claims SET settled_at = NULL WHERE id = 1", "every row makes sense"),
        ("UPDATE claims SET owned = 0 WHERE id = 1", "every row makes sense"),
        ("UPDATE claims SET doubt = 1, claimed_at = NULL WHERE id = 1", "every row makes sense"),
        ("UPDATE runs SET known = known - 1 WHERE id = 2", "every run adds up"),
        ("UPDATE runs SET read = read + 1, known = known + 1 WHERE id = 1", "every run adds up"),
        ("DELETE FROM claims WHERE id = 27", "all rows add up"),
        ("DELETE FROM invalid_lines WHERE rowid = (SELECT min(rowid) FROM invalid_lines)", "all rows add up"),
        ("UPDATE claims SET run = 1 WHERE id = 27", "all rows add up"),
        (
            "UPDATE claims SET outcome = 'rejected' WHERE id = 27",
            "the last summary agrees with the rows",
        ),
        ("UPDATE runs SET settled = settled + 1 WHERE id = 2", "no row was settled twice"),
        ("UPDATE other_attempts SET definition = 999 WHERE rowid = 1", "every attempt belongs to a claim"),
        ("UPDATE other_attempts SET run = 9 WHERE rowid = 1", "every attempt belongs to a claim"),
        (
            "UPDATE other_attempts SET sent_at = sent_at - 1 WHERE rowid = 1",
            "every attempt belongs to a claim",
        ),
        (
            "UPDATE claims SET claimed_at = claimed_at + 200001 WHERE id = 27",
            "every attempt belongs to a claim",
        ),
        ("DELETE FROM other_attempts WHERE rowid = 1", "attempts are counted right"),
        (
            "UPDATE other_attempts SET sent_at = 1764000000500000 WHERE run = 1",
            "send times kept to the limit",
        ),
        ("UPDATE runs SET limits = '{\"create\": 4}' WHERE id = 1", "send times kept to the limit"),
        ("UPDATE runs SET summary = '{}' WHERE id = 2", "every run adds up"),
    ],
)
def test_a_forged_ledger_fails(path: Path, forgery: str, found: str) -> None:
    """Whatever is changed by hand is missed by one of the two ways in which it is counted."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(forgery).rowcount
    assert found in failures(path)


def test_a_killed_run_passes(tmp_path: Path) -> None:
    """Claims without answers, answers without an end of the run, and a resume after it: all of it adds up."""
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        claims = ledger.admit(definitions(3), START).to_send
        ledger.record([], [attempt(claims[0], status=500)])
    assert failures(ledger.path) == []
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(5), "run-2", now=START + 10)
    assert failures(ledger.path) == []


def test_a_row_may_be_settled_again_for_another_version(tmp_path: Path) -> None:
    """A changed VersionId opens a row again; that it is settled anew is not settling it twice."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(3))
        whole_run(ledger, [definition("secret-000001", version="v2")], "run-2", now=START + 60)
    assert failures(ledger.path) == []


def test_a_stopped_run_passes(tmp_path: Path) -> None:
    """What was read after the stop is pending in the rows and in the summary."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(3))
        ledger.begin_run("run-2", [], LIMITS, START + 60)
        admission = ledger.admit(definitions(5), START + 60, claim=False)
        ledger.end_run(
            summary({Outcome.CREATED: 3, Outcome.PENDING: admission.unsent}, 0), 130, "SIGINT", START + 61
        )
    assert failures(ledger.path) == []


@pytest.mark.parametrize(
    ("limit", "apart", "holds"), [(0.5, 2.0, True), (0.5, 1.9, False), (2.9, 0.5, True), (2.9, 0.4, False)]
)
def test_limits_that_are_no_whole_numbers(tmp_path: Path, limit: float, apart: float, holds: bool) -> None:
    """2.9 a second allows two; one in two seconds allows one in any two seconds."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(4), apart=apart)
        with ledger.transaction():
            ledger.connection.execute("UPDATE runs SET limits = json_object('create', ?)", (limit,))
    assert ("send times kept to the limit" not in failures(ledger.path)) is holds


@pytest.mark.parametrize(
    ("pause", "limits", "holds"),
    [
        (1.01, (10, 10), True),
        (0.9, (10, 10), False),
        (0.5, (12, 10), False),
        (0.9, (20, 10), True),
        (0.9, (10, 20), True),
        (0.0, (10, 0), True),
        (0.0, (0, 10), True),
        (-3600.0, (10, 10), True),
        (-0.01, (10, 10), True),
    ],
)
def test_runs_that_follow_each_other_share_the_limit(
    tmp_path: Path, pause: float, limits: tuple[int, int], holds: bool
) -> None:
    """Ten at once, a pause, ten more. Excused by a larger limit, none, or a clock that was set back."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(10), apart=0.01)
        whole_run(ledger, definitions(20), "run-2", now=START + 0.09 + pause, apart=0.01)
        with ledger.transaction():
            for run, limit in enumerate(limits, start=1):
                ledger.connection.execute(
                    "UPDATE runs SET limits = json_object('create', ?) WHERE id = ?", (limit, run)
                )
    assert ("send times kept to the limit" not in failures(ledger.path)) is holds


times_of_a_run = st.lists(st.integers(0, 3_000_000), max_size=20).map(sorted)


@given(times_of_a_run, times_of_a_run)
def test_the_fullest_window_is_found(first: list[int], second: list[int]) -> None:
    """It is what counting every window by hand gives; the end of a window is not in it."""
    window = deque[int]()
    assert most_within(1.0, first, window) == (_by_hand(first), 0)
    later = [time + 2_500_000 for time in second]
    alone, together = most_within(1.0, later, window)
    assert alone == _by_hand(later)
    if later and first and first[-1] <= later[0]:
        assert max(_by_hand(first), alone, together) == _by_hand(first + later)


def _by_hand(times: list[int]) -> int:
    return max((sum(start <= time < start + 1_000_000 for time in times) for start in times), default=0)
