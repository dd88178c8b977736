"""What `--cluster` refuses before anything happens, each in one line; and `--cluster local`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import bulkseed, simple, write_manifest
from support.many_kms import accounts

TARGETS = '[[target]]\nname = "a"\nregion = "cn-hangzhou"\nendpoint = "http://127.0.0.1:9"\n'


@pytest.mark.parametrize(
    ("options", "exit_code", "told"),
    [
        (["--cluster", "local"], 2, "--cluster places targets: name them with --targets FILE"),
        (["--targets", "t.toml", "--cluster", "tls://127.0.0.1:9"], 2, "needs --tls-ca, --tls-cert and"),
        (
            ["--targets", "t.toml", "--cluster", "tcp://127.0.0.1:9", "--tls-ca", "t.toml"],
            2,
            "and others take none of them",
        ),
        (
            ["--targets", "t.toml", "--cluster", "tcp://127.0.0.1:9"],
            3,
            "no connection to the scheduler tcp://127.0.0.1:9: is it running",
        ),
        (["--targets", "t.toml", "--cluster", "local", "--only", "r.jsonl"], 2, "r.jsonl: No such file"),
        (["--targets", "t.toml", "--cluster", "local", "--identity", "t.toml"], 2, "BULKSEED_AGE_IDENTITY"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, options: list[str], exit_code: int, told: str) -> None:
    """No traceback, no ledger, and what to do."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    (tmp_path / "t.toml").write_text(TARGETS)
    done = bulkseed("apply", "m.jsonl", *options, cwd=tmp_path)
    assert (done.returncode, told in done.stderr) == (exit_code, True), done.stderr
    assert not list(tmp_path.glob("**/*.db"))


@pytest.mark.parametrize("command", [["verify", "m.jsonl"], ["rollback", "m.ledger.db", "--yes"]])
def test_one_target_has_no_cluster(tmp_path: Path, command: list[str]) -> None:
    """Verify and rollback refuse it, too."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    (tmp_path / "m.ledger.db").touch()
    done = bulkseed(*command, "--cluster", "local", cwd=tmp_path)
    assert (done.returncode, "or a run folder" in done.stderr) == (2, True), done.stderr


def test_local_workers_take_just_what_is_named(tmp_path: Path) -> None:
    """`--cluster local` with `--only`: names; workers cannot tell what an invalid line has become."""
    names = ["only/0/a", "only/1/b", "only/0/c", "only/0/bad name"]
    write_manifest(tmp_path / "m.jsonl", [{"SecretName": name, "SecretData": "fake"} for name in names])
    rejects = [
        {"target": "t0", "secret_name": "only/0/a"},
        {"target": "t1", "secret_name": "only/1/b"},
        {"target": "t0", "outcome": "invalid", "manifest": "m.jsonl", "line": 4},
    ]
    (tmp_path / "invalid.jsonl").write_text(json.dumps(rejects.pop()))
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(reject) + "\n" for reject in rejects))
    with accounts(2, create_qps=0) as services:
        (tmp_path / "t.toml").write_text(services.targets("only", 50))
        on_cluster = ["--cluster", "local", "--lease", 5, "--output", "json"]
        call = ["apply", "m.jsonl", "--targets", "t.toml", "--only", "r.jsonl", *on_cluster]
        done = bulkseed(*call, cwd=tmp_path)
        call[call.index("r.jsonl")] = "invalid.jsonl"
        refused = bulkseed(*call, cwd=tmp_path)
    assert (refused.returncode, "invalid.jsonl:1: an invalid line" in refused.stderr) == (2, True)
    (tmp_path / "invalid.jsonl").unlink()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {outcome: n for outcome, n in found["outcomes"].items() if n} == {"created": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "m.run", "r.jsonl", "t.toml"]
