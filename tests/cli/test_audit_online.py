"""``bulkseed ledger audit --online``: every settled row is looked for at the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.stub_kms import StubKms

KEYS = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """Serve a local KMS in a process of its own."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        yield target.endpoint


def test_what_is_gone_is_named(tmp_path: Path, endpoint: str) -> None:
    """All there: it holds. Deleted, at once or with a window: the ledger does not add up any more."""
    for name in ("a", "b"):
        manifest = write_manifest(tmp_path / f"{name}.jsonl", simple(4, name))
        call = ["apply", manifest, "--endpoint", endpoint, "--qps", 0]
        assert bulkseed(*call, cwd=tmp_path, env=KEYS).returncode == 0
    both = write_manifest(tmp_path / "both.jsonl", [*simple(4, "a"), *simple(4, "b"), *simple(4, "c")])
    call = ["apply", both, "--endpoint", endpoint, "--qps", 0]
    assert bulkseed(*call, cwd=tmp_path, env=KEYS).returncode == 0
    audit = ["ledger", "audit", "both.ledger.db", "--online", "--endpoint", endpoint]
    done = bulkseed(*audit, cwd=tmp_path, env=KEYS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds   every settled row exists at the service: 12 do" in done.stdout
    for name, flag in (("a", "--force"), ("b", "--yes")):
        undo = ["rollback", f"{name}.ledger.db", "--endpoint", endpoint, "--qps", 0, "--yes", flag]
        assert bulkseed(*undo, cwd=tmp_path, env=KEYS).returncode == 0
    done = bulkseed(*audit, cwd=tmp_path, env=KEYS)
    assert done.returncode == 1
    assert f"a/00000 ({both}:1) is not there" in done.stdout
    assert f"b/00003 ({both}:8) is scheduled for deletion" in done.stdout
    assert "BROKEN  every settled row exists at the service: 8 of 12 do not" in done.stdout


def test_another_target_is_refused(tmp_path: Path, endpoint: str) -> None:
    """A ledger says nothing about another service."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(2))
    call = ["apply", manifest, "--endpoint", endpoint, "--qps", 0]
    assert bulkseed(*call, cwd=tmp_path, env=KEYS).returncode == 0
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        audit = ["ledger", "audit", "m.ledger.db", "--online", "--endpoint", stub.endpoint]
        assert bulkseed(*audit, cwd=tmp_path).returncode == 4
    assert stub.arrivals == []


def test_a_service_that_refuses_is_one_clear_error(tmp_path: Path, endpoint: str) -> None:
    """Wrong credentials end the audit with exit code 3."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(40))
    call = ["apply", manifest, "--endpoint", endpoint, "--qps", 0]
    assert bulkseed(*call, cwd=tmp_path, env=KEYS).returncode == 0
    env = {**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}
    audit = ["ledger", "audit", "m.ledger.db", "--online", "--endpoint", endpoint]
    done = bulkseed(*audit, cwd=tmp_path, env=env)
    assert done.returncode == 3
    assert done.stderr.count("SignatureDoesNotMatch") == 1
