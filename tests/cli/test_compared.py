"""Secrets that were there before, through the command: compared when asked, and said when they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

HERE = ("--endpoint", "embedded", "--qps", 0)


def test_what_was_left_is_compared_by_a_later_run_that_asks(tmp_path: Path) -> None:
    """Existing and not compared by the first run, a conflict for the second, refused by the third (A6)."""
    write_manifest(tmp_path / "m.jsonl", simple(2))
    write_manifest(tmp_path / "theirs.jsonl", [{**d, "SecretData": "fake-other"} for d in simple(2)])
    assert bulkseed("apply", "theirs.jsonl", *HERE, cwd=tmp_path).returncode == 0
    for more, code, told in (
        ((), 0, "existing: 2"),
        (("--on-exists", "verify"), 1, "conflict: 2"),
        (("--on-exists", "fail"), 1, "rejected: 2"),
        (("--on-exists", "update"), 1, "conflict: 2"),
    ):
        done = bulkseed("apply", "m.jsonl", *HERE, *more, cwd=tmp_path)
        assert (done.returncode, told in done.stdout) == (code, True), done.stdout


def test_comparing_without_the_permission_is_not_settled(tmp_path: Path) -> None:
    """Exit code 1, and the permission that is missing on the screen; a verify names its own (A7, F3)."""
    user = {"name": "ci", "access_key_id": "ci-id", "access_key_secret": SECRET.reveal()}
    allow = [{"action": ["kms:CreateSecret", "kms:GenerateDataKey"], "resource": ["*"]}]
    (tmp_path / "users.json").write_text(json.dumps({"users": [user | {"allow": allow}]}))
    root, ci = (
        environment(ALIBABA_CLOUD_ACCESS_KEY_ID=key, ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
        for key in ("embedded", "ci-id")
    )
    write_manifest(tmp_path / "m.jsonl", simple(2))
    flags = (*UNLIMITED_FLAGS, f"--policies={tmp_path / 'users.json'}")
    with served(tmp_path / "kms", *flags) as (target, _):
        where = ("m.jsonl", "--endpoint", target.endpoint)
        assert bulkseed("apply", *where, "--ledger", "root.db", cwd=tmp_path, env=root).returncode == 0
        for on_exists in ("verify", "update"):
            done = bulkseed("apply", *where, "--on-exists", on_exists, cwd=tmp_path, env=ci)
            assert (done.returncode, "rejected: 2" in done.stdout) == (1, True)
            assert "to compare kms:GetSecretValue" in done.stdout
        done = bulkseed("verify", *where, cwd=tmp_path, env=ci)
        assert (done.returncode, "unreadable: 2" in done.stdout) == (1, True)
        assert "grant kms:GetSecretValue" in done.stdout
        assert "kms:CreateSecret" not in done.stdout


def test_what_may_be_ours_is_told_as_that(tmp_path: Path) -> None:
    """Where nothing proves whose it is no command says "there before", or that a run finds out (A4)."""
    user = {"name": "ci", "access_key_id": "ci-id", "access_key_secret": SECRET.reveal()}
    allow = [{"action": ["kms:CreateSecret", "kms:GenerateDataKey"], "resource": ["*"]}]
    (tmp_path / "users.json").write_text(json.dumps({"users": [user | {"allow": allow}]}))
    (tmp_path / "lost.json").write_text(
        json.dumps({"rules": [{"action": "CreateSecret", "requests": [1], "fault": "drop-after"}]})
    )
    env = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="ci-id", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
    write_manifest(tmp_path / "m.jsonl", simple(1))
    flags = (*UNLIMITED_FLAGS, f"--policies={tmp_path / 'users.json'}", f"--faults={tmp_path / 'lost.json'}")
    with served(tmp_path / "kms", *flags) as (target, _):
        told = bulkseed("apply", "m.jsonl", "--endpoint", target.endpoint, cwd=tmp_path, env=env).stdout
        for call in (("ledger", "status"), ("rollback",)):
            told += bulkseed(*call, "m.ledger.db", cwd=tmp_path, env=env).stdout
    assert told.count("perhaps ours: 1 that exist") == 3, told
    for untrue in ("there before", "finds out", "run apply again"):
        assert untrue not in told, told


@pytest.mark.parametrize("host", ["kms.cn-hangzhou.aliyuncs.com", "KMS.cn-hangzhou.aliyuncs.com."])
def test_no_value_goes_to_a_public_host_in_plaintext(tmp_path: Path, host: str) -> None:
    """However the host is written: a usage error, and no ledger (H17)."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    done = bulkseed("apply", "m.jsonl", "--endpoint", f"http://{host}", "--yes", cwd=tmp_path)
    assert (done.returncode, "would carry values in plaintext" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "m.ledger.db").exists()
