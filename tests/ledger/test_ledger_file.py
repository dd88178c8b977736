"""The ledger as a file: who may write, whose it is, and what is said when it cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.ledgers import START, child, definitions, new_ledger, target, told_by, whole_run

from bulkseed.errors import LedgerBusyError, LedgerDamagedError, LedgerError, LedgerTargetError
from bulkseed.ledger import open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.ledger.sqlite.file import require_sqlite
from bulkseed.ledger.sqlite.schema import VERSION
from bulkseed.model import Outcome


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return the path of a ledger after one orderly run of 200 definitions."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(200))
    return ledger.path


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Return a folder that another user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Mode 0600, also of the files that SQLite keeps beside it, whatever the umask."""
    umask = os.umask(0)
    try:
        with new_ledger(tmp_path) as ledger:
            whole_run(ledger, definitions(3))
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(umask)
    assert modes == dict.fromkeys(
        [f"prod.ledger.db{suffix}" for suffix in ("", "-wal", "-shm", "-lock")], 0o600
    )


def test_an_orderly_end_leaves_one_file(finished: Path) -> None:
    """After closing there is the ledger alone, safe to copy, and nobody is named as its writer."""
    assert [path.name for path in finished.parent.iterdir()] == [finished.name]
    with read_ledger(finished) as ledger:
        assert ledger.status().writer is None


def test_a_second_process_is_told_who_has_it(tmp_path: Path) -> None:
    """The message names pid, host and time of the first; when that one is killed the ledger is free."""
    path = tmp_path / "prod.ledger.db"
    with child("hold", path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(LedgerBusyError, match=rf"process {holder.pid} on {os.uname().nodename} since 20"):
            open_ledger(path, target())
        holder.kill()
    open_ledger(path, target()).close()


def test_a_second_opening_in_the_same_process_harms_nothing(tmp_path: Path) -> None:
    """It is refused, and does not drop the locks that keep other programs from removing the log."""
    with new_ledger(tmp_path) as ledger:
        with pytest.raises(LedgerBusyError, match=f"process {os.getpid()}"):
            new_ledger(tmp_path)
        whole_run(ledger, definitions(3))
        told_by("look", ledger.path)
        assert (tmp_path / "prod.ledger.db-wal").exists()
    new_ledger(tmp_path).close()


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://kms.cn-beijing.aliyuncs.com", "cn-hangzhou"),
        ("https://kms.cn-hangzhou.aliyuncs.com", "cn-beijing"),
        ("https://kms.cn-hangzhou.aliyuncs.com:8443", "cn-hangzhou"),
    ],
)
def test_another_target_is_refused(finished: Path, endpoint: str, region: str) -> None:
    """The message names both and says what to do; the ledger stays usable for its own."""
    with pytest.raises(LedgerTargetError, match="use another --ledger") as refused:
        open_ledger(finished, target(endpoint, region))
    assert "kms.cn-hangzhou.aliyuncs.com in cn-hangzhou" in str(refused.value)
    assert f"{endpoint.removeprefix('https://')} in {region}" in str(refused.value)
    new_ledger(finished.parent).close()


@pytest.mark.parametrize(
    "endpoint",
    [
        "kms.cn-hangzhou.aliyuncs.com",
        "https://KMS.cn-hangzhou.aliyuncs.com:443/",
        "http://kms.cn-hangzhou.aliyuncs.com:80",
    ],
)
def test_the_same_target_may_be_written_differently(finished: Path, endpoint: str) -> None:
    """Scheme, case, a trailing slash and the implied port make no other target."""
    open_ledger(finished, target(endpoint)).close()


def test_a_binding_stands_for_the_host(tmp_path: Path) -> None:
    """A local service on a port that changes is known by what the caller calls it."""
    path = tmp_path / "local.ledger.db"
    for port in (4000, 5000):
        local = target(f"http://127.0.0.1:{port}")
        with open_ledger(path, local, data_dir=tmp_path / "kms") as ledger:
            known = ledger.known_target()
        assert known.binding == f"embedded {tmp_path / 'kms'}"
        assert (known.endpoint, known.data_dir) == ("embedded", str(tmp_path / "kms"))


def test_no_ledger_is_made_when_none_is_wanted(tmp_path: Path) -> None:
    """Rolling back with a misspelt name makes no file."""
    with pytest.raises(LedgerError, match="there is no ledger"):
        open_ledger(tmp_path / "missing.db", target(), create=False)
    with pytest.raises(LedgerError, match="there is no ledger"):
        read_ledger(tmp_path / "missing.db")
    assert not list(tmp_path.iterdir())


def test_a_creation_that_was_cut_short_is_taken_up(tmp_path: Path) -> None:
    """An empty file, as a kill leaves it right after its creation, becomes a ledger when it is opened."""
    path = tmp_path / "prod.ledger.db"
    path.touch()
    with pytest.raises(LedgerError, match="nothing was recorded yet"):
        read_ledger(path)
    new_ledger(tmp_path).close()


@pytest.mark.parametrize("cut", [4096, 20_000, None], ids=["one page", "some pages", "all pages"])
def test_a_creation_that_was_killed_while_it_was_written_is_taken_up(tmp_path: Path, cut: int | None) -> None:
    """Its tables are in the file in part, and its journal says that there was nothing before."""
    path, journal = tmp_path / "prod.ledger.db", tmp_path / "prod.ledger.db-journal"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")  # pages are written before the commit, as in its middle
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for number in range(20):
            connection.execute(f"CREATE TABLE table_{number} AS SELECT zeroblob(9000) AS content")
        content, undo = path.read_bytes(), journal.read_bytes()
    path.write_bytes(content[:cut])
    journal.write_bytes(undo)
    assert path.stat().st_size
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(2))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_was_there_is_for_its_owner_only(tmp_path: Path) -> None:
    """An empty file that everybody may read is made private, and so are those beside it."""
    path = tmp_path / "prod.ledger.db"
    path.touch()
    path.chmod(0o644)
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(3))
        modes = {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {0o600}


def _copy_without_log(path: Path) -> Path:
    (path.parent / "copy").mkdir()
    return Path(shutil.copy(path, path.parent / "copy" / "prod.ledger.db"))


def test_a_copy_without_the_log_knows_whose_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From its creation on the file alone is bound, and names its writer: who reads it is warned."""
    with new_ledger(tmp_path) as ledger:
        copy = _copy_without_log(ledger.path)
    with read_ledger(copy) as reader:
        assert (reader.status().target.binding, reader.status().runs) == ("kms.cn-hangzhou.aliyuncs.com", 0)
    assert "is not beside it: if this is a copy" in caplog.text
    with pytest.raises(LedgerTargetError):
        open_ledger(copy, target(region="cn-beijing"))


@pytest.mark.parametrize("orderly", [False, True], ids=["killed", "closed"])
def test_a_copy_without_the_log_knows_its_runs_and_what_it_may_lack(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, orderly: bool
) -> None:
    """It has the run that was killed; who uses it is told that rows may be missing. Else nobody is."""
    with new_ledger(tmp_path) as ledger:
        ledger.begin_run("run-1", [], {}, START)
        ledger.admit(definitions(5), START)
        copy = _copy_without_log(ledger.path)
    path = ledger.path if orderly else copy
    for _ in range(2):
        with read_ledger(path) as reader:
            last = reader.status().last_run
            assert last is not None
            assert (last.run_id, last.ended_at) == ("run-1", None)
    told = "prod.ledger.db-wal is not beside it: if this is a copy"
    assert [told in text for text in caplog.messages] == ([] if orderly else [True, True])
    caplog.clear()
    new_ledger(path.parent).close()
    assert [told in text for text in caplog.messages] == ([] if orderly else [True])
    new_ledger(path.parent).close()
    assert len(caplog.messages) == (0 if orderly else 1), "once it was closed in order, it is whole"


def test_a_ledger_that_is_killed_says_nothing_of_a_log_that_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """File and log together are the whole ledger."""
    with child("write", tmp_path / "prod.ledger.db") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        writer.kill()
    with read_ledger(tmp_path / "prod.ledger.db") as reader:
        assert sum(reader.counts().values()) > 0
    new_ledger(tmp_path).close()
    assert caplog.messages == []


def test_a_log_that_a_reader_needs_is_not_waited_for(tmp_path: Path) -> None:
    """A run begins while somebody reads, at once."""
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(3))
        with read_ledger(ledger.path) as reader:
            reader.connection.execute("BEGIN")
            assert reader.counts()[Outcome.CREATED] == 3
            ledger.connection.execute("PRAGMA busy_timeout = 600000")  # who waited would wait for long
            ledger.begin_run("run-2", [], {}, START + 60)
            assert reader.counts()[Outcome.CREATED] == 3


def test_a_file_whose_content_was_in_a_log_that_is_gone_is_refused(tmp_path: Path) -> None:
    """It is not called empty, and no ledger is begun in it: the message says which file is missing."""
    path = tmp_path / "prod.ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    for use in (read_ledger, lambda path: open_ledger(path, target())):
        with pytest.raises(LedgerDamagedError, match=r"copied without the file prod\.ledger\.db-wal"):
            use(path)


@pytest.mark.parametrize(
    "content", [b"{}", b'{"SecretName": "a"}\n' * 1000, bytes(8192)], ids=["tiny", "a manifest", "zeros"]
)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """A slip in the options does not overwrite a manifest."""
    path = tmp_path / "prod.ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerDamagedError, match="is not a ledger"):
        open_ledger(path, target())
    with pytest.raises(LedgerDamagedError, match="is not a ledger"):
        read_ledger(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A SQLite file is no ledger because of that."""
    path = tmp_path / "prod.ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    before = path.read_bytes()
    with pytest.raises(LedgerDamagedError, match="is not a ledger"):
        open_ledger(path, target())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("version", "cure"), [(VERSION + 1, "update"), (VERSION - 1, "go on with that one")])
def test_a_ledger_of_another_format_is_refused(finished: Path, version: int, cure: str) -> None:
    """The message says which formats, and what to do."""
    with closing(sqlite3.connect(finished)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    words = rf"format {version}, this one knows {VERSION}.*{cure}"
    with pytest.raises(LedgerDamagedError, match=words):
        open_ledger(finished, target())
    with pytest.raises(LedgerDamagedError, match=words):
        read_ledger(finished)


def test_a_truncated_ledger_is_damaged(finished: Path) -> None:
    """Half a file is refused before anything is sent."""
    with finished.open("r+b") as file:
        file.truncate(finished.stat().st_size // 2)
    with pytest.raises(LedgerDamagedError, match="is damaged"):
        open_ledger(finished, target())


def test_damage_inside_is_found_when_it_is_met(finished: Path) -> None:
    """An overwritten page ends reading in a clear error, and fails the audit."""
    with read_ledger(finished) as ledger:
        page = ledger.one("SELECT rootpage FROM sqlite_master WHERE name = 'claims'")
        size = ledger.one("PRAGMA page_size")
    with finished.open("r+b") as file:
        file.seek(size * (page - 1))
        file.write(b"\xa5" * size)
    with read_ledger(finished) as ledger:
        assert not all(finding.holds for finding in audit(ledger))
        with pytest.raises(LedgerDamagedError, match="is damaged"):
            list(ledger.rows())


@pytest.mark.parametrize("orderly", [True, False], ids=["closed", "killed"])
def test_a_read_only_copy_can_be_read(shared_folder: Path, tmp_path: Path, orderly: bool) -> None:
    """Without the right to write anything, rows, status and audit of a copy work, also of a killed run's."""
    copy = shared_folder / "copy.db"
    with new_ledger(tmp_path) as ledger:
        whole_run(ledger, definitions(20))
        if not orderly:
            for suffix in ("", "-wal"):
                shutil.copy(f"{ledger.path}{suffix}", f"{copy}{suffix}")
    if orderly:
        shutil.copy(ledger.path, copy)
    for path in shared_folder.iterdir():
        path.chmod(0o444)
    shared_folder.chmod(0o555)
    try:
        assert told_by("read_without_rights", copy) == "20 1 True\n"
        assert "Permission denied" in told_by("open_without_rights", copy)
    finally:
        shared_folder.chmod(0o755)


def test_a_folder_that_takes_no_files_is_named(shared_folder: Path) -> None:
    """Neither a new ledger nor the log beside an old one can be written there; both are said before a run."""
    old = new_ledger(shared_folder)
    old.close()
    old.path.chmod(0o666)
    shared_folder.chmod(0o555)
    try:
        for path in (shared_folder / "new.db", old.path):
            told = told_by("open_without_rights", path)
            assert "may not write to its folder (Permission denied)" in told
    finally:
        shared_folder.chmod(0o755)


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    with pytest.raises(LedgerError, match="Is a directory"):
        open_ledger(tmp_path, target())
    with pytest.raises(LedgerError, match="No such file or directory"):
        open_ledger(tmp_path / "no" / "prod.ledger.db", target())


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path) -> None:
    """The run ends with a clear error; what was said to be on disk is there, and the next run goes on."""
    path = tmp_path / "prod.ledger.db"
    *lines, last = told_by("starve", path).splitlines()
    assert last.startswith(f"error ledger {path}")
    assert "disk" in last
    claimed = {line.removeprefix("claimed ") for line in lines if line.startswith("claimed")}
    settled = {line.removeprefix("settled ") for line in lines if line.startswith("settled")}
    assert settled
    with new_ledger(tmp_path) as ledger:
        assert {row.name for row in ledger.rows([Outcome.CREATED])} == settled
        assert {row.name for row in ledger.rows()} == claimed
        assert all(finding.holds for finding in audit(ledger)), audit(ledger)
        ledger.begin_run("run-2", [], {}, START)
        assert ledger.admit(definitions(len(claimed) + 1), START).settled[Outcome.CREATED] == len(settled)


def test_an_sqlite_that_is_too_old_is_named() -> None:
    """Python can be built against a library that lacks what a ledger needs; the one here has it."""
    require_sqlite()
    with pytest.raises(LedgerError, match=r"SQLite 3\.34\.1 and a ledger needs 3\.35"):
        require_sqlite((3, 34, 1))
