"""What a newcomer wonders about: rows taken out or rolled back, names, rejects, no credentials."""

from __future__ import annotations

import hashlib
from pathlib import Path

from support.command import bulkseed, environment, simple, write_manifest

HERE = ("--endpoint", "embedded", "--qps", "0")
TABLE = "service,password\n" + "".join(f"s{i},fake-{i}\n" for i in range(3))
TEMPLATE = {"SecretName": "prod/{service}", "SecretData": "{password}"}
EACH = ("m.jsonl", "--each", "t.csv")


def test_a_row_taken_out_is_named_everywhere(tmp_path: Path) -> None:
    """Plan, apply, verify and the report tell what was applied and is in the manifest no more.

    The digest on the page is that of the names which `plan --names` prints, of a table, too.
    """
    write_manifest(tmp_path / "m.jsonl", [TEMPLATE])
    (tmp_path / "t.csv").write_text(TABLE)
    assert bulkseed("apply", *EACH, *HERE, cwd=tmp_path).returncode == 0
    names = bulkseed("plan", *EACH, "--names", cwd=tmp_path)
    assert (names.returncode, names.stdout) == (0, "prod/s0\nprod/s1\nprod/s2\n")
    (tmp_path / "t.csv").write_text(TABLE.replace("s1,fake-1\n", ""))
    told = "settled, and not in the manifest any more: 1 (prod/s1); nothing is deleted for that"
    assert told in bulkseed("plan", *EACH, cwd=tmp_path).stdout
    assert "not in the manifest any more: 1; nothing" in bulkseed("apply", *EACH, cwd=tmp_path).stderr
    verified = bulkseed("verify", *EACH, cwd=tmp_path)
    assert "not in the manifest any more, so not read: 1 (prod/s1)" in verified.stderr
    assert bulkseed("report", "m.ledger.db", cwd=tmp_path).returncode == 0
    page = (tmp_path / "m.report.html").read_text()
    assert "it did not read 1 (prod/s1), which this ledger has" in page
    assert hashlib.sha256(names.stdout.encode()).hexdigest() in page


def test_what_was_rolled_back_is_taken_back_by_the_last_hint(tmp_path: Path) -> None:
    """The command that is offered last does what most want after a rollback."""
    write_manifest(tmp_path / "m.jsonl", simple(2))
    assert bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path).returncode == 0
    assert bulkseed("rollback", "m.ledger.db", "--yes", "--qps", 0, cwd=tmp_path).returncode == 0
    refused = bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("to take back what is scheduled for deletion: bulkseed apply m.jsonl")
    assert last.endswith("--on-delete-window restore")
    done = bulkseed(*last.partition(": bulkseed ")[2].split(), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_lines_that_the_rejects_do_not_name_are_told(tmp_path: Path) -> None:
    """A corrected line has any name, so all that is new is taken: how many more, is said."""
    write_manifest(tmp_path / "m.jsonl", [*simple(1), {"SecretName": "a b", "SecretData": "fake"}])
    assert bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path).returncode == 1
    rejects = bulkseed("ledger", "rejects", "m.ledger.db", cwd=tmp_path).stdout
    (tmp_path / "rejects.jsonl").write_text(rejects)
    write_manifest(tmp_path / "m.jsonl", simple(4))
    told = "note: 2 more are new to the ledger than rejects.jsonl has invalid lines, and were taken, too"
    assert told in bulkseed("plan", "m.jsonl", "--only", "rejects.jsonl", cwd=tmp_path).stderr
    done = bulkseed("apply", "m.jsonl", "--only", "rejects.jsonl", cwd=tmp_path)
    assert "definitions: 3 = 3 created" in done.stdout
    assert told in done.stderr


def test_without_credentials_no_ledger_is_begun(tmp_path: Path) -> None:
    """Its target is said, and the next run may be of another one."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    nobody = environment(HOME=str(tmp_path), ALIBABA_CLOUD_ECS_METADATA_DISABLED="true")
    for name in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        nobody.pop(name, None)
    done = bulkseed("apply", "m.jsonl", "--endpoint", "https://127.0.0.1:1", cwd=tmp_path, env=nobody)
    assert done.returncode == 3
    assert "target: https://127.0.0.1:1" in done.stdout
    assert "Nothing was sent, and no ledger was begun" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]


def test_where_a_line_of_a_table_is_is_explained(tmp_path: Path) -> None:
    """The place has two files and two numbers: what they mean stands below the first of them."""
    write_manifest(tmp_path / "m.jsonl", [TEMPLATE])
    (tmp_path / "t.csv").write_text(TABLE.replace("s1", "s 1"))
    told = bulkseed("plan", *EACH, cwd=tmp_path).stdout
    assert "(m.jsonl:1@t.csv:3 means: line 1 of m.jsonl, filled with line 3 of t.csv)" in told


def test_a_restored_secret_of_somebody_else_is_told(tmp_path: Path) -> None:
    """What another ledger had rolled back is in force again, and the summary says so."""
    write_manifest(tmp_path / "alice.jsonl", simple(2))
    assert bulkseed("apply", "alice.jsonl", *HERE, cwd=tmp_path).returncode == 0
    assert bulkseed("rollback", "alice.ledger.db", "--yes", "--qps", 0, cwd=tmp_path).returncode == 0
    write_manifest(tmp_path / "bob.jsonl", simple(3))
    done = bulkseed("apply", "bob.jsonl", *HERE, "--on-delete-window", "restore", cwd=tmp_path)
    assert done.returncode == 0
    assert "restored: 2 not known to be ours, which had been scheduled for deletion" in done.stdout


def test_what_changes_and_what_is_invalid_is_named(tmp_path: Path) -> None:
    """Changes by name, apart from what is to be created; invalid lines by place; a template by its cure."""
    definitions = simple(2)
    write_manifest(tmp_path / "m.jsonl", definitions)
    assert bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path).returncode == 0
    changed = {**definitions[1], "VersionId": "v2"}
    write_manifest(tmp_path / "m.jsonl", [definitions[0], changed, TEMPLATE, definitions[0]])
    planned = bulkseed("plan", "m.jsonl", "--online", *HERE, cwd=tmp_path).stdout
    assert f"  changed: {changed['SecretName']}\n" in planned
    assert "at the service: 0 of the names to create exist already\n  and 1 of ours" in planned
    assert "is a template: --each TABLE.csv fills it" in planned
    assert "duplicate: first seen at m.jsonl:1" in planned
    done = bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    assert "at m.jsonl:3\n" in done.stdout
    assert "at m.jsonl:4\n" in done.stdout
