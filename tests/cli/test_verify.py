"""``bulkseed verify`` against the local KMS and an independent server, as users run it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.stub_kms import StubKms

from bulkseed.client.operations import question
from bulkseed.engine.ask import open_questioner
from bulkseed.model import Target
from bulkseed.wire.actions import rotate_secret

QUICKSTART = Path(__file__).parents[2] / "manifests" / "quickstart.jsonl"
CANARY = "canary-hunter2"
ENCODED = "Y2FuYXJ5LWh1bnRlcjI="
KEYS = [
    "run_id", "ledger", "endpoint", "region", "definitions", "results", "settled_before", "attempts",
    "throttled", "retried", "elapsed_s", "rate", "latency_ms", "stopped_by", "exit_code", "problems",
]  # fmt: skip
PROBLEM_KEYS = ["secret_name", "version_id", "result", "code", "message", "manifest", "line"]


def test_the_quickstart_reads_back_identical(tmp_path: Path) -> None:
    """Every kind of definition, generated ones, binary ones and managed ones, is what the manifest says."""
    assert bulkseed("apply", QUICKSTART, "--endpoint", "embedded", "--qps", 0, cwd=tmp_path).returncode == 0
    done = bulkseed("verify", QUICKSTART, "--endpoint", "embedded", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "definitions: 300 = 300 identical" in done.stdout
    assert bulkseed("ledger", "audit", "quickstart.verify.db", cwd=tmp_path).returncode == 0


@pytest.fixture
def provisioned(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], list[str]]]:
    """Serve five secrets, of which a RAM user may read all but one."""
    definitions = [{"SecretName": f"app/{i}", "SecretData": f"{CANARY}-{i}"} for i in range(5)]
    definitions[4]["SecretData"] = ENCODED
    policies = tmp_path / "policies.json"
    allowed = [f"acs:kms:cn-hangzhou:1000000000000001:secret/app/{i}" for i in (0, 1, 2, 4, 5)]
    user = {
        "name": "reader",
        "access_key_id": "reader-id",
        "access_key_secret": "reader-secret",
        "allow": [{"action": "kms:GetSecretValue", "resource": allowed}],
    }
    policies.write_text(json.dumps({"users": [user]}))
    manifest = write_manifest(tmp_path / "m.jsonl", definitions)
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--policies={policies}") as (target, _):
        root = environment(
            ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal()
        )
        where = ["--endpoint", target.endpoint]
        assert bulkseed("apply", manifest, *where, cwd=tmp_path, env=root).returncode == 0
        reader = environment(
            ALIBABA_CLOUD_ACCESS_KEY_ID="reader-id", ALIBABA_CLOUD_ACCESS_KEY_SECRET="reader-secret"
        )
        yield manifest, reader, where


def test_each_result_is_told_by_name_and_line_and_no_value_shows(
    provisioned: tuple[Path, dict[str, str], list[str]], tmp_path: Path
) -> None:
    """Identical, differs, behind, missing, unreadable, invalid: counted and named."""
    manifest, reader, where = provisioned
    lines: list[Any] = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines[1]["SecretData"] = f"{CANARY}-changed"
    lines[2]["VersionId"] = "v9"
    lines[4]["SecretDataType"] = "binary"
    lines += [{"SecretName": "app/5", "SecretData": f"{CANARY}-5"}, f"not json {CANARY}"]
    write_manifest(manifest, lines)
    done = bulkseed("verify", manifest, *where, cwd=tmp_path, env=reader)
    assert done.returncode == 1
    for line in (
        f"{manifest}:2: app/1: differs:",
        f"{manifest}:3: app/2: behind:",
        f"{manifest}:4: app/3: unreadable:",
        f"{manifest}:5: app/4: differs:",
        f"{manifest}:6: app/5: missing:",
        f"{manifest}:7: -: invalid:",
        "definitions: 7 = 1 identical + 2 differs + 1 behind + 1 missing + 1 unreadable + 1 invalid",
    ):
        assert line in done.stdout
    told = bulkseed("verify", manifest, *where, "--output", "json", cwd=tmp_path, env=reader)
    summary = json.loads(told.stdout)
    assert (list(summary), told.stdout.count("\n")) == (KEYS, 1)
    assert [list(problem) for problem in summary["problems"]] == [PROBLEM_KEYS] * 6
    assert summary["results"] == {
        "identical": 1, "present": 0, "differs": 2, "behind": 1, "missing": 1, "unreadable": 1, "invalid": 1,
        "pending": 0,
    }  # fmt: skip
    assert (summary["definitions"], summary["exit_code"]) == (7, 1)
    rejects = bulkseed("ledger", "rejects", "m.verify.db", cwd=tmp_path).stdout
    hints = {r["line"]: r["hint"] for r in map(json.loads, rejects.splitlines())}
    assert hints[6].startswith("apply it, with the same ledger: --recreate")
    assert hints[3].startswith("apply it, then verify again;")
    assert "--on-exists update" in hints[2]
    kept = (tmp_path / "m.verify.db").read_bytes()
    for text in (done.stdout, done.stderr, told.stdout, told.stderr, kept.decode("latin-1")):
        assert CANARY not in text
        assert ENCODED not in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_verify_goes_on_where_it_was_ended(number: signal.Signals, tmp_path: Path) -> None:
    """After Ctrl-C or kill -9 --resume reads the rest; without it all is read again; never too fast."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        where = ["--endpoint", stub.endpoint]
        assert bulkseed("apply", manifest, *where, "--qps", 0, cwd=tmp_path).returncode == 0
        stub.arrivals.clear()
        run = start("verify", manifest, *where, "--qps", "20", cwd=tmp_path)
        while len(stub.arrivals) < 30:
            assert run.poll() is None
        run.send_signal(number)
        stdout, stderr = run.communicate(timeout=120)
        read = list(stub.arrivals)
        if number is signal.SIGINT:
            assert (run.returncode, "--resume" in stderr) == (130, True)
            assert f"{len(read)} identical" in stdout
        assert len(read) < 60
        assert read[-1] - read[0] > 0.9 * (len(read) - 20) / 20
        stub.arrivals.clear()
        done = bulkseed("verify", manifest, *where, "--resume", cwd=tmp_path)
        assert (done.returncode, "definitions: 60 = 60 identical" in done.stdout) == (0, True)
        assert 60 - len(read) <= len(stub.arrivals) < 60
        stub.arrivals.clear()
        assert bulkseed("verify", manifest, *where, cwd=tmp_path).returncode == 0
        assert len(stub.arrivals) == 60
    assert stub.problems == []


def test_a_verify_logs_what_it_finds(tmp_path: Path) -> None:
    """The same events as an apply has, with the result in a verify's words."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["verify", manifest, "--endpoint", stub.endpoint, "--log-format", "json"]
        done = bulkseed(*call, "--log-level", "debug", cwd=tmp_path)
    told = [event for event in map(json.loads, done.stderr.splitlines()) if event["logger"] == "bulkseed.run"]
    assert sorted(event["event"] for event in told[1:-1]) == ["attempt"] * 6 + ["definition.failed"] * 3
    assert {event["result"] for event in told if event["event"] == "definition.failed"} == {"missing"}
    assert (told[0]["event"], told[-1]["event"], told[-1]["missing"]) == ("run.started", "run.ended", 3)


def test_a_resumed_verify_reads_again_what_was_not_identical(tmp_path: Path) -> None:
    """What has been repaired meanwhile is found."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        where = ["--endpoint", stub.endpoint]
        assert bulkseed("verify", manifest, *where, cwd=tmp_path).returncode == 1
        assert bulkseed("apply", manifest, *where, cwd=tmp_path).returncode == 0
        assert bulkseed("verify", manifest, *where, "--resume", cwd=tmp_path).returncode == 0


def test_many_missing_ones_are_a_result_and_no_reason_to_stop(tmp_path: Path) -> None:
    """A hundred names that are not there are a hundred answers; refused credentials are a wall."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(100))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed("verify", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
        assert done.returncode == 1
        assert "100 = 100 missing" in done.stdout
    with StubKms(KEY_ID, "another-secret") as stub:
        done = bulkseed("verify", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
        assert done.returncode == 4  # another target
        done = bulkseed("verify", manifest, "--endpoint", stub.endpoint, "--ledger", "o.db", cwd=tmp_path)
        assert (done.returncode, "SignatureDoesNotMatch" in done.stderr) == (3, True)


def test_the_ledger_of_an_apply_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """What was read back is never mixed with what was created."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    call = [manifest, "--endpoint", "embedded"]
    assert bulkseed("apply", *call, cwd=tmp_path).returncode == 0
    before = bulkseed("ledger", "rows", "m.ledger.db", cwd=tmp_path).stdout
    for more in ([], ["--resume"]):
        done = bulkseed("verify", *call, "--ledger", "m.ledger.db", *more, cwd=tmp_path)
        assert done.returncode == 4
        assert "--ledger" in done.stderr
    assert bulkseed("ledger", "rows", "m.ledger.db", cwd=tmp_path).stdout == before


@pytest.mark.parametrize("command", [["apply"], ["apply", "--dry-run"], ["plan"]], ids=" ".join)
def test_the_ledger_of_a_verify_is_refused_by_apply(command: list[str], tmp_path: Path) -> None:
    """What a verify found identical was not created, and counts for nothing."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    call = [manifest, "--endpoint", "embedded"]
    assert bulkseed("apply", *call, cwd=tmp_path).returncode == 0
    assert bulkseed("verify", *call, "--ledger", "v.db", cwd=tmp_path).returncode == 0
    before = bulkseed("ledger", "rows", "v.db", cwd=tmp_path).stdout
    done = bulkseed(*command, *call, "--ledger", "v.db", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "records runs of verify: apply needs another --ledger, such as v.ledger.db" in done.stderr
    assert bulkseed("ledger", "rows", "v.db", cwd=tmp_path).stdout == before


def test_a_verify_without_credentials_leaves_the_one_before(tmp_path: Path) -> None:
    """It starts over only when it begins: what was found stays on record (H11)."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        where = ["--endpoint", stub.endpoint]
        assert bulkseed("apply", manifest, *where, cwd=tmp_path).returncode == 0
        assert bulkseed("verify", manifest, *where, cwd=tmp_path).returncode == 0
        before = bulkseed("ledger", "rows", "m.verify.db", cwd=tmp_path).stdout
        bare = {name: text for name, text in environment().items() if not name.startswith("ALIBABA")}
        bare |= {"HOME": str(tmp_path), "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
        done = bulkseed("verify", manifest, *where, cwd=tmp_path, env=bare)
        assert (done.returncode, "credentials" in done.stderr) == (3, True)
    assert before.count("identical") == 3
    assert bulkseed("ledger", "rows", "m.verify.db", cwd=tmp_path).stdout == before


def test_what_the_service_rotated_is_as_it_was_made(tmp_path: Path) -> None:
    """A managed secret is adopted by its account, is identical, and so it is with a newer password (A8)."""
    config = {"SecretSubType": "SingleUser", "DBInstanceId": "rm-1"}
    account = {"AccountName": "app", "AccountPassword": f"{CANARY}-password"}
    line = {
        "SecretName": "db",
        "SecretType": "Rds",
        "SecretData": {"Accounts": [account]},
        "ExtendedConfig": config,
    }
    manifest = write_manifest(tmp_path / "m.jsonl", [line])
    lost = {"rules": [{"action": "CreateSecret", "requests": [1], "fault": "drop-after"}]}
    (tmp_path / "faults.json").write_text(json.dumps(lost))
    env = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
    flags = [*UNLIMITED_FLAGS, f"--faults={tmp_path}/faults.json"]
    with served(tmp_path / "kms", *flags) as (target, _):
        where = ["--endpoint", target.endpoint]
        assert "adopted: 1" in bulkseed("apply", manifest, *where, cwd=tmp_path, env=env).stdout
        assert "identical: 1" in bulkseed("verify", manifest, *where, cwd=tmp_path, env=env).stdout
        asyncio.run(_rotate(target, "db"))
        verified = bulkseed("verify", manifest, *where, cwd=tmp_path, env=env)
        assert (verified.returncode, "identical: 1" in verified.stdout) == (0, True), verified.stdout
        rows = bulkseed("ledger", "rows", "m.verify.db", cwd=tmp_path).stdout
        assert "the service has rotated it since, to next" in rows
        compared = ["--on-exists", "verify", "--ledger", "other.db"]
        done = bulkseed("apply", manifest, *where, *compared, cwd=tmp_path, env=env)
        assert (done.returncode, "identical: 1" in done.stdout) == (0, True), done.stdout
        write_manifest(manifest, [line | {"SecretType": "Generic", "ExtendedConfig": None}])
        assert "differs: 1" in bulkseed("verify", manifest, *where, cwd=tmp_path, env=env).stdout


async def _rotate(target: Target, name: str) -> None:
    rotate = question(rotate_secret.GROUP, rotate_secret.Request, rotate_secret.Reply.read)
    async with open_questioner(target) as service:
        reply = await service.ask(rotate, rotate_secret.Request(name, "next"))
    assert isinstance(reply, rotate_secret.Reply)
