"""``bulkseed explain``: what it prints, sent as printed, does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, write_manifest
from support.stub_kms import StubKms

VALUE = "canary value with spaces, 'quotes', \"more\" and 密码 + * ~ %"
DEFINITION = {
    "SecretName": "app/db",
    "SecretData": VALUE,
    "Description": "it's a test",
    "Tags": {"a": "b"},
    "DKMSInstanceId": "kst-fake",
    "EncryptionKeyId": "fake-key",
}


def section(text: str, title: str) -> str:
    """Return the part below a title."""
    return text.split(f"# {title}")[1].split("\n", 1)[1].split("\n\n# ", maxsplit=1)[0]


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run what was printed."""
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_the_curl_command_and_the_snippet_are_accepted(tmp_path: Path, signature: str) -> None:
    """An independent server finds nothing wrong with either, and stores the very value."""
    manifest = write_manifest(tmp_path / "m.jsonl", ["# a comment", DEFINITION])
    for title, program in (("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])):
        with StubKms(KEY_ID, KEY_SECRET) as stub:
            done = bulkseed(
                "explain", manifest, "--line", 2, "--endpoint", stub.endpoint,
                "--signature", signature, cwd=tmp_path,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            code = section(done.stdout, title)
            assert "canary" not in code
            unset = run([*program, code], environment())
            assert unset.returncode != 0
            assert stub.secrets == {}, "without the value nothing is sent"
            sent = run([*program, code], environment(SECRET_DATA=VALUE))
            assert "RequestId" in sent.stdout, sent.stderr
        assert stub.secrets == {"app/db": VALUE.encode()}
        assert stub.created["app/db"]["DKMSInstanceId"] == "kst-fake"
        assert stub.problems == []


def test_the_value_is_masked_and_nothing_is_computed_from_it(tmp_path: Path) -> None:
    """Two definitions that differ in the value alone look the same but for nonce and time."""
    manifest = write_manifest(
        tmp_path / "m.jsonl", [DEFINITION, {**DEFINITION, "SecretData": "other-canary"}]
    )
    hashes = set()
    for line in (1, 2):
        done = bulkseed("explain", manifest, "--line", line, cwd=tmp_path)
        assert "canary" not in done.stdout + done.stderr
        hashes.add(section(done.stdout, "canonical request").splitlines()[-1])
    assert len(hashes) == 1


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_a_security_token_is_masked_and_read_from_the_environment(tmp_path: Path, signature: str) -> None:
    """Nothing is computed from it either; the command and the program send it all the same."""
    manifest = write_manifest(tmp_path / "m.jsonl", [DEFINITION])
    env = environment(ALIBABA_CLOUD_SECURITY_TOKEN="token-canary")
    for title, program in (("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])):
        with StubKms(KEY_ID, KEY_SECRET, "token-canary") as stub:
            call = ["explain", manifest, "--line", 1, "--endpoint", stub.endpoint, "--signature", signature]
            masked = bulkseed(*call, cwd=tmp_path, env=env)
            assert "canary" not in masked.stdout + masked.stderr
            sent = run([*program, section(masked.stdout, title)], env | {"SECRET_DATA": VALUE})
            assert "RequestId" in sent.stdout, sent.stderr
        assert (stub.secrets, stub.problems) == ({"app/db": VALUE.encode()}, [])


def test_what_cannot_be_sent_by_mistake_is_all_that_is_printed(tmp_path: Path) -> None:
    """No text that is printed without --reveal creates a secret with the mask as its value (G13)."""
    manifest = write_manifest(tmp_path / "m.jsonl", [DEFINITION])
    masked = bulkseed("explain", manifest, "--line", 1, cwd=tmp_path).stdout
    assert "SecretData=****" not in masked
    assert "SecretData=%2A%2A%2A%2A" not in masked
    shown = bulkseed("explain", manifest, "--line", 1, "--reveal", cwd=tmp_path).stdout
    assert "canary" in section(shown, "request")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--endpoint", "embedded"], "bulkseed serve"),
        (["--endpoint", "127.0.0.1"], "https://host"),
        (["--profile", "x"], "No such option"),
        (["--ledger", "x"], "No such option"),
        (["--ca-file", "m.jsonl"], "No such option"),
        (["--data-dir", "x"], "No such option"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_cannot_be_explained_is_not_offered(more: list[str], word: str, tmp_path: Path) -> None:
    """An option that would change nothing is no option, and an address is one that can be called."""
    manifest = write_manifest(tmp_path / "m.jsonl", [DEFINITION])
    done = bulkseed("explain", manifest, "--line", 1, *more, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr


def test_a_bad_line_is_explained_by_its_reasons(tmp_path: Path) -> None:
    """Neither a missing nor an invalid line is a traceback."""
    manifest = write_manifest(tmp_path / "m.jsonl", [{"SecretName": "x y", "SecretData": "canary"}])
    for line, word in ((1, "SecretName"), (7, "line 7")):
        done = bulkseed("explain", manifest, "--line", line, cwd=tmp_path)
        assert done.returncode == 2
        assert word in done.stderr
        assert "canary" not in done.stderr


def test_a_key_that_is_no_text_is_explained(tmp_path: Path) -> None:
    """The environment holds bytes; both signatures are made with them as they are."""
    manifest = write_manifest(tmp_path / "m.jsonl", [DEFINITION])
    odd = environment() | {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "fake-\udcff"}
    for signature in ("acs3", "rpc1"):
        done = bulkseed("explain", manifest, "--line", 1, "--signature", signature, cwd=tmp_path, env=odd)
        assert done.returncode == 0, done.stderr
