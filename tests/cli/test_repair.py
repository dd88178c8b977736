"""Repair: what failed is written down, corrected, and just that is tried again."""

from __future__ import annotations

import json
from pathlib import Path

from support.command import KEY_ID, KEY_SECRET, bulkseed, simple, write_manifest
from support.stub_kms import StubKms


def test_rejects_are_corrected_and_replayed(tmp_path: Path) -> None:
    """Only the lines that failed are taken up again, and the ledger then has no invalid line left.

    (A14, G7)
    """
    good = simple(6)
    broken = {"SecretName": "app/broken", "SecretData": "fake", "SecretDataType": "hex"}
    manifest = write_manifest(tmp_path / "m.jsonl", [*good[:3], broken, "nonsense-canary", *good[3:]])
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint, "--qps", 0]
        assert bulkseed(*call, cwd=tmp_path).returncode == 1
        rejects = bulkseed("ledger", "rejects", "m.ledger.db", cwd=tmp_path).stdout
        assert [(r["secret_name"], r["line"]) for r in map(json.loads, rejects.splitlines())] == [
            ("app/broken", 4),
            (None, 5),
        ]
        assert "canary" not in rejects
        (tmp_path / "rejects.jsonl").write_text(rejects)
        mended = [{**broken, "SecretDataType": "text"}, {"SecretName": "app/new", "SecretData": "fake"}]
        write_manifest(manifest, [*good[:3], *mended, *good[3:]])
        done = bulkseed(*call, "--only", "rejects.jsonl", "--output", "json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert (summary["definitions"], summary["outcomes"]["created"], summary["attempts"]) == (2, 2, 2)
        assert len(stub.secrets) == len(stub.arrivals) == 8
    status = json.loads(bulkseed("ledger", "status", "m.ledger.db", "--output", "json", cwd=tmp_path).stdout)
    assert (status["definitions"], status["outcomes"]["created"]) == (8, 8)
    assert bulkseed("ledger", "audit", "m.ledger.db", cwd=tmp_path).returncode == 0
    assert bulkseed("ledger", "rejects", "m.ledger.db", cwd=tmp_path).stdout == ""


def test_lines_that_moved_lose_nothing(tmp_path: Path) -> None:
    """A line is put in, a double is taken out: each corrected line is sent, and no invalid row is left."""
    table = tmp_path / "t.csv"
    manifest = write_manifest(tmp_path / "o.jsonl", [{"SecretName": "p/{app}", "SecretData": "fake-{app}"}])
    where = ["--each", table, "--endpoint", "embedded", "--qps", 0]
    table.write_text("app\na\n!\na\nc\n!!\n")
    assert bulkseed("apply", manifest, *where, cwd=tmp_path).returncode == 1
    rejects = bulkseed("ledger", "rejects", "o.ledger.db", cwd=tmp_path).stdout
    (tmp_path / "rejects.jsonl").write_text(rejects)
    table.write_text("app\nfirst\na\nb\nc\n?\nd\n")
    only = ["--only", "rejects.jsonl"]
    planned = bulkseed("plan", manifest, "--each", table, *only, cwd=tmp_path).stdout
    assert "definitions: 4 = 3 to create + 0 settled + 1 invalid" in planned
    done = bulkseed("apply", manifest, *where, *only, cwd=tmp_path)
    assert (done.returncode, "definitions: 4 = 3 created + 1 invalid" in done.stdout) == (1, True)
    status = bulkseed("ledger", "status", "o.ledger.db", cwd=tmp_path).stdout
    assert "definitions: 6 = 5 created + 1 invalid" in status
    assert bulkseed("ledger", "audit", "o.ledger.db", cwd=tmp_path).returncode == 0
    assert "identical: 5" in bulkseed("verify", manifest, *where, cwd=tmp_path).stdout


def test_a_file_that_is_no_rejects_is_refused(tmp_path: Path) -> None:
    """The wrong file is named with the line, and nothing is sent."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(1))
    (tmp_path / "rejects.jsonl").write_text("canary\n")
    done = bulkseed("apply", manifest, "--endpoint", "embedded", "--only", "rejects.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "rejects.jsonl:1" in done.stderr
    assert "canary" not in done.stderr


def test_audit_finds_a_forged_row(tmp_path: Path) -> None:
    """The proof fails when somebody edits the ledger."""
    import sqlite3

    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    assert bulkseed("apply", manifest, "--endpoint", "embedded", "--qps", 0, cwd=tmp_path).returncode == 0
    whole = bulkseed("ledger", "audit", "m.ledger.db", cwd=tmp_path)
    assert whole.returncode == 0
    assert "1 run read 3 entries" in whole.stdout
    forged = sqlite3.connect(tmp_path / "m.ledger.db")
    with forged:
        forged.execute("UPDATE claims SET attempts = 9 WHERE id = 1")
    forged.close()
    done = bulkseed("ledger", "audit", "m.ledger.db", cwd=tmp_path)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
