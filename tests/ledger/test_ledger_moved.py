"""What becomes of a run whose ledger somebody touches, and of files that others could read."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.ledgers import LIMITS, START, child, definitions, new_ledger, target, told_by, whole_run

from bulkseed.errors import LedgerBusyError, LedgerError, LedgerTargetError
from bulkseed.ledger import Creation, Ledger, open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Outcome


def _replace(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy(path, other)
    other.replace(path)


def _touch(folder: Path, how: Callable[[Path], object]) -> tuple[Ledger, str]:
    """Touch a ledger in the middle of a run, and let the run end as a stopped one does."""
    ledger = new_ledger(folder)
    ledger.begin_run("run-1", ["prod.jsonl"], LIMITS, START)
    claims = ledger.admit(definitions(20), START).to_send
    how(ledger.path)
    with pytest.raises(LedgerError) as stopped:
        ledger.admit(definitions(5, first=21), START)
    with pytest.raises(LedgerError):
        ledger.admit(definitions(5, first=21), START)
    with ledger:
        ledger.record([], [], [Creation(claim.row_id, START + claim.row_id, 0.1) for claim in claims])
    return ledger, str(stopped.value)


def test_a_renamed_ledger_stops_the_run_and_is_whole(tmp_path: Path) -> None:
    """No more is claimed, answers that come later are kept, and the message says where the rows are (A12)."""
    moved = tmp_path / "moved.db"
    _, told = _touch(tmp_path, lambda path: path.rename(moved))
    assert f"renamed while it was in use: its rows are in {moved}" in told
    with read_ledger(moved) as reader:
        assert reader.counts()[Outcome.CREATED] == 20
        assert all(finding.holds for finding in audit(reader))


@pytest.mark.parametrize("how", [Path.unlink, _replace], ids=["deleted", "replaced"])
def test_the_rows_of_a_ledger_that_is_gone_are_rescued(tmp_path: Path, how: Callable[[Path], object]) -> None:
    """All of them are written into a new file, for its owner only, which the message names (A12)."""
    _, told = _touch(tmp_path, how)
    rescued = tmp_path / "prod.ledger.db.rescued"
    assert f"its rows will be in {rescued} when this command ends" in told
    assert rescued.stat().st_mode & 0o777 == 0o600
    with read_ledger(rescued) as reader:
        assert reader.counts()[Outcome.CREATED] == 20
        assert all(finding.holds for finding in audit(reader))


@pytest.mark.parametrize("content", [b"", b"x" * 9000], ids=["truncated", "overwritten"])
def test_an_overwritten_ledger_stops_the_run(tmp_path: Path, content: bytes) -> None:
    """Nothing more is written into a file that has another content (A12)."""
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        ledger.path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(LedgerError, match="overwritten or truncated while it was in use"):
                ledger.admit(definitions(5), START)


def test_a_reader_and_a_log_taken_in_disturb_nothing(tmp_path: Path) -> None:
    """Another program that reads the ledger, or looks at it in any way, does not stop the run."""
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        ledger.admit(definitions(20), START)
        with closing(sqlite3.connect(ledger.path)) as other:
            assert other.execute("SELECT count(*) FROM claims").fetchone() == (20,)
        assert len(ledger.admit(definitions(5, first=21), START).to_send) == 5


def test_a_writer_keeps_others_out_under_any_name(tmp_path: Path) -> None:
    """Neither a link to the ledger nor its new name lets a second writer in (A12)."""
    with new_ledger(tmp_path) as ledger:
        (tmp_path / "link.db").symlink_to(ledger.path)
        (tmp_path / "hard.db").hardlink_to(ledger.path)
        for name in ("link.db", "hard.db"):
            with pytest.raises(LedgerBusyError):
                open_ledger(tmp_path / name, target())


def test_a_killed_ledger_that_was_looked_into_raises_no_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Any SQLite client that opens it takes its log in: nothing is missing then, and nothing is said.

    (F10)
    """
    path = tmp_path / "prod.ledger.db"
    with child("write", path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        writer.kill()
    told_by("look", path)
    assert not path.with_name("prod.ledger.db-wal").exists()
    with read_ledger(path) as reader:
        assert reader.status().at_work is False
    new_ledger(tmp_path).close()
    assert caplog.messages == []


def test_a_ledger_says_whether_its_writer_is_at_work(tmp_path: Path) -> None:
    """While a process writes it is told so, and no longer when it has ended (G12)."""
    with new_ledger(tmp_path) as ledger, read_ledger(ledger.path) as reader:
        assert reader.status().at_work is True
    with read_ledger(ledger.path) as reader:
        assert reader.status().at_work is False


def test_a_ledger_that_others_could_read_is_tightened_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A mode that was too open is named, and is 0600 from then on (C4)."""
    new_ledger(tmp_path).close()
    path = tmp_path / "prod.ledger.db"
    path.chmod(0o644)
    new_ledger(tmp_path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert ["was open to other users (mode 644)" in text for text in caplog.messages] == [True]


def test_a_ledger_opens_where_all_locks_share_one_table(tmp_path: Path) -> None:
    """Where flock is a lock like SQLite's own (macOS, NFS), ours does not keep SQLite out (H1)."""
    assert told_by("write_under_one_lock_table", tmp_path / "prod.ledger.db") == "3\n"


def test_the_account_is_learned_and_another_one_refused(tmp_path: Path) -> None:
    """The first ARN binds the ledger; the answer of another account is not recorded (A11)."""
    arn = "acs:kms:cn-hangzhou:{}:secret/secret-00000{}"
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], LIMITS, START)
        one, two = ledger.admit(definitions(2), START).to_send
        assert ledger.known_target().account is None
        ledger.record([], [], [Creation(one.row_id, START, 0.1, None, arn.format(1000000000000001, 1))])
        assert ledger.known_target().account == "1000000000000001"
        with pytest.raises(LedgerTargetError, match="belongs to account 1000000000000001"):
            ledger.record([], [], [Creation(two.row_id, START, 0.1, None, arn.format(1000000000000002, 2))])
        with pytest.raises(LedgerTargetError, match="account 1000000000000002"):
            ledger.bind_account("1000000000000002")
        assert ledger.counts()[Outcome.CREATED] == 1


def test_public_and_vpc_endpoint_of_a_region_are_one_target(tmp_path: Path) -> None:
    """The ledger of one opens for the other, and knows how it was reached last (A11)."""
    new_ledger(tmp_path).close()
    inside = target("https://kms-vpc.cn-hangzhou.aliyuncs.com")
    with open_ledger(tmp_path / "prod.ledger.db", inside) as ledger:
        known = ledger.known_target()
    assert (known.binding, known.endpoint) == ("kms.cn-hangzhou.aliyuncs.com", inside.endpoint)


def test_a_verify_and_an_apply_share_no_ledger(tmp_path: Path) -> None:
    """What was read back is no sign of what was applied; nothing is forgotten before that is seen."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(2))
        with pytest.raises(LedgerError, match="records runs of apply: verify needs another --ledger"):
            ledger.begin_run("run-2", [], LIMITS, START + 9, "verify", afresh=True)
        assert ledger.counts()[Outcome.CREATED] == 2
