"""Disks that are full or read-only, two processes on one ledger, and every answer to an existing secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.command import BULKSEED, KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest
from support.small_disk import CAN_MOUNT, limit_files, tmpfs
from support.stub_kms import StubKms
from support.torture import assert_audited, held, rows_of, served

from bulkseed.model import Outcome


class Disk:
    """A folder for a ledger that is too small, until there is room."""

    def __init__(self, folder: Path, limit: Callable[[], None] | None, make_room: Callable[[], None]) -> None:
        self.folder = folder
        self.limit = limit
        self.make_room = make_room


@contextmanager
def disk(kind: str, kib: int, folder: Path) -> Iterator[Disk]:
    """Give a disk; `kind` is ``limit`` or ``tmpfs``."""
    if kind == "limit":
        yield Disk(folder, limit_files(kib), lambda: None)
        return
    with tmpfs(folder / "disk", kib) as small:
        yield Disk(small.path, None, lambda: small.remount("size=16m"))


DISKS = [("limit", 8), ("limit", 200), *((("tmpfs", 40), ("tmpfs", 256)) if CAN_MOUNT else ())]


@pytest.mark.parametrize(("kind", "kib"), DISKS)
def test_a_full_disk_ends_the_run_and_loses_nothing(tmp_path: Path, kind: str, kib: int) -> None:
    """The ledger cannot grow: exit 4, why; with room it goes on, and knows of all that was sent."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(900))
    data_dir = tmp_path / "kms"
    with served(data_dir) as endpoint, disk(kind, kib, tmp_path) as small:
        ledger = small.folder / "m.ledger.db"
        command = ["apply", manifest, "--endpoint", endpoint, "--qps", "0", "--output", "json"]
        command += ["--ledger", ledger]
        full = subprocess.run(
            [BULKSEED, *map(str, command)],
            cwd=tmp_path,
            env=environment(PYTHONDONTWRITEBYTECODE="1"),  # or the limit cuts the caches of modules
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=small.limit,
        )
        assert full.returncode == 4, full.stderr
        assert full.stderr.count("\n") <= 2, full.stderr
        assert "ledger" in full.stderr
        assert "full" in full.stderr
        small.make_room()
        done = bulkseed(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        rows = rows_of(ledger)
        assert {row.outcome for row in rows} <= {Outcome.CREATED, Outcome.ADOPTED}
        assert_audited(ledger)
    names = set(held(data_dir))
    assert len(names) == len(rows) == 900


WRONG = {
    "folder": "Is a directory",
    "text.db": "is not a ledger",
    "missing/m.ledger.db": "No such file or directory",
    "/proc/m.ledger.db": "No such file or directory",
    "/dev/full": "its disk is full",
}


def test_a_ledger_that_cannot_be_written_stops_before_anything_is_sent(tmp_path: Path) -> None:
    """A folder in the way, a file that is no ledger, a missing folder: one clear line, nothing sent."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("this is not a ledger, but it is long enough to be a header" * 20)
    with served(tmp_path / "kms") as endpoint:
        for path, why in WRONG.items():
            done = bulkseed("apply", manifest, "--endpoint", endpoint, "--ledger", path, cwd=tmp_path)
            assert done.returncode == 4, (path, done.stderr)
            assert done.stderr.startswith(f"Error: ledger {path} ")
            assert why in done.stderr
            assert done.stderr.count("\n") == 1
    assert held(tmp_path / "kms") == {}


@pytest.mark.parametrize("command", ["status", "rows", "rejects", "audit"])
def test_what_is_no_ledger_cannot_be_read(command: str, tmp_path: Path) -> None:
    """A folder, another file, nothing at all: exit 4, and one line that says which."""
    (tmp_path / "text.db").write_text("this is not a ledger, but it is long enough to be a header" * 20)
    for path, why in (
        (".", "is a folder"),
        ("text.db", "is not a ledger"),
        ("none.db", "there is no ledger"),
    ):
        done = bulkseed("ledger", command, path, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
        assert why in done.stderr


if CAN_MOUNT:

    @pytest.mark.parametrize("existing", [True, False])
    def test_a_disk_that_is_read_only(tmp_path: Path, existing: bool) -> None:
        """Nothing is sent that could not be recorded: exit 4. What is on the disk can be read and proved."""
        manifest = write_manifest(tmp_path / "m.jsonl", simple(9))
        with served(tmp_path / "kms") as endpoint, tmpfs(tmp_path / "disk", 4096) as small:
            ledger = small.path / "m.ledger.db"
            command = ["apply", manifest, "--endpoint", endpoint, "--qps", 0, "--ledger", ledger]
            if existing:
                assert bulkseed(*command, "--limit", 4, cwd=tmp_path).returncode == 0
            small.remount("ro")
            done = bulkseed(*command, cwd=tmp_path)
            assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
            assert f"ledger {ledger} cannot be used: Read-only file system" in done.stderr
            if existing:
                audit = bulkseed("ledger", "audit", ledger, "--online", "--endpoint", endpoint, cwd=tmp_path)
                assert audit.returncode == 0, audit.stdout + audit.stderr
                assert "every settled row exists at the service: 4 do" in audit.stdout
        assert len(held(tmp_path / "kms")) == (4 if existing else 0)


def test_two_processes_on_one_ledger(tmp_path: Path) -> None:
    """The second is refused with the first one's pid, sends nothing, and does not disturb it (G12)."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with served(tmp_path / "kms") as endpoint:
        command = ["apply", manifest, "--endpoint", endpoint, "--qps", 5, "--output", "json"]
        first = start(*command, cwd=tmp_path)
        while not Path(f"{tmp_path / 'm.ledger.db'}-wal").exists():
            assert first.poll() is None
        second = bulkseed(*command, cwd=tmp_path)
        output, errors = first.communicate(timeout=120)
    assert second.returncode == 4
    assert f"process {first.pid} on " in second.stderr
    assert first.returncode == 0, errors
    assert json.loads(output)["outcomes"]["created"] == json.loads(output)["attempts"] == 60


ANSWERS = {
    "skip": (0, {"existing": 4}),
    "verify": (1, {"identical": 2, "conflict": 2}),
    "update": (1, {"identical": 2, "updated": 1, "conflict": 1}),
    "fail": (1, {"rejected": 4}),
}


@pytest.mark.parametrize("on_exists", ANSWERS)
def test_on_exists_through_real_sockets(tmp_path: Path, on_exists: str) -> None:
    """Two as they should be, one with another value of the same version, one with only another version."""
    theirs = simple(4)
    theirs[2]["SecretData"] = theirs[3]["SecretData"] = "fake-value-of-theirs"
    theirs[3]["VersionId"] = "v0"
    before = write_manifest(tmp_path / "theirs.jsonl", theirs)
    ours = write_manifest(tmp_path / "ours.jsonl", simple(5))
    with served(tmp_path / "kms") as endpoint:
        common = ["--endpoint", endpoint, "--qps", 0, "--output", "json"]
        assert bulkseed("apply", before, *common, cwd=tmp_path).returncode == 0
        done = bulkseed("apply", ours, *common, "--on-exists", on_exists, cwd=tmp_path)
        code, expected = ANSWERS[on_exists]
        outcomes = {name: count for name, count in json.loads(done.stdout)["outcomes"].items() if count}
        assert (done.returncode, outcomes) == (code, {"created": 1, **expected})
        assert bulkseed("ledger", "audit", "ours.ledger.db", cwd=tmp_path).returncode == 0
    values = held(tmp_path / "kms")
    assert values[theirs[2]["SecretName"]] == "fake-value-of-theirs"
    current = simple(4)[3]["SecretData"] if on_exists == "update" else "fake-value-of-theirs"
    assert values[theirs[3]["SecretName"]] == current


RESTORED = {
    "skip": (0, {"existing": 2}, "fake-value-of-theirs"),
    "verify": (1, {"identical": 1, "conflict": 1}, "fake-value-of-theirs"),
    "update": (0, {"identical": 1, "updated": 1}, simple(2)[1]["SecretData"]),
    "fail": (1, {"rejected": 2}, "fake-value-of-theirs"),
}


@pytest.mark.parametrize("on_exists", RESTORED)
def test_on_delete_window_through_real_sockets(tmp_path: Path, on_exists: str) -> None:
    """Two that are scheduled for deletion fail with a hint; restored, they exist, and only then count."""
    theirs = simple(2)
    theirs[1] |= {"SecretData": "fake-value-of-theirs", "VersionId": "v0"}
    before = write_manifest(tmp_path / "theirs.jsonl", theirs)
    ours = write_manifest(tmp_path / "ours.jsonl", simple(3))
    with served(tmp_path / "kms") as endpoint:
        common = ["--endpoint", endpoint, "--qps", 0, "--output", "json"]
        assert bulkseed("apply", before, *common, cwd=tmp_path).returncode == 0
        undo = ["rollback", "theirs.ledger.db", *common, "--yes"]
        assert bulkseed(*undo, cwd=tmp_path).returncode == 0
        command = ["apply", ours, *common, "--on-exists", on_exists]
        for more, (code, expected) in (
            ((), (1, {"rejected": 2})),
            (("--on-delete-window", "restore"), RESTORED[on_exists][:2]),
        ):
            done = bulkseed(*command, *more, cwd=tmp_path)
            outcomes = {name: count for name, count in json.loads(done.stdout)["outcomes"].items() if count}
            assert (done.returncode, outcomes) == (code, {"created": 1, **expected})
            assert_audited(tmp_path / "ours.ledger.db")
            rejects = bulkseed("ledger", "rejects", "ours.ledger.db", cwd=tmp_path).stdout
            assert rejects.count("--on-delete-window restore") == (0 if more else 2)
        audit = ["ledger", "audit", "ours.ledger.db", "--online", "--endpoint", endpoint]
        assert bulkseed(*audit, cwd=tmp_path).returncode == 0
    assert held(tmp_path / "kms")["app/00001"] == RESTORED[on_exists][2]


def test_a_ledger_that_is_moved_in_a_run_ends_it(tmp_path: Path) -> None:
    """Exit 4, and where the rows are: all that was sent is in the file that was moved (A12)."""
    write_manifest(tmp_path / "m.jsonl", simple(200))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        process = start("apply", "m.jsonl", "--endpoint", stub.endpoint, "--qps", 20, cwd=tmp_path)
        while len(stub.arrivals) < 5:
            assert process.poll() is None
        (tmp_path / "m.ledger.db").rename(tmp_path / "moved.db")
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 4, errors
        assert f"its rows are in {tmp_path / 'moved.db'}" in errors
        sent = len(stub.arrivals)
    rows = bulkseed("ledger", "rows", "moved.db", "--outcome", "created", cwd=tmp_path).stdout
    assert len(rows.splitlines()) == sent < 200
