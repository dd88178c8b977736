"""``bulkseed apply`` against the embedded local KMS and an independent server, as users run it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.stub_kms import StubKms

QUICKSTART = Path(__file__).parents[2] / "manifests" / "quickstart.jsonl"
SUMMARY_KEYS = [
    "run_id", "ledger", "endpoint", "region", "definitions", "outcomes", "settled_before", "attempts",
    "throttled", "retried", "elapsed_s", "rate", "latency_ms", "stopped_by", "exit_code",
]  # fmt: skip
ROW_KEYS = [
    "secret_name", "version_id", "outcome", "code", "message", "status", "request_id", "arn", "attempts",
    "manifest", "line", "first_sent_at", "settled_at", "run_id",
]  # fmt: skip
TRICKY = [
    "plain",
    "spaces  and + * ~ % signs, a=b&c=d",
    "controls \x01\x02\x1b and NUL-free",
    "line one\r\nline two\r\n\ttabbed",
    "emoji 🔐 and Ünïcödé 密码",
    "x" * 30_720,
    '{"user":"fake","passwd":"****"}',
]


def test_the_quickstart_is_provisioned_and_a_second_run_sends_nothing(tmp_path: Path) -> None:
    """README block 1: every kind of definition is created; again, and nothing is sent."""
    call = ["apply", QUICKSTART, "--endpoint", "embedded", "--qps", 0]
    first = bulkseed(*call, cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert "created: 300" in first.stdout
    second = bulkseed(*call, cwd=tmp_path)
    assert second.returncode == 0
    assert "created: 300" in second.stdout
    assert "attempts: 0" in second.stdout


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_values_arrive_byte_for_byte_at_an_independent_server(tmp_path: Path, signature: str) -> None:
    """A server that shares no code with us finds every signature good, no nonce twice, all bytes as given."""
    definitions = [{"SecretName": f"tricky/{i}", "SecretData": value} for i, value in enumerate(TRICKY)]
    binary = base64.b64encode(bytes(range(256))).decode()
    definitions.append({"SecretName": "tricky/bin", "SecretData": binary, "SecretDataType": "binary"})
    manifest = write_manifest(tmp_path / "tricky.jsonl", definitions)
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed(
            "apply", manifest, "--endpoint", stub.endpoint, "--signature", signature, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    assert stub.problems == []
    assert stub.secrets == {d["SecretName"]: d["SecretData"].encode() for d in definitions}
    assert not [target for target in stub.targets if "SecretData=" in target], "a value was in a URL"


def test_temporary_credentials_are_used(tmp_path: Path) -> None:
    """A security token from the environment is sent and signed."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    with StubKms(KEY_ID, KEY_SECRET, "fake-token+/=") as stub:
        env = environment(ALIBABA_CLOUD_SECURITY_TOKEN="fake-token+/=")
        done = bulkseed("apply", manifest, "--endpoint", stub.endpoint, cwd=tmp_path, env=env)
    assert (done.returncode, stub.problems) == (0, [])


def test_json_output_is_exactly_the_summary(tmp_path: Path) -> None:
    """Machines get one object and nothing else on standard output."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(5))
    done = bulkseed("apply", manifest, "--endpoint", "embedded", "--qps", 0, "--output", "json", cwd=tmp_path)
    summary = json.loads(done.stdout)
    assert list(summary) == SUMMARY_KEYS
    assert done.stdout.count("\n") == 1
    assert summary["definitions"] == sum(summary["outcomes"].values()) == 5
    assert summary["outcomes"]["created"] == summary["attempts"] == 5
    assert (summary["stopped_by"], summary["exit_code"]) == (None, 0)


def test_rows_are_as_promised(tmp_path: Path) -> None:
    """`ledger rows` prints one object a line with the promised keys, whatever the outcome."""
    manifest = write_manifest(tmp_path / "m.jsonl", [*simple(2), '{"SecretName": "app/bad"}'])
    assert bulkseed("apply", manifest, "--endpoint", "embedded", cwd=tmp_path).returncode == 1
    done = bulkseed("ledger", "rows", "m.ledger.db", cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(row) for row in rows] == [ROW_KEYS] * 3
    assert [row["outcome"] for row in rows] == ["created", "created", "invalid"]
    assert rows[0]["attempts"] == 1
    assert rows[0]["first_sent_at"] <= rows[0]["settled_at"]
    assert (rows[2]["manifest"], rows[2]["line"]) == (str(manifest), 3)


BAD_LINES = [
    "not json",
    '{"SecretName": "app/x", "SecretData": "hunter2-canary"',
    "[1, 2]",
    '{"SecretName": "spaces are bad", "SecretData": "hunter2-canary"}',
    '{"SecretName": "app/x", "SecretData": "hunter2-canary", "Surprise": 1}',
    '{"SecretData": "hunter2-canary"}',
    json.dumps({"SecretName": "app/00001", "SecretData": "hunter2-canary"}),  # the name is taken
    json.dumps({"SecretName": "app/big", "SecretData": "hunter2-canary" * 3000}),
]


def test_a_bad_line_in_every_place_keeps_no_good_one_back(tmp_path: Path) -> None:
    """Bad lines become rows with file, line and reasons, good ones are sent, no value is in any message."""
    good = simple(len(BAD_LINES) + 1)
    lines = [line for pair in zip(good, BAD_LINES, strict=False) for line in pair] + good[-1:]
    lines[3], lines[13] = lines[13], lines[3]  # the duplicate comes after its first occurrence
    manifest = write_manifest(tmp_path / "m.jsonl", lines)
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed("apply", manifest, "--endpoint", stub.endpoint, "--qps", 0, cwd=tmp_path)
        plan = bulkseed("plan", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
    assert done.returncode == 1
    assert set(stub.secrets) == {d["SecretName"] for d in good}
    rows = bulkseed("ledger", "rows", "m.ledger.db", "--outcome", "invalid", cwd=tmp_path).stdout
    invalid = [json.loads(line) for line in rows.splitlines()]
    assert len(invalid) == len(BAD_LINES)
    assert all(row["message"] and row["line"] for row in invalid)
    for text in (done.stdout, done.stderr, rows, plan.stdout, plan.stderr):
        assert "hunter2" not in text
    assert str(manifest) in plan.stdout


def test_standard_input_several_manifests_and_defaults(tmp_path: Path) -> None:
    """Manifests are read one after another, `-` among them; --set fills what lines lack."""
    one = write_manifest(tmp_path / "one.jsonl", simple(2, "one"))
    piped = b'{"SecretName": "piped/1", "SecretData": "fake"}\n'
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed(
            "apply", one, "-", "--endpoint", stub.endpoint, "--set", "VersionId=v7",
            "--set", "Description=from the command", cwd=tmp_path, stdin=piped,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert set(stub.secrets) == {"one/00000", "one/00001", "piped/1"}
        assert {c["VersionId"] for c in stub.created.values()} == {"v7"}
        assert {c["Description"] for c in stub.created.values()} == {"from the command"}


def test_limit_sends_no_more_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """--limit is for a first careful try; the rest follows later."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(10))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint, "--qps", 0]
        assert bulkseed(*call, "--limit", 3, cwd=tmp_path).returncode == 0
        assert len(stub.secrets) == 3
        assert bulkseed(*call, cwd=tmp_path).returncode == 0
        assert len(stub.secrets) == len(stub.arrivals) == 10


def test_dry_run_sends_and_writes_nothing(tmp_path: Path) -> None:
    """Neither a request nor a ledger; the text is the plan's."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(4))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed("apply", manifest, "--endpoint", stub.endpoint, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "4 to create" in done.stdout
    assert (stub.arrivals, list(tmp_path.iterdir())) == ([], [manifest])
