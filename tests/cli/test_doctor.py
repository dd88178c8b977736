"""The doctor looks at what commands need, says what to do, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.stub_kms import StubKms

ROOT = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
USER = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="user", ALIBABA_CLOUD_ACCESS_KEY_SECRET="fake-user-secret")


def findings(output: str, name: str = "target") -> list[tuple[str, str, str]]:
    """Return what was found: about what, the state, the text."""
    document: dict[str, Any] = json.loads(output)
    return [(f["about"], f["state"], f["text"]) for f in document["checked"][name]]


def test_a_target_that_is_well(tmp_path: Path) -> None:
    """Everything is told, the account included, and nothing is written."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, "--account-id=1234567890123456") as (target, _):
        at = ("--endpoint", target.endpoint)
        assert bulkseed("apply", "m.jsonl", *at, cwd=tmp_path, env=ROOT).returncode == 0
        done = bulkseed("doctor", *at, "--output", "json", cwd=tmp_path, env=ROOT)
        told = bulkseed("doctor", *at, cwd=tmp_path, env=ROOT)
        left = bulkseed("plan", "m.jsonl", "--online", *at, "--ledger", "none.db", cwd=tmp_path, env=ROOT)
    assert (done.returncode, told.returncode) == (0, 0), done.stdout
    found = findings(done.stdout)
    assert ("account", "ok", "1234567890123456") in found
    assert {state for _, state, _ in found} == {"ok", "note"}
    assert [about for about, *_ in found][:4] == ["network", "credentials", "service", "clock"]
    assert told.stdout.startswith(f"target: {target.endpoint}")
    assert "1 of the names to create exist already" in left.stdout
    for text in (done.stdout, told.stdout):
        assert SECRET.reveal() not in text


def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    """So is the command that needs it; with the prefix of the policy what is allowed is found allowed."""
    allow = [{"action": ["kms:GetSecretValue"], "resource": ["acs:kms:*:*:secret/prod/*"]}]
    keys = {"access_key_id": "user", "access_key_secret": "fake-user-secret"}
    (tmp_path / "users.json").write_text(json.dumps({"users": [{"name": "user", **keys, "allow": allow}]}))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--policies={tmp_path / 'users.json'}") as (target, _):
        call = ("doctor", "--endpoint", target.endpoint, "--output", "json")
        bare = bulkseed(*call, cwd=tmp_path, env=USER)
        within = bulkseed(*call, "--prefix", "prod/", cwd=tmp_path, env=USER)
    assert (bare.returncode, within.returncode) == (1, 1)
    missing = [text.split()[0] for _, state, text in findings(bare.stdout) if state == "warning"]
    assert missing == [
        "kms:ListSecrets",
        "kms:GetSecretValue",
        "kms:DescribeSecret",
        "kms:ListSecretVersionIds",
    ]
    fewer = [text.split()[0] for _, state, text in findings(within.stdout) if state == "warning"]
    assert fewer == ["kms:ListSecrets", "kms:DescribeSecret", "kms:ListSecretVersionIds"]


def test_a_wrong_key_is_told(tmp_path: Path) -> None:
    """The service's refusal, in words."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        wrong = {**ROOT, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "fake-wrong-secret"}
        done = bulkseed("doctor", "--endpoint", target.endpoint, cwd=tmp_path, env=wrong)
    assert done.returncode == 1
    assert "problem  service: " in done.stdout
    assert "SignatureDoesNotMatch" in done.stdout or "InvalidAccessKeySecret" in done.stdout
    assert "fake-wrong-secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("http://127.0.0.1:9", "cannot be reached: Connection refused"),
        ("http://nothing.invalid", "the name nothing.invalid does not resolve"),
    ],
)
def test_what_cannot_be_reached_is_told(tmp_path: Path, endpoint: str, says: str) -> None:
    """The network comes first, and nothing after it is tried in vain."""
    done = bulkseed("doctor", "--endpoint", endpoint, cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stdout
    assert len(done.stdout.partition("\nledger:")[0].splitlines()) == 3


def test_a_certificate_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    """With the option that trusts its authority; with that option all is well."""
    authority = Authority(tmp_path)
    cert, key = authority.issue("127.0.0.1")
    flags = (f"--tls-cert={cert}", f"--tls-key={key}")
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, *flags) as (target, _):
        bare = bulkseed("doctor", "--endpoint", target.endpoint, cwd=tmp_path, env=ROOT)
        trusting = ("--ca-file", authority.ca_file)
        well = bulkseed("doctor", "--endpoint", target.endpoint, *trusting, cwd=tmp_path, env=ROOT)
    assert bare.returncode == 1
    assert "not trusted" in bare.stdout
    assert "--ca-file" in bare.stdout
    assert well.returncode == 0, well.stdout


def test_a_proxy_is_named(tmp_path: Path) -> None:
    """Without what the URL may hold of a user."""
    env = environment(HTTPS_PROXY="http://fake-user:fake-pass@127.0.0.1:9")
    done = bulkseed("doctor", cwd=tmp_path, env=env)
    assert "requests go through the proxy 127.0.0.1:9" in done.stdout
    assert "fake-pass" not in done.stdout + done.stderr
    assert done.returncode == 1


def test_every_target_is_looked_at(tmp_path: Path) -> None:
    """Each by its name; what one lacks does not hide another."""
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        (tmp_path / "targets.toml").write_text(
            f'[[target]]\nname = "a"\nregion = "cn-hangzhou"\nendpoint = "{stub.endpoint}"\n'
            '[[target]]\nname = "b"\nregion = "cn-beijing"\nendpoint = "http://127.0.0.1:9"\n'
        )
        done = bulkseed("doctor", "--targets", "targets.toml", "--output", "json", cwd=tmp_path)
    assert done.returncode == 1
    assert ("network", "ok") in {found[:2] for found in findings(done.stdout, "a")}
    assert [found[:2] for found in findings(done.stdout, "b")] == [("network", "problem")]


def test_a_source_is_listed_and_one_value_read(tmp_path: Path) -> None:
    """The value is nowhere."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        write_manifest(tmp_path / "m.jsonl", [{"SecretName": "a", "SecretData": "canary-fake-value"}])
        at = ("--endpoint", target.endpoint)
        assert bulkseed("apply", "m.jsonl", *at, cwd=tmp_path, env=ROOT).returncode == 0
        (tmp_path / "maps").mkdir()
        (tmp_path / "maps" / "one.env").write_text("TOKEN=canary-fake-value\n")
        done = bulkseed("doctor", f"dotenv://{tmp_path}/maps/one.env", *at, cwd=tmp_path, env=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "listing: 1 entries" in done.stdout
    assert "a value was read, and forgotten" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_a_ledger_is_looked_at_and_the_room_for_it(tmp_path: Path) -> None:
    """Whether it is of the target; one that is not is named with what it belongs to."""
    write_manifest(tmp_path / "m.jsonl", simple(2))
    bulkseed("apply", "m.jsonl", "--endpoint", "embedded", cwd=tmp_path)
    call = ("doctor", "--ledger", "m.ledger.db", "--output", "json")
    done = bulkseed(*call, cwd=tmp_path)
    found = findings(done.stdout, "ledger")
    assert [about for about, *_ in found] == ["disk", "ledger"]
    assert found[1] == ("ledger", "ok", "of this target; runs: 1, rows: 2")
    done = bulkseed(*call, "--endpoint", "http://127.0.0.1:9", cwd=tmp_path, env=ROOT)
    assert done.returncode == 1
    about, state, text = findings(done.stdout, "ledger")[1]
    assert (about, state) == ("ledger", "problem")
    assert "belongs to embedded" in text
