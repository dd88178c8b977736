"""The report of an apply whose verify or rollback followed: what is proved, and how it is counted."""

from __future__ import annotations

import hashlib
from pathlib import Path

from support.command import bulkseed, simple, write_manifest


def test_an_auditor_sees_account_caller_manifest_and_verify(tmp_path: Path) -> None:
    """On one page; the digest is one that anybody can compute from the manifest's names (G31)."""
    definitions = simple(5)
    write_manifest(tmp_path / "m.jsonl", definitions)
    assert bulkseed("apply", "m.jsonl", "--endpoint", "embedded", "--qps", 0, cwd=tmp_path).returncode == 0
    assert bulkseed("report", "m.ledger.db", cwd=tmp_path).returncode == 0
    bare = (tmp_path / "m.report.html").read_text()
    assert "A verify found" not in bare
    assert bulkseed("verify", "m.jsonl", cwd=tmp_path).returncode == 0
    assert bulkseed("report", "m.ledger.db", cwd=tmp_path).returncode == 0
    page = (tmp_path / "m.report.html").read_text()
    names = "".join(f"{d['SecretName']}\n" for d in definitions)
    for told in (
        "A verify found all 5 definitions as the manifest says",
        "whose names are the same, in the same order",
        hashlib.sha256(names.encode()).hexdigest(),
        "<code>m.jsonl</code>: 5 names",
        "account 1000000000000001",
        ", as em…",
    ):
        assert told in page, told
    other = bulkseed("report", "m.ledger.db", "--verify", "m.ledger.db", cwd=tmp_path)
    assert other.returncode == 2
    assert "is no ledger of a verify of the same target" in other.stderr


def test_a_verify_after_a_repair_is_a_proof(tmp_path: Path) -> None:
    """A repaired line is last in the ledger and in its place in the verify, whatever both are called."""
    call, names = ("--endpoint", "embedded", "--qps", 0), [d["SecretName"] for d in simple(3)]
    for misspelt in (True, False):
        definitions = simple(3)
        if misspelt:
            definitions[1]["Name"] = definitions[1].pop("SecretName")
        write_manifest(tmp_path / "m.jsonl", definitions)
        bulkseed("apply", "m.jsonl", *call, "--ledger", "l.db", cwd=tmp_path)
    assert bulkseed("report", "l.db", "-o", "p.html", cwd=tmp_path).returncode == 0
    assert "Nothing was compared with the manifest" in (tmp_path / "p.html").read_text()
    assert bulkseed("verify", "m.jsonl", *call[:2], cwd=tmp_path).returncode == 0
    other = ("--endpoint", "embedded", "--data-dir", "other", "--ledger", "l.verify.db")
    assert bulkseed("verify", "m.jsonl", *other, cwd=tmp_path).returncode == 1
    assert bulkseed("report", "l.db", "-o", "p.html", cwd=tmp_path).returncode == 0
    page = (tmp_path / "p.html").read_text()
    for told in (
        "A verify found all 3 definitions as the manifest says",
        "<code>m.verify.db</code>, whose names are the same, in another order",
        hashlib.sha256("".join(f"{name}\n" for name in sorted(names)).encode()).hexdigest(),
    ):
        assert told in page, told
    (tmp_path / "m.verify.db").unlink()
    done = bulkseed("report", "l.db", "-o", "p.html", cwd=tmp_path)
    assert "note: not on the page: l.verify.db, a verify of another target" in done.stderr


def test_an_older_verify_is_no_proof(tmp_path: Path) -> None:
    """What was verified before the last entries of a ledger says nothing about them."""
    write_manifest(tmp_path / "m.jsonl", simple(3))
    call = ("--endpoint", "embedded", "--qps", 0)
    assert bulkseed("apply", "m.jsonl", *call, cwd=tmp_path).returncode == 0
    assert bulkseed("verify", "m.jsonl", cwd=tmp_path).returncode == 0
    write_manifest(tmp_path / "m.jsonl", simple(4))
    assert bulkseed("apply", "m.jsonl", *call, cwd=tmp_path).returncode == 0
    assert bulkseed("report", "m.ledger.db", cwd=tmp_path).returncode == 0
    page = (tmp_path / "m.report.html").read_text()
    assert "not of this ledger as it is now</strong>: it did not read 1 (" in page
    assert "A verify found all" not in page


def test_a_rollback_is_counted_as_what_it_is(tmp_path: Path) -> None:
    """Deletions are no creations, and a run that deleted says how many; who did not create has no ARN."""
    write_manifest(tmp_path / "m.jsonl", simple(3))
    for call in (
        ("apply", "m.jsonl", "--endpoint", "embedded", "--qps", 0),
        ("apply", "m.jsonl", "--endpoint", "embedded", "--qps", 0, "--ledger", "other.db"),
        ("rollback", "m.ledger.db", "--yes"),
        ("report", "m.ledger.db"),
        ("report", "other.db"),
    ):
        assert bulkseed(*call, cwd=tmp_path).returncode == 0
    page = (tmp_path / "m.report.html").read_text()
    assert "3 <small>rolled back</small>" in page
    assert "Create and delete attempts a second" in page
    page = (tmp_path / "other.report.html").read_text()
    assert "0 ARNs; 3 rows have none, as only creating tells it" in page
    assert "Create attempts a second" in page
