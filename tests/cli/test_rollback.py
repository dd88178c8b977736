"""``bulkseed rollback`` against the local KMS, as users run it."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.command import bulkseed, environment, read_until, simple, start, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

ROOT = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
CANARY = "not-a-secret"
KEYS = [
    "run_id", "ledger", "endpoint", "region", "definitions", "results", "settled_before", "attempts",
    "throttled", "retried", "elapsed_s", "rate", "latency_ms", "stopped_by", "exit_code",
]  # fmt: skip


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """Serve a local KMS in a process of its own."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        yield target.endpoint


def run(*arguments: object, cwd: Path) -> tuple[int, str, str]:
    """Run the command as the root caller of the service."""
    done = bulkseed(*arguments, cwd=cwd, env=ROOT)
    assert CANARY not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def held(tmp_path: Path) -> dict[str, bool]:
    """Return the names that the service holds, and whether each is scheduled for deletion."""
    copy = tmp_path / "copy-of-kms"  # the service keeps its own file to itself
    shutil.copytree(tmp_path / "kms", copy, dirs_exist_ok=True)
    with sqlite3.connect(copy / "kms.db") as kms:
        found = dict(kms.execute("SELECT name, delete_at IS NOT NULL FROM secrets"))
    kms.close()
    shutil.rmtree(copy)
    return found


def outcomes(ledger: str, cwd: Path) -> dict[str, str]:
    """Return the outcome of every row."""
    code, stdout, _ = run("ledger", "rows", ledger, cwd=cwd)
    assert code == 0
    return {row["secret_name"]: row["outcome"] for row in map(json.loads, stdout.splitlines())}


def test_only_what_the_ledger_made_is_deleted_after_a_preview(tmp_path: Path) -> None:
    """The preview sends and writes nothing; --yes plans the deletion; apply restores or makes it again.

    (G26, G27)
    """
    theirs = write_manifest(tmp_path / "theirs.jsonl", simple(3))
    ours = write_manifest(tmp_path / "ours.jsonl", simple(8))
    where = ["--endpoint", "embedded", "--qps", 0]
    assert run("apply", theirs, *where, cwd=tmp_path)[0] == 0
    assert run("apply", ours, *where, cwd=tmp_path)[0] == 0
    before = (tmp_path / "ours.ledger.db").read_bytes()
    code, stdout, stderr = run(
        "rollback", "ours.ledger.db", "--endpoint", "https://kms.example", cwd=tmp_path
    )
    assert (code, stdout, "belongs to embedded" in stderr) == (4, "", True)
    code, stdout, _ = run("rollback", "ours.ledger.db", "--endpoint", "embedded", cwd=tmp_path)
    assert code == 0
    assert "5 to delete unless changed since, restorable for 30 days, 0.5 s at 10/s" in stdout
    assert "left alone: 3" in stdout
    assert "app/00003" in stdout
    assert "rollback ours.ledger.db --endpoint embedded --yes" in stdout
    assert (tmp_path / "ours.ledger.db").read_bytes() == before
    faster = ["rollback", "ours.ledger.db", "--endpoint", "embedded", "--qps", 200]
    assert "0.1 s at 40/s, since each secret's versions are listed first" in run(*faster, cwd=tmp_path)[1]
    code, stdout, _ = run("rollback", "ours.ledger.db", *where, "--yes", "--output", "json", cwd=tmp_path)
    summary = json.loads(stdout)
    assert (code, list(summary)) == (0, KEYS)
    assert summary["results"] == {"deleted": 5, "gone": 0, "changed": 0, "failed": 0, "pending": 0}
    assert set(outcomes("ours.ledger.db", tmp_path).values()) == {"existing", "pending"}
    assert run("ledger", "audit", "ours.ledger.db", cwd=tmp_path)[0] == 0
    preview = run("rollback", "ours.ledger.db", *where, cwd=tmp_path)[1]
    assert "rolled back before: 5\nleft alone: 3 not known to be made by this ledger" in preview
    told = json.loads(run("rollback", "ours.ledger.db", *where, "--output", "json", cwd=tmp_path)[1])
    assert (told["to_delete"], told["left_alone"], told["rolled_back"]) == (0, 3, 5)
    status = run("ledger", "status", "ours.ledger.db", cwd=tmp_path)[1]
    assert "rolled back: 5         apply makes it again once its name is free\n" in status
    assert "apply MANIFEST --on-delete-window restore takes the secret back" in " ".join(status.split())
    assert "definitions: 8 = 3 existing + 5 rolled back" in status
    told = json.loads(run("ledger", "status", "ours.ledger.db", "--output", "json", cwd=tmp_path)[1])
    until = told["restorable_until"]
    assert timedelta(days=29) < datetime.fromisoformat(until) - datetime.now(UTC) < timedelta(days=31)
    assert f"the first window ends {until} by the service's clock" in " ".join(status.split())
    code, stdout, _ = run("ledger", "audit", "ours.ledger.db", "--online", cwd=tmp_path)
    assert (code, "exists at the service: 3 do" in stdout) == (0, True), (
        "what is not settled is not looked for"
    )
    not_listed = "not listed: 5 that were rolled back; apply makes them again once their names are free\n"
    assert run("ledger", "rejects", "ours.ledger.db", cwd=tmp_path) == (0, "", not_listed)
    assert run("report", "ours.ledger.db", "-o", "page.html", cwd=tmp_path)[0] == 0
    page = (tmp_path / "page.html").read_text()
    assert "5 of 8 definitions were rolled back; all others are settled." in page
    assert "8 definitions</strong> = 3 existing + 5 rolled back" in page
    assert "deleted when it was rolled back" not in page.casefold()
    assert f"the first window ends {until} by the service" in page
    code, stdout, _ = run("rollback", "ours.ledger.db", *where, "--yes", cwd=tmp_path)
    assert (code, "secrets of this ledger: 5 = 5 rolled back" in stdout) == (0, True)
    code, stdout, _ = run("verify", ours, *where, cwd=tmp_path)
    assert "definitions: 8 = 3 identical + 5 missing" in stdout
    code, _, stderr = run("apply", ours, *where, "--stop-after", 3, cwd=tmp_path)
    assert (code, stderr.rstrip().endswith("--on-delete-window restore")) == (3, True), (
        "the way on comes last"
    )
    assert run("apply", ours, *where, cwd=tmp_path)[0] == 1  # their names are taken for 30 days
    status = json.loads(run("ledger", "status", "ours.ledger.db", "--output", "json", cwd=tmp_path)[1])
    assert (status["rolled_back"], status["restorable_until"]) == (0, until)
    preview = run("rollback", "ours.ledger.db", *where, "--force", cwd=tmp_path)[1]
    assert "rolled back before: 5\nwhat was rolled back before without --force is not touched" in preview
    assert "left alone: 3 not known to be made by this ledger" in preview
    code, stdout, stderr = run("ledger", "rejects", "ours.ledger.db", cwd=tmp_path)
    assert (code, len(stdout.splitlines()), stderr) == (0, 5, "")
    code, stdout, _ = run("apply", ours, *where, "--on-delete-window", "restore", cwd=tmp_path)
    assert (code, "5 adopted" in stdout) == (0, True), "what we made, deleted and restored is ours (G1)"
    told = "taken back: 5 of the adopted ones, which a rollback had deleted, from the delete window\n"
    assert told in stdout
    assert told in run("ledger", "status", "ours.ledger.db", cwd=tmp_path)[1]
    assert "rolled back" not in run("ledger", "status", "ours.ledger.db", cwd=tmp_path)[1]
    assert run("ledger", "audit", "ours.ledger.db", cwd=tmp_path)[0] == 0
    assert sorted(outcomes("ours.ledger.db", tmp_path).values()) == ["adopted"] * 5 + ["existing"] * 3
    code, stdout, _ = run("rollback", "ours.ledger.db", *where, "--force", "--yes", cwd=tmp_path)
    assert (code, "deleted: 5" in stdout) == (0, True), "the way to free names that are taken"
    assert run("apply", ours, *where, cwd=tmp_path)[0] == 0
    assert run("ledger", "audit", "ours.ledger.db", cwd=tmp_path)[0] == 0


def test_what_was_changed_since_is_left_alone_and_named(tmp_path: Path, endpoint: str) -> None:
    """A new version by another ledger's run saves a secret; what is gone already counts as done (A2)."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(6))
    where = ["--endpoint", endpoint, "--qps", 0]
    assert run("apply", manifest, *where, cwd=tmp_path)[0] == 0
    others = write_manifest(
        tmp_path / "others.jsonl", [{**d, "VersionId": "v2", "SecretData": "other"} for d in simple(2)]
    )
    assert run("apply", others, *where, "--on-exists", "update", cwd=tmp_path)[0] == 0
    code, stdout, _ = run("rollback", "m.ledger.db", *where, "--yes", "--force", cwd=tmp_path)
    assert code == 1
    assert "app/00000: changed:" in stdout
    assert "app/00001: changed:" in stdout
    assert "secrets of this ledger: 6 = 4 deleted + 2 changed" in stdout
    assert held(tmp_path) == {"app/00000": False, "app/00001": False}
    assert sorted(outcomes("m.ledger.db", tmp_path).values()) == ["created"] * 2 + ["pending"] * 4
    assert run("ledger", "audit", "m.ledger.db", cwd=tmp_path)[0] == 0
    code, stdout, _ = run("apply", manifest, *where, cwd=tmp_path)
    assert (code, "created: 6" in stdout) == (0, True)
    assert len(held(tmp_path)) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_rollback_goes_on_where_it_was_ended(number: signal.Signals, tmp_path: Path, endpoint: str) -> None:
    """After Ctrl-C or kill -9 the next call finishes: all is deleted, each is accounted for."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    where = ["--endpoint", endpoint]
    assert run("apply", manifest, *where, "--qps", 0, cwd=tmp_path)[0] == 0
    call = ["rollback", "m.ledger.db", *where, "--yes"]
    process = start(*call, "--qps", "20", "--log-level", "debug", cwd=tmp_path, env=ROOT)
    for _ in range(15):
        read_until(process, "secret.deleted")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    deleted = sum(held(tmp_path).values())
    assert deleted < 60
    if number is signal.SIGINT:
        assert (process.returncode, "to resume: bulkseed rollback" in stderr) == (130, True)
        assert f"60 = {deleted} deleted + {60 - deleted} pending" in stdout
    assert run("ledger", "audit", "m.ledger.db", cwd=tmp_path)[0] == 0
    code, stdout, _ = run(*call, "--qps", 0, "--output", "json", cwd=tmp_path)
    assert code == 0
    assert sum(held(tmp_path).values()) == 60
    results = json.loads(stdout)["results"]
    assert results["deleted"] >= 60 - deleted
    assert results["gone"] == 0, "what we deleted is not called gone"
    assert run("ledger", "audit", "m.ledger.db", cwd=tmp_path)[0] == 0


def test_a_rollback_shows_how_far_it_is_and_logs_each_end(tmp_path: Path, endpoint: str) -> None:
    """It takes as long as the run did: lines with a rate of deletions, and events for machines."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    where = ["--endpoint", endpoint]
    assert run("apply", manifest, *where, "--qps", 0, cwd=tmp_path)[0] == 0
    others = write_manifest(tmp_path / "o.jsonl", [{**simple(1)[0], "VersionId": "v2", "SecretData": "x"}])
    assert run("apply", others, *where, "--on-exists", "update", cwd=tmp_path)[0] == 0
    call = ["rollback", "m.ledger.db", *where, "--yes", "--qps", 9]
    code, _, stderr = run(*call, "--log-level", "debug", "--log-format", "json", cwd=tmp_path)
    told = [entry for entry in map(json.loads, stderr.splitlines()) if entry["logger"] == "bulkseed.run"]
    assert (code, told[0]["event"], told[-1]["event"]) == (1, "run.started", "run.ended")
    assert (told[-1]["deleted"], told[-1]["changed"]) == (59, 1)
    events = Counter(entry["event"] for entry in told)
    assert (events["secret.deleted"], events["secret.left"]) == (59, 1)
    progress = next(entry for entry in told if entry["event"] == "run.progress")
    assert (progress["total"], progress["changed"]) == (60, 1)
    assert 40 <= progress["done"] <= 60
    assert progress["rate"] < 15, "of secrets: each takes several requests"
    code, _, stderr = run(*call, "--progress", "none", cwd=tmp_path)
    assert (code, stderr) == (1, "")


def test_walls_and_mistakes(tmp_path: Path, endpoint: str) -> None:
    """No ledger, another target, wrong credentials, no permission: a clear end, nothing deleted."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(4))
    where = ["--endpoint", endpoint, "--qps", 0]
    assert run("apply", manifest, *where, cwd=tmp_path)[0] == 0
    assert run("rollback", "missing.db", *where, "--yes", cwd=tmp_path)[0] == 4
    assert run("rollback", "missing.db", cwd=tmp_path)[0] == 4
    assert not (tmp_path / "missing.db").exists()
    assert run("rollback", "m.ledger.db", "--endpoint", "embedded", "--yes", cwd=tmp_path)[0] == 4
    assert run("rollback", "m.ledger.db", *where, "--yes", "--recovery-days", 6, cwd=tmp_path)[0] == 2
    wrong = {**ROOT, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}
    done = bulkseed("rollback", "m.ledger.db", *where, "--yes", cwd=tmp_path, env=wrong)
    assert (done.returncode, "SignatureDoesNotMatch" in done.stderr) == (3, True)
    assert not any(held(tmp_path).values())
    assert set(outcomes("m.ledger.db", tmp_path).values()) == {"created"}
    assert run("ledger", "audit", "m.ledger.db", cwd=tmp_path)[0] == 0


def test_values_are_put_back_when_asked(tmp_path: Path, endpoint: str) -> None:
    """An updated secret of ours gets its version before; the preview names it, nothing is deleted (G1)."""
    where = ["--endpoint", endpoint, "--qps", 0]
    first, *others = simple(3)
    manifest = write_manifest(tmp_path / "m.jsonl", [first, *others])
    assert run("apply", manifest, *where, cwd=tmp_path)[0] == 0
    write_manifest(manifest, [{**first, "VersionId": "v2", "SecretData": "wrong"}, *others])
    assert run("apply", manifest, *where, cwd=tmp_path)[0] == 0
    call = ["rollback", "m.ledger.db", *where, "--restore-values"]
    assert run(*call, "--force", cwd=tmp_path)[0] == 2
    code, stdout, _ = run(*call, cwd=tmp_path)
    assert (code, "1 to put back" in stdout, "app/00000: v2 -> v1" in stdout) == (0, True, True)
    assert "left alone: 2" in stdout
    code, stdout, _ = run(*call, "--yes", "--output", "json", cwd=tmp_path)
    results = {"deleted": 0, "gone": 0, "restored": 1, "changed": 0, "failed": 0, "pending": 0}
    assert (code, json.loads(stdout)["results"]) == (0, results)
    verified = run("verify", manifest, *where, cwd=tmp_path)[1]
    assert "differs: 1             has another value, or another version is in force\n" in verified
    status = run("ledger", "status", "m.ledger.db", cwd=tmp_path)[1]
    assert "put back: 1            had been updated; the version before is in force again" in status
    assert run("report", "m.ledger.db", "-o", "page.html", cwd=tmp_path)[0] == 0
    assert "= 2 created + 1 put back" in (tmp_path / "page.html").read_text()
    assert "1 put back" in run("rollback", *call[1:], "--yes", cwd=tmp_path)[1]
    plan = run("plan", manifest, *where[:2], cwd=tmp_path)[1]
    assert "0 to create, 1 changed" in plan
    assert "1 of them name a VersionId that the secret had before" in plan
    write_manifest(manifest, [first, *others])
    assert "identical: 3" in run("verify", manifest, *where, cwd=tmp_path)[1]
    assert "attempts: 0" in run("apply", manifest, *where, cwd=tmp_path)[1]
    assert list(held(tmp_path).values()) == [False] * 3
    assert run("ledger", "audit", "m.ledger.db", cwd=tmp_path)[0] == 0
    write_manifest(manifest, [{**first, "VersionId": "v2", "SecretData": "wrong"}, *others])
    code, stdout, _ = run("apply", manifest, *where, cwd=tmp_path)
    assert (code, "conflict: 1 " in stdout, "choose another VersionId" in stdout) == (1, True, True)
    write_manifest(manifest, [first, *others])
    assert run("apply", manifest, *where, cwd=tmp_path)[0] == 0
    assert "0 to put back" in run(*call, cwd=tmp_path)[1], "what was wrong does not come back into force"
    assert "identical: 3" in run("verify", manifest, *where, cwd=tmp_path)[1]


def test_what_was_updated_and_taken_back_is_ours_still(tmp_path: Path, endpoint: str) -> None:
    """With each version that it had: the names of a ledger can be freed after all."""
    where = ["--endpoint", endpoint, "--qps", 0]
    manifest = write_manifest(tmp_path / "m.jsonl", simple(2))
    assert run("apply", manifest, *where, cwd=tmp_path)[0] == 0
    write_manifest(manifest, [{**line, "VersionId": "v2", "SecretData": "fake-new"} for line in simple(2)])
    assert run("apply", manifest, *where, cwd=tmp_path)[0] == 0
    back = ["rollback", "m.ledger.db", *where, "--yes"]
    assert "deleted: 2" in run(*back, cwd=tmp_path)[1]
    assert "2 adopted" in run("apply", manifest, *where, "--on-delete-window", "restore", cwd=tmp_path)[1]
    code, stdout, _ = run(*back, "--force", cwd=tmp_path)
    assert (code, "secrets of this ledger: 2 = 2 deleted" in stdout) == (0, True)
    assert "delete window" not in run("ledger", "status", "m.ledger.db", cwd=tmp_path)[1], "none is in one"
    assert "2 created" in run("apply", manifest, *where, cwd=tmp_path)[1]
    assert run("ledger", "audit", "m.ledger.db", cwd=tmp_path)[0] == 0
