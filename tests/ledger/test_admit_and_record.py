"""Claims before sends, answers after: what `admit` hands out and what `record` keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.ledgers import LIMITS, START, attempt, definition, definitions, new_ledger, settlement, whole_run

from bulkseed.errors import LedgerError
from bulkseed.ledger import Creation, Ledger, TakeUp, read_ledger
from bulkseed.ledger.admission import _FIND, _Row
from bulkseed.model import InvalidLine, Origin, Outcome, QuotaGroup


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a run going on."""
    with new_ledger(tmp_path) as opened:
        opened.begin_run("run-1", ["prod.jsonl"], LIMITS, START)
        yield opened


def test_a_claim_is_on_disk_before_it_is_handed_out(ledger: Ledger) -> None:
    """Another reader of the file sees the claim, in doubt, as soon as `admit` returns."""
    (claim,) = ledger.admit([definition("a")], START).to_send
    with read_ledger(ledger.path) as reader:
        assert list(reader.select("SELECT id, outcome, claimed_at, doubt FROM definitions")) == [
            (claim.row_id, "pending", round(START * 1e6), 1)
        ]


def test_what_is_settled_is_not_sent_again(ledger: Ledger) -> None:
    """A second run over the same manifest claims nothing and counts what is there."""
    whole_run(ledger, definitions(3), "run-2")
    ledger.begin_run("run-3", ["prod.jsonl"], LIMITS, START + 9)
    admission = ledger.admit(definitions(3), START + 9)
    assert (admission.to_send, admission.settled) == ([], {Outcome.CREATED: 3})


@pytest.mark.parametrize("short", [False, True], ids=["an end and an attempt", "a creation"])
def test_another_version_id_opens_a_settled_row_again(ledger: Ledger, short: bool) -> None:
    """A changed VersionId is a new wish; that the secret is ours is remembered, and its attempt."""
    (claim,) = ledger.admit([definition("a")], START).to_send
    if short:
        ledger.record([], [], [Creation(claim.row_id, START + 1, 0.02)])
    else:
        ledger.record([settlement(claim)], [attempt(claim)])
    ledger.begin_run("run-3", [], LIMITS, START + 9)
    (claim,) = ledger.admit([definition("a", version="v2")], START + 9).to_send
    assert (claim.held, claim.doubt_since) == ("v1", None)
    row = ledger.find("a")
    assert row is not None
    assert (row.version_id, row.outcome, row.settled_at) == ("v2", Outcome.PENDING, None)
    ledger.record([settlement(claim, Outcome.UPDATED)])
    assert (ledger.one("SELECT owned FROM definitions"), ledger.one("SELECT count(*) FROM attempts")) == (
        1,
        1,
    )
    assert row.first_sent_at == START + 1


def test_what_was_never_compared_is_taken_up_once_by_a_run_that_compares(ledger: Ledger) -> None:
    """A row of another's secret that was left as it was is asked about again, but not by each such run.

    (A6)
    """
    (claim,) = ledger.admit([definition("a")], START).to_send
    ledger.record([settlement(claim, Outcome.EXISTING)])
    for number, taken_up in enumerate([True, False], start=2):
        ledger.begin_run(f"run-{number}", [], LIMITS, START + number, again=TakeUp(reopen=[Outcome.EXISTING]))
        claims = ledger.admit([definition("a")], START + number).to_send
        assert bool(claims) is taken_up
        ledger.record([settlement(claim, Outcome.EXISTING) for claim in claims])


def test_a_secret_of_ours_whose_version_changed_is_followed_or_left_behind(ledger: Ledger) -> None:
    """Left behind it keeps its version, and counts as settled; the claim of a follower knows what we hold.

    (A5)
    """
    (claim,) = ledger.admit([definition("a")], START).to_send
    ledger.record([], [], [Creation(claim.row_id, START + 1, 0.02, service_time=START)])
    ledger.begin_run("run-2", [], LIMITS, START + 2, again=TakeUp(follow=False))
    assert ledger.admit([definition("a", version="v2")], START + 2).settled == {Outcome.BEHIND: 1}
    row = ledger.find("a")
    assert row is not None
    assert (row.outcome, row.version_id) == (Outcome.BEHIND, "v1")
    assert row.message == "the manifest has version v2"
    ledger.begin_run("run-3", [], LIMITS, START + 3, again=TakeUp(follow=False))
    assert ledger.admit([definition("a")], START + 3).settled == {Outcome.CREATED: 1}
    row = ledger.find("a")
    assert row is not None
    assert row.outcome is Outcome.CREATED, "the manifest is back at it"
    ledger.begin_run("run-4", [], LIMITS, START + 4)
    for number in (4, 5):  # killed between taking it up and writing the new version
        ledger.begin_run(f"run-{number}-again", [], LIMITS, START + number)
        (claim,) = ledger.admit([definition("a", version="v2")], START + number).to_send
        assert (claim.held, claim.service_time) == ("v1", START)
    ledger.record([settlement(claim, Outcome.UPDATED)])
    assert list(ledger.select("SELECT owned, version_id FROM definitions")) == [(1, "v2")]


def test_a_claim_in_doubt_keeps_its_version_when_the_manifest_has_another(ledger: Ledger) -> None:
    """Once that is known to be ours it can be put on record, and the doubt is about the newer one."""
    ledger.admit([definition("a")], START)
    ledger.begin_run("run-2", [], LIMITS, START + 2)
    (claim,) = ledger.admit([definition("a", version="v2")], START + 2).to_send
    assert (claim.doubt_version, claim.doubt_since, claim.held) == ("v1", START, None)
    ledger.mark_held(claim.row_id, "v1", START + 3, START)
    ledger.begin_run("run-3", [], LIMITS, START + 4)
    (claim,) = ledger.admit([definition("a", version="v2")], START + 4).to_send
    assert (claim.doubt_version, claim.doubt_since, claim.held) == (None, START + 3, "v1")


def test_a_version_in_doubt_that_is_not_there_leaves_the_doubt_to_the_newer_one(ledger: Ledger) -> None:
    """What the next run may have to look for is what this one sends, not what the one before did not."""
    ledger.admit([definition("a")], START)
    ledger.begin_run("run-2", [], LIMITS, START + 2)
    (claim,) = ledger.admit([definition("a", version="v2")], START + 2).to_send
    ledger.drop_doubt(claim.row_id, START + 3)
    ledger.begin_run("run-3", [], LIMITS, START + 4)
    (claim,) = ledger.admit([definition("a", version="v3")], START + 4).to_send
    assert (claim.doubt_version, claim.doubt_since, claim.held) == ("v2", START + 3, None)


def test_names_are_looked_up_one_by_one(ledger: Ledger) -> None:
    """The query of every block uses the index of names: SQLite neither scans nor copies a table for it."""
    steps = [step for *_, step in ledger.connection.execute(f"EXPLAIN QUERY PLAN {_FIND}", ("[]",))]
    found = [step.split()[0] for step in steps if not step.startswith(("CORRELATED", "USE"))]
    # json_each, then claims, creations; and, for some rows only, earlier_versions, runs, rollbacks.
    assert found == ["SCAN", *["SEARCH"] * 9], steps


@pytest.mark.parametrize("apart", [False, True], ids=["same block", "another block"])
def test_a_name_counts_once_per_run(ledger: Ledger, apart: bool) -> None:
    """The second line with a name is invalid and says where the first one is, whatever its version."""
    first, second = definition("a", 12), definition("a", 40, "v2", "more.jsonl")
    blocks = [[first], [second]] if apart else [[first, second]]
    admissions = [ledger.admit(block, START) for block in blocks]
    assert [claim.definition for claim in admissions[0].to_send] == [first]
    duplicate = InvalidLine(Origin("more.jsonl", 40), ("duplicate: first seen at prod.jsonl:12",), "a", "v2")
    assert admissions[-1].invalid == [duplicate]


@pytest.mark.parametrize("apart", [False, True], ids=["same block", "another block"])
def test_a_settled_row_follows_its_line(ledger: Ledger, apart: bool) -> None:
    """When lines moved since the last run, rows and the reasons of duplicates name the new place."""
    whole_run(ledger, [definition("a", 1)], "run-2")
    ledger.begin_run("run-3", [], LIMITS, START + 9)
    moved, again = definition("a", 5), definition("a", 6)
    admissions = [
        ledger.admit(block, START + 9) for block in ([[moved], [again]] if apart else [[moved, again]])
    ]
    assert admissions[0].settled == {Outcome.CREATED: 1}
    assert admissions[-1].invalid[0].reasons == ("duplicate: first seen at prod.jsonl:5",)
    row = ledger.find("a")
    assert row is not None
    assert row.line == 5


def test_an_invalid_line_takes_no_name(ledger: Ledger) -> None:
    """Only definitions count as seen: a good line after a bad one with its name is sent."""
    bad = InvalidLine(Origin("prod.jsonl", 1), ("SecretData is missing", "too long"), "a", "v1")
    admission = ledger.admit([bad, definition("a", 2)], START)
    assert (len(admission.to_send), admission.invalid) == (1, [bad])
    (row,) = ledger.rows([Outcome.INVALID])
    assert (row.name, row.line, row.message) == ("a", 1, "SecretData is missing; too long")


def test_invalid_lines_are_forgotten_when_their_manifest_is_read_again(ledger: Ledger) -> None:
    """A repaired line leaves no row, nor one that is gone once all is read; those of other manifests stay.

    (G7, H8)
    """

    def places() -> list[tuple[str | None, int | str | None]]:
        return [(row.manifest, row.line) for row in ledger.rows([Outcome.INVALID])]

    ledger.admit([InvalidLine(Origin("prod.jsonl", line), ("bad",)) for line in (1, 2, 3)], START)
    ledger.admit([InvalidLine(Origin("other.jsonl", 1), ("bad",))], START)
    ledger.begin_run("run-2", ["prod.jsonl"], LIMITS, START + 9)
    ledger.admit([definition("a", 1), InvalidLine(Origin("prod.jsonl", 2), ("bad",))], START + 9)
    assert places() == [("prod.jsonl", 3), ("other.jsonl", 1), ("prod.jsonl", 2)]
    ledger.admit([], START + 9, last=True)
    assert places() == [("other.jsonl", 1), ("prod.jsonl", 2)]


def test_a_part_of_a_manifest_leaves_what_was_invalid_elsewhere_in_it(ledger: Ledger) -> None:
    """A run over a selection forgets what it has read again, however the manifest's path is spelt (G7)."""
    ledger.admit([InvalidLine(Origin("prod.jsonl", line), ("bad",)) for line in (1, 2)], START)
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    ledger.admit([definition("a", 2, manifest=str(Path("prod.jsonl").resolve()))], START + 9, last=True)
    assert [row.line for row in ledger.rows([Outcome.INVALID])] == [1]


def test_an_invalid_line_is_kept_once_whoever_reads_it_again(ledger: Ledger) -> None:
    """Entries may come from elsewhere than manifests that the run named when it began."""
    bad = [InvalidLine(Origin("from code", line), ("is bad",)) for line in (1, 2, 2)]
    ledger.admit(bad, START)
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    ledger.admit(bad, START + 9)
    assert [row.line for row in ledger.rows([Outcome.INVALID])] == [1, 2, 2]


def test_a_name_that_is_no_unicode_does_not_stop_the_ledger(ledger: Ledger) -> None:
    """A refused name may hold half a surrogate pair; its row is kept without it."""
    ledger.admit([InvalidLine(Origin("prod.jsonl", 1), ("no \ud800 here",), "a\ud800", "v1")], START)
    assert [row.name for row in ledger.rows()] == ["a?"]


def test_a_conclusive_answer_ends_the_doubt(ledger: Ledger) -> None:
    """A refused definition is claimed anew by the next run, with nothing to find out about the past."""
    (claim,) = ledger.admit([definition("a")], START).to_send
    ledger.record([settlement(claim, Outcome.REJECTED, code="Forbidden.NoPermission")], [attempt(claim)])
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    (claim,) = ledger.admit([definition("a")], START + 9).to_send
    assert (claim.doubt_since, claim.held) == (None, None)
    assert ledger.one("SELECT claimed_at FROM definitions") == round((START + 9) * 1e6)


def test_a_claim_given_back_unsent_leaves_no_doubt(ledger: Ledger) -> None:
    """What was claimed and never sent is pending and known not to exist because of us."""
    (claim,) = ledger.admit([definition("a")], START).to_send
    ledger.record([settlement(claim, Outcome.PENDING)])
    assert ledger.counts()[Outcome.PENDING] == 1
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    assert ledger.admit([definition("a")], START + 9).to_send[0].doubt_since is None


def test_after_a_stop_the_rest_is_accounted_for(ledger: Ledger) -> None:
    """Without a claim nothing is sent, nothing is in doubt, and a row that failed before still says why."""
    failed, doubtful, done = ledger.admit(definitions(3), START).to_send
    ledger.record(
        [settlement(failed, Outcome.REJECTED, code="Forbidden.NoPermission", message="no"), settlement(done)],
        [attempt(failed, status=403), attempt(done)],
    )
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    admission = ledger.admit([*definitions(4), definition("secret-000004", 5)], START + 9, claim=False)
    assert admission.to_send == []
    assert (admission.unsent, admission.settled, len(admission.invalid)) == (3, {Outcome.CREATED: 1}, 1)
    first, second, third, fourth = ledger.rows(set(Outcome) - {Outcome.INVALID})
    assert [row.outcome.value for row in (first, second, third, fourth)] == [
        "pending",
        "pending",
        "created",
        "pending",
    ]
    assert (first.code, first.message, first.settled_at) == ("Forbidden.NoPermission", "no", None)
    assert list(ledger.select("SELECT name FROM definitions WHERE doubt")) == [(doubtful.definition.name,)]


def test_a_row_is_never_settled_twice(ledger: Ledger) -> None:
    """The second settlement is refused, with everything that came along with it."""
    one, two = ledger.admit(definitions(2), START).to_send
    ledger.record([settlement(one)], [attempt(one)])
    with pytest.raises(LedgerError, match="settled twice"):
        ledger.record([settlement(two), settlement(one, Outcome.EXISTING)], [attempt(two)])
    assert [row.outcome for row in ledger.rows()] == [Outcome.CREATED, Outcome.PENDING]
    assert ledger.one("SELECT count(*) FROM attempts") == 1


def test_a_failed_transaction_leaves_nothing_behind(ledger: Ledger) -> None:
    """Claims and answers in one transaction are on disk or not; the answers can be tried again alone."""
    (one,) = ledger.admit(definitions(1), START).to_send

    def twice() -> None:
        with ledger.transaction():
            ledger.admit(definitions(1, first=2), START)
            ledger.record([settlement(one)], [attempt(one)])
            ledger.record([settlement(one)])

    with pytest.raises(LedgerError, match="settled twice"):
        twice()
    assert ledger.counts()[Outcome.PENDING] == ledger.one("SELECT count(*) FROM definitions") == 1
    with pytest.raises(LedgerError, match="admits nothing"):
        ledger.admit(definitions(1, first=2), START)
    ledger.record([settlement(one)], [attempt(one)])
    assert ledger.counts()[Outcome.CREATED] == 1


def test_attempts_are_counted_where_they_are_recorded(ledger: Ledger) -> None:
    """A definition's attempts and its first send time come from the attempts, over all runs."""
    (claim,) = ledger.admit([definition("a")], START).to_send
    ledger.record([], [attempt(claim, START + 1, 500), attempt(claim, START + 2, None)])
    ledger.record(
        [settlement(claim, at=START + 4)],
        [attempt(claim, START + 3), attempt(claim, START + 3.5, lane=QuotaGroup.READ)],
    )
    row = ledger.find("a")
    assert row is not None
    assert (row.attempts, row.first_sent_at, row.settled_at) == (4, START + 1, START + 4)


@pytest.mark.parametrize("known", [0, 1], ids=["all new", "one known"])
def test_what_is_left_unsent_has_no_claim(ledger: Ledger, known: int) -> None:
    """New names that are only accounted for were never claimed, and their rows say so."""
    ledger.admit(definitions(known), START)
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    ledger.admit(definitions(known + 2), START + 9, claim=False)
    new = list(ledger.select("SELECT claimed_at, doubt FROM definitions WHERE id > ?", known))
    assert new == [(None, 0), (None, 0)]


def test_a_row_that_another_program_added_is_not_taken_for_ours(ledger: Ledger) -> None:
    """Where a name's row cannot be added nothing is handed out, as no claim would be on disk."""
    ledger.admit([definition("known")], START)
    ledger.begin_run("run-2", [], LIMITS, START + 9)
    with closing(sqlite3.connect(ledger.path)) as other, other:
        other.execute(
            "INSERT INTO claims (name, version_id, source, place, run, doubt)"
            " VALUES ('theirs', 'v1', 'prod.jsonl', 1, 1, 0)"
        )
    with pytest.raises(LedgerError, match="added meanwhile"):
        ledger.admit([definition("known"), definition("new")], START + 9)
    assert [row.name for row in ledger.rows()] == ["known", "theirs"]


def test_the_answer_is_kept_as_it_came(ledger: Ledger) -> None:
    """Every field of an answer is in the row."""
    (claim,) = ledger.admit([definition("a", 7)], START).to_send
    answer = {"code": "c", "message": "m", "status": 409, "request_id": "r", "arn": "arn"}
    ledger.record([settlement(claim, Outcome.EXISTING, START + 3, **answer)])
    row = ledger.find("a")
    assert row is not None
    assert {field: getattr(row, field) for field in answer} == answer
    assert (row.manifest, row.line, row.run_id, row.outcome) == ("prod.jsonl", 7, "run-1", Outcome.EXISTING)


def test_what_is_found_of_a_row_has_its_columns_by_their_names(tmp_path: Path) -> None:
    """They are taken by their order, which costs less: the names hold the two lists together."""
    with new_ledger(tmp_path) as ledger:
        found = ledger.connection.execute(_FIND, ("[]",))
        assert tuple(name for name, *_ in found.description) == _Row._fields
