"""Nobody is mistaken about what a command touches: it says its target, and takes it from the ledger."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
from pathlib import Path

import pytest
from support.command import BULKSEED, KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.stub_kms import StubKms

HERE = ("--endpoint", "embedded", "--qps", "0")
PUBLIC = "https://kms.cn-hangzhou.aliyuncs.com"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Write a small manifest."""
    return write_manifest(tmp_path / "m.jsonl", simple(3))


def test_commands_take_their_target_from_the_ledger(tmp_path: Path, manifest: Path) -> None:
    """After a first apply nothing needs to be told again, from another folder neither (F1)."""
    assert bulkseed("apply", manifest, "--endpoint", "embedded", cwd=tmp_path).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ledger = tmp_path / "m.ledger.db"
    for call in (
        ("plan", manifest, "--ledger", ledger),
        ("apply", manifest, "--ledger", ledger),
        ("ledger", "audit", ledger, "--online"),
        ("rollback", ledger),
        ("rollback", ledger, "--yes"),
    ):
        done = bulkseed(*call, cwd=elsewhere)
        assert done.returncode == 0, (call, done.stderr)
    assert not (elsewhere / ".bulkseed").exists()


def test_a_verify_takes_its_target_from_what_was_applied(tmp_path: Path, manifest: Path) -> None:
    """Its own ledger is new; the one of the apply beside it knows the target (F1)."""
    assert bulkseed("apply", manifest, "--endpoint", "embedded", cwd=tmp_path).returncode == 0
    done = bulkseed("verify", manifest, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "identical: 3" in done.stdout


def test_a_verify_is_not_of_the_rehearsal(tmp_path: Path, manifest: Path) -> None:
    """Where a verify of a rehearsal is there: what was applied elsewhere is read, or nothing."""
    assert bulkseed("apply", manifest, *HERE, "--ledger", "rehearsal.db", cwd=tmp_path).returncode == 0
    assert bulkseed("verify", manifest, *HERE, cwd=tmp_path).returncode == 0
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        assert (
            bulkseed("apply", manifest, "--endpoint", stub.endpoint, "--limit", 1, cwd=tmp_path).returncode
            == 0
        )
        done = bulkseed("verify", manifest, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (4, "")
        assert "m.verify.db belongs to embedded" in done.stderr
        done = bulkseed("verify", manifest, *HERE, cwd=tmp_path)
        assert (done.returncode, "account" in done.stdout) == (0, False)
        (tmp_path / "m.verify.db").unlink()
        done = bulkseed("verify", manifest, cwd=tmp_path)
        assert (done.returncode, f"target: {stub.endpoint}" in done.stdout) == (1, True)
        assert "definitions: 3 = 1 identical + 2 missing" in done.stdout


def test_nothing_is_asked_that_nobody_named(tmp_path: Path, manifest: Path) -> None:
    """A ledger of another name is of another target: the public service is not asked by mistake."""
    assert bulkseed("apply", manifest, *HERE, "--ledger", "other.db", cwd=tmp_path).returncode == 0
    for call in (("verify", manifest), ("plan", manifest, "--online")):
        done = bulkseed(*call, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "other.db is of the local KMS" in done.stderr
        assert "--endpoint embedded" in done.stderr
    done = bulkseed("plan", manifest, cwd=tmp_path)
    assert "nothing is sent to the target" in done.stdout
    assert "note: nothing names the target of this plan; other.db is of the local KMS" in done.stderr
    done = bulkseed("plan", manifest, "--region", "cn-hangzhou", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_credentials_the_way_to_those_of_serve_is_named(tmp_path: Path, manifest: Path) -> None:
    """Only where the endpoint is not the public one: there they are of no use."""
    env = {name: text for name, text in environment().items() if "ACCESS_KEY" not in name}
    for endpoint, told in (("http://127.0.0.1:9", True), (PUBLIC, False)):
        call = ("apply", manifest, "--endpoint", endpoint, "--ledger", f"{told}.db")
        done = bulkseed(*call, cwd=tmp_path, env=env)
        assert done.returncode == 3
        assert ("the file access-key of its data directory" in done.stderr) is told


@pytest.mark.parametrize("command", ["plan", "apply", "verify"])
def test_a_command_begins_with_target_and_ledger(tmp_path: Path, manifest: Path, command: str) -> None:
    """Where it goes and what is on record stand before everything else (F2, G8, G10)."""
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed(command, manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
        kind = "verify" if command == "verify" else "ledger"
        first, second = done.stdout.splitlines()[:2]
        assert first == f"target: {stub.endpoint} (cn-hangzhou)"
        assert second == f"ledger: m.{kind}.db (none here yet: a first run)"
        if command == "apply":
            planned = bulkseed("plan", manifest, cwd=tmp_path).stdout
            assert re.match(rf"target: {stub.endpoint} \(cn-hangzhou, account \d+\)\n", planned)
            undone = bulkseed("rollback", "m.ledger.db", cwd=tmp_path).stdout
            assert undone.startswith(planned.splitlines()[0] + "\nledger: m.ledger.db\n")


def test_the_environment_may_name_the_endpoint(tmp_path: Path, manifest: Path) -> None:
    """BULKSEED_ENDPOINT counts where neither option nor ledger says another (G8)."""
    env = environment(BULKSEED_ENDPOINT="embedded", ALIBABA_CLOUD_REGION_ID="cn-beijing")
    done = bulkseed("plan", manifest, cwd=tmp_path, env=env)
    assert done.stdout.startswith("target: the local KMS in .bulkseed (cn-beijing)\n")
    done = bulkseed("plan", manifest, "--endpoint", PUBLIC, cwd=tmp_path, env=env)
    assert done.stdout.startswith(f"target: {PUBLIC} (cn-beijing)\n")


@pytest.mark.parametrize(
    ("more", "region"),
    [
        ({}, "cn-beijing"),
        ({"ALIBABA_CLOUD_PROFILE": "other"}, "cn-shanghai"),
        ({"ALIBABA_CLOUD_REGION_ID": "cn-shenzhen"}, "cn-shenzhen"),
        ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "fake-id"}, "cn-hangzhou"),
    ],
)
def test_the_region_of_the_profile_counts(
    tmp_path: Path, manifest: Path, more: dict[str, str], region: str
) -> None:
    """Unless a variable says another, or the credentials are not the profile's (F2)."""
    profiles = [{"name": "one", "region_id": "cn-beijing"}, {"name": "other", "region_id": "cn-shanghai"}]
    (tmp_path / ".aliyun").mkdir()
    (tmp_path / ".aliyun" / "config.json").write_text(json.dumps({"current": "one", "profiles": profiles}))
    env = {k: v for k, v in environment().items() if not k.startswith("ALIBABA")}
    done = bulkseed("plan", manifest, cwd=tmp_path, env={**env, "HOME": str(tmp_path), **more})
    assert done.stdout.startswith(f"target: https://kms.{region}.aliyuncs.com ({region})\n"), done.stderr


def test_a_password_in_an_endpoint_is_not_printed(tmp_path: Path, manifest: Path) -> None:
    """It is refused by every command, in words that do not repeat it (C2)."""
    for call in ("plan", "apply", "verify"):
        done = bulkseed(call, manifest, "--endpoint", "http://user:fake-pass@127.0.0.1:9", cwd=tmp_path)
        assert done.returncode == 2
        assert "fake-pass" not in done.stdout + done.stderr
        assert "must not hold a user or a password" in done.stderr


def answer(text: str, *call: object, cwd: Path) -> tuple[int, str]:
    """Run a command at a terminal, answer its question, and return its exit code and what was on screen."""
    ours, theirs = pty.openpty()
    env = environment(HTTPS_PROXY="http://127.0.0.1:9", TERM="xterm")  # nothing leaves this machine
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", BULKSEED, *map(str, call)],
        cwd=cwd,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    screen = b""
    while b"[y/N]" not in screen:
        screen += os.read(ours, 4096)
    os.write(ours, text.encode())
    try:
        while block := os.read(ours, 4096):
            screen += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return process.wait(timeout=60), screen.decode()


def test_a_first_write_to_the_public_service_is_asked_about(tmp_path: Path, manifest: Path) -> None:
    """At a terminal; no is the default, and then nothing is sent and no ledger is made (G8)."""
    code, screen = answer("\n", "apply", manifest, cwd=tmp_path)
    assert code == 2
    assert f"target: {PUBLIC} (cn-hangzhou)" in screen
    assert "account: not told by STS" in screen  # a proxy that is not there is asked
    assert "3 definitions at most: this is the public service. Write there?" in screen
    assert "nothing was sent" in screen
    assert not (tmp_path / "m.ledger.db").exists()


def test_new_ledgers_of_many_targets_are_asked_about_once(tmp_path: Path, manifest: Path) -> None:
    """Each that is at the public service is named; no is the default, and nothing is made then (G8)."""
    (tmp_path / "t.toml").write_text(
        '[[target]]\nname = "one"\nregion = "cn-hangzhou"\nmatch = ["a*"]\n'
        '[[target]]\nname = "two"\nregion = "cn-beijing"\nmatch = ["b*"]\n'
        '[[target]]\nname = "near"\nregion = "cn-beijing"\nendpoint = "http://127.0.0.1:9"\n'
    )
    code, screen = answer("\n", "apply", manifest, "--targets", "t.toml", cwd=tmp_path)
    assert (code, "nothing was sent" in screen) == (2, True)
    assert f"target: one: {PUBLIC} (cn-hangzhou)" in screen
    assert "target: two: https://kms.cn-beijing.aliyuncs.com (cn-beijing)" in screen
    assert "near" not in screen
    assert "2 targets at the public service. Write there?" in screen
    assert list(tmp_path.glob("*.run")) == []


def test_yes_lets_the_first_write_begin(tmp_path: Path, manifest: Path) -> None:
    """With a yes it goes on; here only a proxy that is not there is asked (G8)."""
    call = ("apply", manifest, "--max-attempts", 1, "--stop-after", 1)
    code, _ = answer("y\n", *call, cwd=tmp_path)
    assert code == 3
    assert (tmp_path / "m.ledger.db").exists()


def test_the_key_of_another_account_is_refused_before_anything_is_called_settled(tmp_path: Path) -> None:
    """Nothing would be sent, or all would be gone: ours are looked for first, where the key is new (A11)."""
    user = {"name": "other", "access_key_id": "other-id", "access_key_secret": SECRET.reveal()}
    allow = {"allow": [{"action": "kms:*", "resource": "*"}]}
    (tmp_path / "users.json").write_text(json.dumps({"users": [user | allow]}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = f"--port={free.getsockname()[1]}"
    ours, theirs = (
        environment(ALIBABA_CLOUD_ACCESS_KEY_ID=key, ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
        for key in ("embedded", "other-id")
    )
    write_manifest(tmp_path / "m.jsonl", simple(2))
    with served(tmp_path / "one", *UNLIMITED_FLAGS, port) as (target, _):
        apply = ("apply", "m.jsonl", "--endpoint", target.endpoint)
        assert bulkseed(*apply, cwd=tmp_path, env=ours).returncode == 0
    flags = (port, f"--policies={tmp_path / 'users.json'}", "--account-id=1000000000000002")
    with served(tmp_path / "two", *UNLIMITED_FLAGS, *flags):
        nothing_there = bulkseed(*apply, cwd=tmp_path, env=theirs)
        assert bulkseed(*apply, "--ledger", "o.db", cwd=tmp_path, env=theirs).returncode == 0
        same_names = bulkseed("rollback", "m.ledger.db", "--yes", cwd=tmp_path, env=theirs)
    for done in (nothing_there, same_names):
        assert done.returncode == 4, done.stdout + done.stderr
        assert "belongs to account 1000000000000001" in done.stderr
    rows = bulkseed("ledger", "rows", "m.ledger.db", "--outcome", "created", cwd=tmp_path).stdout
    assert len(rows.splitlines()) == 2
