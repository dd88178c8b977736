"""Disks that are full or read-only, two processes on one ledger, and every answer to an existing secret."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path

import pytest
from support.command import BULKSEED, bulkseed, environment, simple, start, write_manifest
from support.torture import assert_audited, held, rows_of, served

from bulkseed.model import Outcome


@pytest.mark.parametrize("limit_kib", [8, 200])
def test_a_full_disk_ends_the_run_and_loses_nothing(tmp_path: Path, limit_kib: int) -> None:
    """The ledger cannot grow: exit 4, why; with room it goes on, and knows of all that was sent.

    The limit is the kernel's on the size of files (RLIMIT_FSIZE): a write beyond it fails as on a full disk.
    """
    manifest = write_manifest(tmp_path / "m.jsonl", simple(900))
    data_dir, ledger = tmp_path / "kms", tmp_path / "m.ledger.db"
    with served(data_dir) as endpoint:
        command = ["apply", manifest, "--endpoint", endpoint, "--qps", "0", "--output", "json"]
        full = subprocess.run(
            [BULKSEED, *map(str, command)],
            cwd=tmp_path,
            env=environment(PYTHONDONTWRITEBYTECODE="1"),  # or the limit cuts the caches of modules
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit_kib * 1024, limit_kib * 1024)
            ),
        )
        assert full.returncode == 4, full.stderr
        assert full.stderr.count("\n") <= 2, full.stderr
        assert "ledger" in full.stderr
        assert "full" in full.stderr
        done = bulkseed(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    names = set(held(data_dir))
    rows = rows_of(ledger)
    assert len(names) == len(rows) == 900
    assert {row.outcome for row in rows} <= {Outcome.CREATED, Outcome.ADOPTED}
    assert_audited(ledger)


def test_a_ledger_that_cannot_be_written_stops_before_anything_is_sent(tmp_path: Path) -> None:
    """A folder in the way, a file that is no ledger, a missing folder: one clear line, nothing sent."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("this is not a ledger, but it is long enough to be a header" * 20)
    with served(tmp_path / "kms") as endpoint:
        for path in ("folder", "text.db", "missing/m.ledger.db", "/proc/m.ledger.db"):
            done = bulkseed("apply", manifest, "--endpoint", endpoint, "--ledger", path, cwd=tmp_path)
            assert done.returncode in {2, 4}, (path, done.stderr)
            assert "Traceback" not in done.stderr
            assert path in done.stderr
    assert held(tmp_path / "kms") == {}


def test_two_processes_on_one_ledger(tmp_path: Path) -> None:
    """The second is refused with the first one's pid, sends nothing, and does not disturb it."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with served(tmp_path / "kms") as endpoint:
        command = ["apply", manifest, "--endpoint", endpoint, "--qps", 20, "--output", "json"]
        first = start(*command, cwd=tmp_path)
        while not Path(f"{tmp_path / 'm.ledger.db'}-wal").exists():
            assert first.poll() is None
        second = bulkseed(*command, cwd=tmp_path)
        output, errors = first.communicate(timeout=30)
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
