"""The numbers of a report, against a model that counts one by one."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import LIMITS, START, definition, definitions, new_ledger, whole_run
from support.reports import pending_run

from bulkseed.ledger import AttemptRecord, Settlement, read_ledger
from bulkseed.ledger.rollbacks import Rollbacks
from bulkseed.model import InvalidLine, Origin, Outcome, QuotaGroup, Verified
from bulkseed.policy.rollback import RollbackEnd, RollbackOutcome
from bulkseed.report.attempts import SECOND, AnswerKind, kind_of
from bulkseed.report.numbers import Numbers, read_numbers

ANSWERS = {
    (200, None): AnswerKind.ACCEPTED,
    (429, "Rejected.Throttling"): AnswerKind.THROTTLED,
    (503, "Throttling.User"): AnswerKind.THROTTLED,
    (429, "HTTP429"): AnswerKind.THROTTLED,
    (500, "InternalFailure"): AnswerKind.FAILED,
    (502, "HTTP502"): AnswerKind.FAILED,
    (200, "Unreadable"): AnswerKind.FAILED,
    (None, None): AnswerKind.LOST,
    (409, "Rejected.ResourceExist"): AnswerKind.REFUSED,
    (403, "Forbidden.NoPermission"): AnswerKind.REFUSED,
}
"""Status and code of an answer, and what it counts as."""


@dataclass(frozen=True)
class Sent:
    """An attempt of the model, in microseconds."""

    run: int
    definition: int
    group: str
    sent_at: int
    latency: int
    status: int | None
    code: str | None


Try = tuple[QuotaGroup, int, int, int, tuple[int | None, str | None]]
Script = list[tuple[float, int, list[tuple[Outcome, list[Try]]]]]

spans = st.sampled_from([3, 400, 100_000])  # seconds that a run lasts
attempts = st.tuples(
    st.sampled_from([QuotaGroup.CREATE, QuotaGroup.CREATE, QuotaGroup.READ]),
    st.integers(0, 1000),  # share of the run's time that has passed
    st.sampled_from([0, 1, 999_999, SECOND]),  # and microseconds, for the borders of a second
    st.integers(0, 100_000_000),
    st.sampled_from(list(ANSWERS)),
)
runs = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 10.0]),
        spans,
        st.lists(st.tuples(st.sampled_from(list(Outcome)), st.lists(attempts, max_size=4)), max_size=6),
    ),
    max_size=4,
)


def build(folder: Path, script: Script) -> tuple[Numbers, list[Sent], Counter[Outcome]]:
    """Write a ledger through its own door; return its numbers and what went in."""
    sent, outcomes = [], Counter[Outcome]()
    path = folder / "prod.ledger.db"
    path.unlink(missing_ok=True)
    with new_ledger(folder) as ledger, ledger.transaction():  # one wait for the disk
        for run, (limit, span, entries) in enumerate(script, 1):
            start = START + run * 50_000
            ledger.begin_run(f"run-{run}", [f"{run}.jsonl"], {QuotaGroup.CREATE: limit}, start)
            for line, (outcome, tries) in enumerate(entries, 1):
                outcomes[outcome] += 1
                if outcome is Outcome.INVALID:
                    ledger.admit([InvalidLine(Origin(f"{run}.jsonl", line), (f"bad line {line}",))], start)
                    continue
                entry = definition(f"{run}/{line}", line, manifest=f"{run}.jsonl")
                (claim,) = ledger.admit([entry], start).to_send
                records = []
                for lane, share, micro, latency, answer in tries:
                    at = start + span * share / 1000 + micro / SECOND
                    records.append(AttemptRecord(claim.row_id, lane, at, latency / SECOND, *answer))
                    sent.append(Sent(run, claim.row_id, lane.value, round(at * SECOND), latency, *answer))
                code = "InternalFailure" if outcome is Outcome.EXHAUSTED else None
                ledger.record([Settlement(claim.row_id, outcome, start + span, code)], records)
    with read_ledger(path) as reader:
        numbers = read_numbers(reader, path.name, [])
    return numbers, sent, outcomes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all ledgers of a property, which are made anew."""
    return tmp_path_factory.mktemp("numbers")


@settings(max_examples=60)
@given(script=runs)
def test_every_number_is_what_counting_gives(folder: Path, script: Script) -> None:
    """Outcomes, answers, paces, percentiles and bins agree with a model that knows no SQL."""
    numbers, sent, outcomes = build(folder, script)
    assert {o: n for o, n in numbers.counts.items() if n} == dict(outcomes)
    assert numbers.definitions == outcomes.total()
    assert {a[:3]: a.times for a in numbers.answers} == Counter((s.group, s.status, s.code) for s in sent)
    assert all(answer.kind is ANSWERS[answer.status, answer.code] for answer in numbers.answers)

    assert len(numbers.paces) == len({(s.group, s.run) for s in sent})
    for pace in numbers.paces:
        lane = [s for s in sent if s.group == pace.group]
        mine = [s for s in lane if s.run == pace.run]
        times = [s.sent_at for s in mine]
        windows = [sum(t - SECOND < s.sent_at <= t for s in lane) for t in times]
        assert (pace.attempts, pace.length) == (len(mine), max(times) - min(times))
        assert pace.retries == len(mine) - len({s.definition for s in mine})
        assert pace.fullest == max(windows)
        assert pace.fullest_at in [t for t, n in zip(times, windows, strict=True) if n == pace.fullest]

    for found in numbers.latencies:
        answered = sorted(s.latency for s in sent if s.group == found.group and s.status is not None)
        assert found.answers == len(answered) == sum(part.answers for part in found.bins)
        for share, latency in found.percentiles.items():
            assert latency == answered[math.ceil(len(answered) * share / 100) - 1]
        for part in found.bins:
            assert part.answers == sum(part.low <= max(latency, 1) < part.high for latency in answered)
    assert {f.group for f in numbers.latencies} == {s.group for s in sent if s.status is not None}


@settings(max_examples=60)
@given(script=runs)
def test_the_timeline_holds_every_attempt_once_and_never_looks_too_fast(folder: Path, script: Script) -> None:
    """Each slot has what was sent in it; there are few; none shows more a second than the fullest second."""
    numbers, sent, _ = build(folder, script)
    lane = "create" if any(s.group == "create" for s in sent) else "read"
    mine = [s for s in sent if s.group == lane]
    if not mine:
        assert numbers.timeline is None
        return
    timeline = numbers.timeline
    assert timeline is not None
    assert timeline.group == lane
    assert sum(len(stretch.slots) for stretch in timeline.stretches) <= 240 + len(timeline.stretches)
    fullest = {pace.run: pace.fullest for pace in numbers.paces if pace.group == lane}
    held, retries, offset = 0, 0, 0
    for stretch in timeline.stretches:
        assert stretch.offset == offset
        assert stretch.seconds == sum(slot.seconds for slot in stretch.slots)
        offset += stretch.seconds
        for slot in stretch.slots:
            end = slot.started_at + slot.seconds * SECOND
            inside = [s for s in mine if s.run == stretch.run and slot.started_at <= s.sent_at < end]
            assert slot.kinds == Counter(kind_of(s.status, s.code) for s in inside)
            assert slot.attempts <= slot.seconds * fullest[stretch.run]
            held, retries = held + slot.attempts, retries + slot.retries
    assert held == len(mine)
    assert retries == sum(pace.retries for pace in numbers.paces if pace.group == lane)
    accepted = all(ANSWERS[s.status, s.code] is AnswerKind.ACCEPTED for s in mine)
    assert timeline.smooth == (accepted and not retries)


@settings(max_examples=30)
@given(script=runs)
def test_every_unsettled_definition_is_in_one_group(folder: Path, script: Script) -> None:
    """Groups of failures add up to what is not settled, and their examples are true."""
    numbers, _, outcomes = build(folder, script)
    found = Counter[Outcome | Verified]()
    for failure in numbers.failures:
        found[failure.outcome] += failure.count
        assert len(failure.examples) == min(failure.count, 5)
        assert failure.meaning
        assert failure.action
        for example in failure.examples:
            assert example.name in {None, example.manifest.replace(".jsonl", f"/{example.line}")}
    assert found == Counter({o: n for o, n in outcomes.items() if not o.settled})
    assert numbers.unsettled == found.total()


def test_reasons_that_differ_in_a_number_are_one(tmp_path: Path) -> None:
    """A thousand duplicates are one problem; a reason that is always the same keeps its numbers."""
    lines = [
        InvalidLine(
            Origin("a.jsonl", line), (f"duplicate: first seen on line {line - 1}", "has 30,721 bytes")
        )
        for line in range(10, 20)
    ]
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run", ["a.jsonl"], {}, START)
        ledger.admit(lines, START)
        failures = read_numbers(ledger, "x", []).failures
    assert [(f.meaning, f.count) for f in failures] == [
        ("duplicate: first seen on line …", 10),
        ("has 30,721 bytes", 10),
    ]


def test_without_a_code_the_message_tells_groups_apart(tmp_path: Path) -> None:
    """What the service gave a code is one group whatever was said; what has none is told by its message."""
    ends = [(None, "has 12 versions"), (None, "differs"), (None, "differs"), ("InternalFailure", "a")]
    ends.append(("InternalFailure", "b"))
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run", ["a.jsonl"], {}, START)
        claims = ledger.admit([definition(f"a/{number}") for number in range(len(ends))], START).to_send
        ledger.record(
            [
                Settlement(claim.row_id, Outcome.CONFLICT, START, code, message)
                for claim, (code, message) in zip(claims, ends, strict=True)
            ]
        )
        failures = read_numbers(ledger, "x", []).failures
    assert [(f.code, f.count) for f in failures] == [(None, 2), ("InternalFailure", 2), (None, 1)]
    assert (failures[0].meaning, failures[2].meaning) == ("differs", "has 12 versions")
    assert failures[0].examples[0].name == "a/1"


@pytest.mark.parametrize(("apart", "fullest"), [(0.999_999, 2), (1.0, 1)])
def test_a_second_is_half_open(tmp_path: Path, apart: float, fullest: int) -> None:
    """What is a whole second apart is not in the same one."""
    with new_ledger(tmp_path) as ledger:
        pending_run(ledger, 1, START, 0, apart)
        (pace,) = read_numbers(ledger, "x", []).paces
    assert (pace.fullest, pace.kept) == (fullest, fullest == 1)


def test_a_second_that_spans_two_runs_counts_both_and_retries_are_of_one(tmp_path: Path) -> None:
    """A run that starts in the second in which another ended shares its quota, but begins its own retries."""
    with new_ledger(tmp_path) as ledger:
        pending_run(ledger, 1, START, 0)
        pending_run(ledger, 2, START + 0.5, 0, 5)
        numbers = read_numbers(ledger, "x", [])
    assert [(pace.fullest, pace.kept, pace.retries) for pace in numbers.paces] == [
        (1, True, 0),
        (2, False, 1),
    ]
    assert numbers.timeline is not None
    assert [[slot.retries for slot in s.slots] for s in numbers.timeline.stretches] == [
        [0],
        [0, 0, 0, 0, 0, 1],
    ]


def test_what_was_rolled_back_is_counted_apart(tmp_path: Path) -> None:
    """It is no failure, and it is not settled either."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(3))
        ledger.begin_run("run-2", [], LIMITS, START + 9, "rollback")
        rollbacks = Rollbacks(ledger, START + 9)
        gone = RollbackEnd(RollbackOutcome.GONE)
        rollbacks.end(rollbacks.owned(0, 1)[0], gone, START + 10, claimed=False, doubt=False)
    with read_ledger(ledger.path) as reader:
        numbers = read_numbers(reader, ledger.path.name, [])
    assert (numbers.definitions, numbers.unsettled, numbers.undone) == (3, 0, 1)
