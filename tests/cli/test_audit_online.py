"""``bulkseed ledger audit --online``: every settled row is looked for at the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.stub_kms import StubKms

from bulkseed.engine.ask import open_questioner
from bulkseed.errors import LedgerDamagedError
from bulkseed.jobs.existence_audit import find_absent
from bulkseed.ledger import open_ledger
from bulkseed.model import Outcome, Row
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service

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
    for i in range(4):
        assert f"{both}:{i + 1}: a/{i:05d}: not there\n" in done.stdout
        assert f"{both}:{i + 5}: b/{i:05d}: in its delete window\n" in done.stdout
    detail = "of 12, 4 in its delete window, 4 not there"
    assert f"BROKEN  every settled row exists at the service: {detail}" in done.stdout
    told = bulkseed(*audit, "--output", "json", cwd=tmp_path, env=KEYS)
    document = json.loads(told.stdout)
    assert (told.returncode, document["holds"], document["checks"][-1]["detail"]) == (1, False, detail)
    place = {"manifest": str(both), "line": 6}
    assert {"secret_name": "b/00001", **place, "reason": "in its delete window"} in document["absent"]
    assert len(document["absent"]) == 8
    for text in (done.stdout, done.stderr, told.stdout, told.stderr):
        assert "fake-value" not in text
        assert SECRET.reveal() not in text


def test_a_ledger_can_be_audited_while_a_run_has_it(tmp_path: Path) -> None:
    """Whoever audits is a reader: it takes no lock and writes nothing."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
        call = ["apply", manifest, "--endpoint", target.endpoint, "--qps", 0]
        assert bulkseed(*call, cwd=tmp_path, env=KEYS).returncode == 0
        with open_ledger(tmp_path / "m.ledger.db", target):
            audit = ["ledger", "audit", "m.ledger.db", "--online", "--endpoint", target.endpoint]
            done = bulkseed(*audit, cwd=tmp_path, env=KEYS)
    assert (done.returncode, done.stderr) == (0, "")


def test_failures_on_the_way_are_no_findings(tmp_path: Path) -> None:
    """A question that was not answered, or not well, is asked again."""
    faults = tmp_path / "faults.json"
    kinds = ["500-before", "429", "drop-after", "drop-before"]
    rules = [
        {"action": "DescribeSecret", "requests": [1 + 3 * i], "fault": kind} for i, kind in enumerate(kinds)
    ]
    faults.write_text(json.dumps({"seed": 1, "rules": rules}))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--faults={faults}") as (target, _):
        manifest = write_manifest(tmp_path / "m.jsonl", simple(100))
        where = ["--endpoint", target.endpoint]
        assert bulkseed("apply", manifest, *where, "--qps", 0, cwd=tmp_path, env=KEYS).returncode == 0
        done = bulkseed("ledger", "audit", "m.ledger.db", "--online", *where, cwd=tmp_path, env=KEYS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds   every settled row exists at the service: 100 do" in done.stdout


def test_an_audit_keeps_to_the_quota_of_reads(tmp_path: Path) -> None:
    """450 in a second; every row is asked for once."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(600))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        where = ["--endpoint", stub.endpoint]
        assert bulkseed("apply", manifest, *where, "--qps", 0, cwd=tmp_path).returncode == 0
        stub.arrivals.clear()
        done = bulkseed("ledger", "audit", "m.ledger.db", "--online", *where, cwd=tmp_path)
        assert (done.returncode, "of 600 at the service so far" in done.stderr) == (0, True)
    times = stub.arrivals
    assert len(times) == 600
    # The sender keeps to it exactly, as the pacer's tests see; a busy server notes arrivals late.
    assert all(later - sooner > 0.9 for sooner, later in zip(times, times[450:], strict=False))
    assert times[-1] - times[0] < 10  # in the lane of management it takes 15 s
    assert stub.problems == []


async def test_a_ledger_that_cannot_be_read_on_is_one_clear_error() -> None:
    """What a worker meets comes out as it is."""

    def rows() -> Iterator[Row]:
        yield Row("app/1", "v1", Outcome.CREATED)
        raise LedgerDamagedError("the ledger is damaged")

    async with local_service(ServiceOptions()) as target, open_questioner(target) as service:
        with pytest.raises(LedgerDamagedError):
            await find_absent(service, rows(), lambda _row, _why, _known: None)


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


def test_what_may_not_be_looked_at_is_not_called_broken(tmp_path: Path) -> None:
    """The ledger adds up; that nothing is known of the service is said, with the permission, and exits 3.

    (F3)
    """
    allow = [{"action": ["kms:CreateSecret"], "resource": ["*"]}]
    keys = {"access_key_id": "user", "access_key_secret": "fake-user-secret"}
    (tmp_path / "users.json").write_text(json.dumps({"users": [{"name": "user", **keys, "allow": allow}]}))
    user = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="user", ALIBABA_CLOUD_ACCESS_KEY_SECRET="fake-user-secret")
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--policies={tmp_path / 'users.json'}") as (target, _):
        where = ["--endpoint", target.endpoint]
        assert bulkseed("apply", manifest, *where, "--qps", 0, cwd=tmp_path, env=user).returncode == 0
        done = bulkseed("ledger", "audit", "m.ledger.db", "--online", *where, cwd=tmp_path, env=user)
        verified = bulkseed("verify", manifest, *where, cwd=tmp_path, env=user)
    assert done.returncode == 3, done.stdout
    assert (
        "not known of 3 settled rows: cannot be read (Forbidden.NoPermission): grant kms:DescribeSecret"
        in done.stdout
    )
    assert "BROKEN" not in done.stdout
    assert "everything adds up" in done.stdout
    assert verified.returncode == 1
    assert "grant kms:GetSecretValue" in verified.stdout
    assert "CreateSecret" not in verified.stdout + verified.stderr
