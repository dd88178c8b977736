"""Definitions that are compared with their rows all at once come to what each comes to by itself."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import LIMITS, START, definition, new_ledger, settlement

from bulkseed.ledger import Admission, Creation, Ledger, TakeUp
from bulkseed.ledger.reader import SETTLED_ENDINGS
from bulkseed.ledger.settled_stretch import find_settled
from bulkseed.model import InvalidLine, ManifestEntry, Origin, Outcome, Verified
from bulkseed.stretch import LineStretch

ENDS: list[Any] = [end for end in Outcome if end not in {Outcome.INVALID, Outcome.BEHIND}]
KEPT = ("claims", "creations", "other_attempts", "invalid_lines", "earlier_versions", "runs")


def stretch(
    names: Sequence[str], first: int = 1, version: str = "v1", source: str = "prod.jsonl"
) -> LineStretch:
    """Return the definitions of lines in a row."""
    return LineStretch(
        [name.encode() for name in names], [b"value"] * len(names), version, Origin(source, first)
    )


def settle(ledger: Ledger, names: Sequence[str], ends: Sequence[Any]) -> None:
    """Bring names to their ends in a first run: creations as short records, as in nearly all runs."""
    ledger.begin_run("run-1", ["prod.jsonl"], LIMITS, START)
    claims = ledger.admit([definition(name, line) for line, name in enumerate(names, 1)], START).to_send
    both = list(zip(claims, ends, strict=True))
    ledger.record(
        [settlement(claim, end) for claim, end in both if end is not Outcome.CREATED],
        [],
        [Creation(claim.row_id, START + 1, 0.02) for claim, end in both if end is Outcome.CREATED],
    )


@dataclass
class Second:
    """A run over what the first one left: stretches of the manifest, and what it wants of settled rows."""

    stretches: list[LineStretch]
    again: TakeUp
    claim: bool


@st.composite
def second_runs(draw: st.DrawFn, names: list[str]) -> Second:
    """Draw a manifest like the first one: nearly all of it as it was, some names, places, versions not."""
    stretches = []
    start = 0
    while start < len(names):
        stop = min(len(names), start + draw(st.integers(1, 6)))
        part, first, version, source = names[start:stop], start + 1, "v1", "prod.jsonl"
        changes = ["name", "swap", "twice", "place", "version", "source", "cut", "new", "new"]
        change = draw(st.sampled_from(["", "", "", *changes]))
        at = draw(st.integers(0, len(part) - 1))
        if change == "name":
            part[at] = f"new-{start}"
        elif change == "swap":
            part[at], part[0] = part[0], part[at]
        elif change == "twice":
            part[at] = names[draw(st.integers(0, len(names) - 1))]
        elif change == "new":
            part = [f"new-{start}-{i}" for i in range(len(part))]
        elif change == "cut":
            del part[at]
        first += change == "place"
        version = "v2" if change == "version" else version
        source = "other.jsonl" if change == "source" else source
        stretches += [stretch(part, first, version, source)] if part else []
        start = stop
    again = TakeUp(
        follow=draw(st.booleans()),
        reopen=draw(st.sampled_from([(), (Outcome.EXISTING,)])),
        gone=draw(st.sampled_from([(), (names[0],)])),
    )
    return Second(stretches, again, draw(st.booleans()))


CASES = st.lists(st.sampled_from([Outcome.CREATED] * 12 + ENDS), min_size=1, max_size=20).flatmap(
    lambda ends: st.tuples(st.just(ends), second_runs([f"app/{i}" for i in range(len(ends))]))
)


def told(admission: Admission) -> tuple[Any, ...]:
    """Return an admission in a form that can be compared."""
    return admission.to_send, admission.settled, admission.invalid, admission.unsent


def second_run(folder: Path, run: Second, *, apart: bool) -> tuple[list[Any], list[Any]]:
    """Run it; return what was admitted and what is on disk."""
    folder.mkdir(exist_ok=True)
    with new_ledger(folder) as ledger:
        ledger.connection.execute("PRAGMA synchronous = OFF")
        ledger.begin_run("run-2", ["prod.jsonl"], LIMITS, START + 9, again=run.again)
        admitted = []
        for number, part in enumerate(run.stretches):
            entries: Sequence[ManifestEntry] = list(part) if apart else part
            last = number == len(run.stretches) - 1
            admitted.append(told(ledger.admit(entries, START + 9, claim=run.claim, last=last)))
        rows = [list(ledger.select(f"SELECT * FROM {table} ORDER BY 1, 2, 3")) for table in KEPT]  # noqa: S608
    return admitted, rows


@given(CASES)
@settings(max_examples=60)
def test_a_stretch_is_admitted_as_its_definitions_are(case: tuple[list[Outcome], Second]) -> None:
    """The same claims and counts, the same rows, byte for byte, in any ledger and for any manifest."""
    ends, run = case
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        with new_ledger(Path(one)) as ledger:
            ledger.connection.execute("PRAGMA synchronous = OFF")
            settle(ledger, [f"app/{i}" for i in range(len(ends))], ends)
            ledger.admit([InvalidLine(Origin("prod.jsonl", line), ("bad",)) for line in (2, 5, 99)], START)
        shutil.copytree(one, other, dirs_exist_ok=True)
        assert second_run(Path(one), run, apart=False) == second_run(Path(other), run, apart=True)


@pytest.mark.parametrize("claim", [True, False])
def test_a_stretch_of_new_names_is_added_as_its_definitions_are(tmp_path: Path, claim: bool) -> None:
    """By a first run: with names that are new, that were read before, or that stand twice in it."""
    parts = [stretch("ab"), stretch("cde", 3, "v2"), stretch("fb", 6), stretch("gh", 8), stretch("iji", 10)]
    run = Second([*parts, stretch("kl", 13)], TakeUp(), claim)
    admitted, rows = second_run(tmp_path / "one", run, apart=False)
    assert (admitted, rows) == second_run(tmp_path / "other", run, apart=True)
    assert [row[1] for row in rows[0]] == list("abcdefghijkl")


def test_a_settled_stretch_is_found_by_its_first_name_alone(tmp_path: Path) -> None:
    """Whatever its ends are; where the rest differs in anything, nothing is found."""
    names = [f"app/{i}" for i in range(9)]
    ends = [*SETTLED_ENDINGS, *["created"] * 9][:9]
    with new_ledger(tmp_path) as ledger:
        settle(ledger, names, [Verified(end) if end == Verified.PRESENT else Outcome(end) for end in ends])
        found = find_settled(ledger.connection, stretch(names))
        assert found is not None
        assert (found[0], sum(found[1].values()), set(found[1])) == (range(1, 10), 9, set(ends))
        others = [
            stretch([*names[:4], "new", *names[5:]]),
            stretch([*names[:4], names[5], names[4], *names[6:]]),
            stretch([*names, "new"]),
            stretch(names, 2),
            stretch(names[1:], 1),
            stretch(names, version="v2"),
            stretch(names, source="./prod.jsonl"),
        ]
        assert [find_settled(ledger.connection, other) for other in others] == [None] * len(others)


def test_what_was_read_before_is_a_duplicate(tmp_path: Path) -> None:
    """As where a manifest is given twice."""
    with new_ledger(tmp_path) as ledger:
        settle(ledger, ["a", "b"], [Outcome.CREATED, Outcome.CREATED])
        ledger.begin_run("run-2", [], LIMITS, START + 2)
        assert ledger.admit(stretch(["a", "b"]), START + 2).settled == {Outcome.CREATED: 2}
        assert [line.name for line in ledger.admit(stretch(["a", "b"]), START + 2).invalid] == ["a", "b"]


def test_what_is_to_be_compared_or_is_gone_is_taken_up(tmp_path: Path) -> None:
    """Though it is settled, and its row is as the manifest has it."""
    again = (TakeUp(reopen=[Outcome.EXISTING]), TakeUp(gone=["b"]))
    for number, wanted in enumerate(again):
        with new_ledger(tmp_path, f"{number}.db") as ledger:
            settle(ledger, ["a", "b"], [Outcome.EXISTING, Outcome.CREATED])
            ledger.begin_run("run-2", [], LIMITS, START + 2, again=wanted)
            (claim,) = ledger.admit(stretch(["a", "b"]), START + 2).to_send
            assert claim.definition.name == "ab"[number]


def test_what_was_invalid_is_forgotten_where_the_stretch_is_and_not_beyond(tmp_path: Path) -> None:
    """Its lines are good ones now; those before and after it may be read later, or not at all."""
    with new_ledger(tmp_path) as ledger:
        settle(ledger, ["a", "b", "c"], [Outcome.CREATED] * 3)
        ledger.admit([InvalidLine(Origin("prod.jsonl", line), ("bad",)) for line in range(1, 5)], START)
        ledger.admit([InvalidLine(Origin("other.jsonl", 2), ("bad",))], START)
        ledger.begin_run("run-2", [], LIMITS, START + 2)
        ledger.admit([InvalidLine(Origin("prod.jsonl", 3), ("bad by now",))], START + 2)
        assert ledger.admit(stretch(["b", "c"], 2), START + 2).settled == {Outcome.CREATED: 2}
        assert [(row.manifest, row.line) for row in ledger.rows([Outcome.INVALID])] == [
            ("prod.jsonl", 1),
            ("prod.jsonl", 4),
            ("other.jsonl", 2),
            ("prod.jsonl", 3),
        ]


@pytest.mark.parametrize("end", [end for end in ENDS if end not in SETTLED_ENDINGS] + [Verified.BEHIND])
def test_a_stretch_with_one_that_is_not_settled_is_looked_at_more_closely(
    tmp_path: Path, end: Outcome | Verified
) -> None:
    """What failed, is pending, or is behind as a verify found, is taken up again."""
    names = ["a", "b", "c"]
    with new_ledger(tmp_path) as ledger:
        settle(ledger, names, [Outcome.CREATED, end, Outcome.CREATED])
        assert find_settled(ledger.connection, stretch(names)) is None


def test_what_the_manifest_wants_at_another_version_is_looked_at_more_closely(tmp_path: Path) -> None:
    """A row that was left behind says so no more once the manifest is back at our version."""
    with new_ledger(tmp_path) as ledger:
        settle(ledger, ["a"], [Outcome.CREATED])
        ledger.begin_run("run-2", [], LIMITS, START + 2, again=TakeUp(follow=False))
        assert ledger.admit(stretch(["a"], version="v2"), START + 2).settled == {Outcome.BEHIND: 1}
        assert find_settled(ledger.connection, stretch(["a"])) is None


def test_rows_are_read_by_their_ids(tmp_path: Path) -> None:
    """The query uses the tables' own order: SQLite neither scans a table nor sorts."""
    with new_ledger(tmp_path) as ledger:
        asked: list[str] = []
        settle(ledger, ["a"], [Outcome.CREATED])
        ledger.connection.set_trace_callback(asked.append)
        assert find_settled(ledger.connection, stretch(["a"])) is not None
        ledger.connection.set_trace_callback(None)
        steps = [
            step.split()[0]
            for query in asked
            for *_, step in ledger.connection.execute(f"EXPLAIN QUERY PLAN {query}")
        ]
    assert steps == ["SEARCH"] * 3
