"""Each exit code is reached by the installed command, with one clear message and no traceback."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from pathlib import Path

import pytest
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest
from support.stub_kms import StubKms

from bulkseed.engine.outage import FIRST_ANSWER_WITHIN


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return a manifest of 30 good definitions."""
    return write_manifest(tmp_path / "m.jsonl", simple(30))


def test_0_everything_is_settled(manifest: Path, tmp_path: Path) -> None:
    """All created."""
    assert bulkseed("apply", manifest, "--endpoint", "embedded", "--qps", 0, cwd=tmp_path).returncode == 0


def test_1_some_are_not_settled(tmp_path: Path) -> None:
    """A bad line is enough."""
    manifest = write_manifest(tmp_path / "m.jsonl", [*simple(1), "bad"])
    done = bulkseed("apply", manifest, "--endpoint", "embedded", cwd=tmp_path)
    assert done.returncode == 1
    assert "ledger rejects m.ledger.db" in done.stderr


@pytest.mark.parametrize(
    "call",
    [
        ["apply"],
        ["apply", "missing.jsonl", "--endpoint", "embedded"],
        ["apply", "m.jsonl", "--qps", "-1"],
        ["apply", "m.jsonl", "--on-exists", "overwrite"],
        ["apply", "m.jsonl", "--set", "VersionId"],
        ["apply", "m.jsonl", "--set", "Versionid=v1"],
        ["apply", "m.jsonl", "--endpoint", "ftp://127.0.0.1"],
        ["apply", "m.jsonl", "--endpoint", ""],
        ["apply", "m.jsonl", "--endpoint", "http://kms.cn-hangzhou.aliyuncs.com"],
        ["plan", "m.unknown"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_2_usage(call: list[str], manifest: Path, tmp_path: Path) -> None:
    """Calls that make no sense, and manifests that cannot be read at all."""
    assert manifest.exists()
    done = bulkseed(*call, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Error:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m.ledger.db").exists(), "a mistake has bound the ledger"


def test_3_no_credentials(manifest: Path, tmp_path: Path) -> None:
    """Without credentials the run does not begin."""
    env = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="", ALIBABA_CLOUD_ACCESS_KEY_SECRET="")
    done = bulkseed("apply", manifest, "--endpoint", "http://127.0.0.1:9", cwd=tmp_path, env=env)
    assert done.returncode == 3
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in done.stderr
    assert "Traceback" not in done.stderr


def test_3_wrong_credentials(manifest: Path, tmp_path: Path) -> None:
    """The first refusal ends the run: it says why and what to do, and the rest is pending."""
    with StubKms(KEY_ID, "another-secret") as stub:
        done = bulkseed("apply", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
    assert done.returncode == 3
    assert "SignatureDoesNotMatch" in done.stderr
    assert "ALIBABA_CLOUD_ACCESS_KEY_SECRET" in done.stderr
    assert "pending: 30" in done.stdout
    assert len(stub.arrivals) < 15


def test_4_another_target(manifest: Path, tmp_path: Path) -> None:
    """A ledger belongs to one target (F1)."""
    call = ["apply", manifest, "--qps", 0]
    assert bulkseed(*call, "--endpoint", "embedded", cwd=tmp_path).returncode == 0
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed(*call, "--endpoint", stub.endpoint, cwd=tmp_path)
    assert done.returncode == 4
    assert "--ledger" in done.stderr
    assert stub.arrivals == []


def test_4_another_data_directory(manifest: Path, tmp_path: Path) -> None:
    """Two embedded services are two targets: what one has says nothing about the other (F1)."""
    call = ["apply", manifest, "--endpoint", "embedded", "--qps", 0, "--data-dir"]
    assert bulkseed(*call, "one", cwd=tmp_path).returncode == 0
    assert bulkseed(*call, "other", cwd=tmp_path).returncode == 4


def test_4_not_a_ledger(manifest: Path, tmp_path: Path) -> None:
    """Any other file is left as it is."""
    (tmp_path / "m.ledger.db").write_text("my diary, not a database, but long enough to look like one" * 20)
    before = (tmp_path / "m.ledger.db").read_bytes()
    done = bulkseed("apply", manifest, "--endpoint", "embedded", cwd=tmp_path)
    assert done.returncode == 4
    assert (tmp_path / "m.ledger.db").read_bytes() == before


def test_4_somebody_elses_database(manifest: Path, tmp_path: Path) -> None:
    """A SQLite file of another program is not touched."""
    with sqlite3.connect(tmp_path / "m.ledger.db") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    assert bulkseed("apply", manifest, "--endpoint", "embedded", cwd=tmp_path).returncode == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130_interrupted_and_resumable(number: signal.Signals, tmp_path: Path) -> None:
    """A signal lets in-flight requests settle, says how to resume, and the resumed run completes."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint]
        run = start(*call, "--qps", "20", cwd=tmp_path)
        while len(stub.arrivals) < 5:
            assert run.poll() is None
        run.send_signal(number)
        stdout, stderr = run.communicate(timeout=120)
        assert run.returncode == 130, stderr
        assert "finishing what is in flight, counting what is left; again to stop now" in stderr
        assert "to resume: bulkseed apply" in stderr
        assert "definitions: 60 = " in stdout
        sent = len(stub.arrivals)
        assert sent < 60
        assert f"created: {sent}" in stdout
        assert bulkseed(*call, "--qps", 0, cwd=tmp_path).returncode == 0
    assert (len(stub.secrets), len(stub.arrivals), stub.problems) == (60, 60, [])


def test_3_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    """The reason stays on the screen, soon; nothing was sent, and all is left for the next run (G22)."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(1))
    host = "kms.nowhere.invalid"  # RFC 6761: never there
    with pytest.raises(socket.gaierror) as unknown:
        socket.getaddrinfo(host, 443)
    if unknown.value.errno == socket.EAI_AGAIN:
        pytest.skip("no resolver answers here")
    done = bulkseed("apply", manifest, "--endpoint", f"https://{host}", "--output", "json", cwd=tmp_path)
    assert done.returncode == 3
    assert f"the name {host} cannot be resolved" in done.stderr.splitlines()[-2]
    told = json.loads(done.stdout)
    assert (told["outcomes"]["pending"], told["attempts"]) == (1, 0)
    assert told["elapsed_s"] < FIRST_ANSWER_WITHIN, (
        "a name that is not there is not waited for as a service is"
    )
