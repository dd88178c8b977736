"""Histories of real processes that are killed while they write."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from support.ledgers import child, definitions, new_ledger

import bulkseed.ledger.open as opening
from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Outcome


@pytest.mark.parametrize("seed", range(3))
def test_kill_minus_nine_loses_nothing_that_was_on_disk(tmp_path: Path, seed: int) -> None:
    """After each of many kills every claim and answer that was acknowledged is there, and all adds up."""
    chance = random.Random(seed)  # noqa: S311  # where to kill
    path = tmp_path / "prod.ledger.db"
    claimed: set[str] = set()
    settled: set[str] = set()
    for _ in range(8):
        with child("write", path) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 200)):
                what, name = writer.stdout.readline().split()
                (claimed if what == "claimed" else settled).add(name)
            writer.kill()
            for line in writer.stdout.read().splitlines():
                what, name = line.split()
                (claimed if what == "claimed" else settled).add(name)
        with read_ledger(path) as reader:
            names = {row.name for row in reader.rows() if row.name}
            created = {row.name for row in reader.rows([Outcome.CREATED])}
            assert (settled - created, claimed - names) == (set(), set())
            assert [finding for finding in audit(reader) if not finding.holds] == []
    last = max(int(name.removeprefix("secret-")) for name in names)
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("the last", [], {}, time.time())
        admission = ledger.admit(definitions(last), time.time())
        assert {claim.definition.name for claim in admission.to_send} == names - created
        assert all(claim.doubt_since is not None for claim in admission.to_send)
        assert admission.settled == {Outcome.CREATED: len(created)}


def test_a_ledger_that_was_just_made_knows_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended between its making and anything else, as by a full disk: it is a ledger like another."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as ended:
        ended.setattr(opening, "_use_log", end)
        with pytest.raises(KeyboardInterrupt):
            new_ledger(tmp_path)
    with read_ledger(tmp_path / "prod.ledger.db") as reader:
        made = reader.known_target()
    with new_ledger(tmp_path) as ledger:
        assert ledger.known_target() == made


def test_a_run_can_be_watched(tmp_path: Path) -> None:
    """While a process writes, readers see whole transactions that add up."""
    path = tmp_path / "prod.ledger.db"
    with child("write", path) as writer:
        assert writer.stdout is not None
        for _ in range(10):
            assert writer.stdout.readline()
            with read_ledger(path) as reader:
                status = reader.status()
                assert status.writer is not None
                assert status.writer["pid"] == writer.pid
                assert status.last_run is not None
                assert (status.last_run.ended_at, status.last_run.pid) == (None, writer.pid)
                assert [finding for finding in audit(reader) if not finding.holds] == []
        writer.kill()
