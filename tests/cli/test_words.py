"""What people read: names cannot steer a terminal, reasons are told, and other tools' commands are known."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command import BULKSEED, KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest
from support.stub_kms import StubKms

from bulkseed.cli.render import wrapped
from bulkseed.humanize import visible

HERE = ("--endpoint", "embedded", "--qps", "0")


@given(st.text())
def test_nothing_visible_steers_a_terminal(text: str) -> None:
    """No control character but line feed and tab is left, and what can be encoded stays as it is (C5)."""
    shown = visible(f"{text}\u202e\x9b\x1b{text}")
    assert not [c for c in shown if c not in "\n\t" and (ord(c) < 32 or 127 <= ord(c) < 160)]
    assert not set(shown) & set(
        "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
    shown.encode()
    if text.isascii() and text.isprintable():
        assert shown == f"{text}\\u202e\\u009b\\u001b{text}"


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_name_in_a_manifest_does_not_reach_the_terminal_as_it_is(tmp_path: Path, output: str) -> None:
    """Escape sequences and turned text come out as escapes, in text and in JSON (C5)."""
    steer = "a\x1b]0;owned\x07\u202e\x9b31m"
    line = {"SecretName": "fine", "SecretData": "fake", "VersionId": steer, "Tags": {steer: "x"}}
    write_manifest(tmp_path / "m.jsonl", [line])
    for call in (("plan", "m.jsonl", "--output", output), ("apply", "m.jsonl", *HERE, "--output", output)):
        done = bulkseed(*call, cwd=tmp_path)
        assert not set(done.stdout + done.stderr) & set("\x1b\x07\x9b\u202e")
        if output == "json":
            json.loads(done.stdout)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_name_that_is_no_utf8_is_escaped(tmp_path: Path, encoding: str) -> None:
    """A manifest of any name is provisioned, whatever the terminal can show (F4)."""
    name = os.fsdecode(b"m\xff\xe5\xaf\x86.jsonl")
    write_manifest(tmp_path / "m.jsonl", [*simple(1), "bad"]).rename(tmp_path / name)
    for call in (("plan", name), ("apply", name, *HERE), ("apply", name, *HERE, "--output", "json")):
        done = subprocess.run(
            [BULKSEED, *call],
            cwd=tmp_path,
            env=environment(PYTHONIOENCODING=encoding),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, b"Internal" in done.stderr) == (1, False), done.stderr


def test_a_summary_says_what_is_new_and_why_the_rest_is_not_settled(tmp_path: Path) -> None:
    """Counts of this run and of earlier ones are told apart; the commonest reasons stand below.

    (F8, G10, G16, G23)
    """
    write_manifest(tmp_path / "m.jsonl", simple(3))
    assert "settled before" not in bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path).stdout
    write_manifest(tmp_path / "m.jsonl", [*simple(5), *['{"SecretName": "a b", "SecretData": "fake"}'] * 3])
    done = bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    assert (
        "2 settled now, 3 settled before"
        " (not compared: to change a value, raise its VersionId, too, v1 to v2)" in done.stdout
    )
    assert "  3 invalid: SecretName " in done.stdout
    assert "--ledger m.ledger.db" in done.stderr
    summary = json.loads(bulkseed("apply", "m.jsonl", *HERE, "--output", "json", cwd=tmp_path).stdout)
    assert (summary["settled_before"], summary["outcomes"]["created"]) == (5, 5)


def test_what_was_there_before_was_not_compared(tmp_path: Path) -> None:
    """A foreign secret counts as settled, and the screen says that nobody looked at its value (G11)."""
    write_manifest(tmp_path / "m.jsonl", simple(2))
    bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    done = bulkseed("apply", "m.jsonl", *HERE, "--ledger", "other.db", cwd=tmp_path)
    assert "not compared: 2 that were there before (--on-exists verify compares)" in done.stdout


def test_a_short_run_has_no_rate_above_what_was_sent(tmp_path: Path) -> None:
    """A few requests in a few milliseconds are a few a second, not hundreds (G24)."""
    write_manifest(tmp_path / "m.jsonl", simple(3))
    call = ("apply", "m.jsonl", "--endpoint", "embedded", "--qps", 100, "--output", "json")
    rate = json.loads(bulkseed(*call, cwd=tmp_path).stdout)["rate"]
    assert rate["mean_qps"] <= 3.0
    assert rate["utilisation"] <= 0.03


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("destroy", "rollback"),
        ("status", "ledger status"),
        ("get", "verify"),
        ("aply", "apply"),
        ("diff", "plan"),
    ],
)
def test_an_unknown_command_points_to_the_right_one(tmp_path: Path, word: str, meant: str) -> None:
    """Words of other tools, and slips of the finger (G30)."""
    done = bulkseed(word, cwd=tmp_path)
    assert done.returncode == 2
    assert f"there is no command '{word}': did you mean bulkseed {meant}" in done.stderr


def test_text_logs_carry_the_facts(tmp_path: Path) -> None:
    """Name, code and problem of an event stand in the line, as they do in JSON (H9)."""
    write_manifest(tmp_path / "m.jsonl", [*simple(1), "bad"])
    done = bulkseed("apply", "m.jsonl", *HERE, "--log-level", "debug", cwd=tmp_path)
    assert "definition.settled secret_name=app/00000 outcome=created manifest=m.jsonl line=1" in done.stderr
    assert 'definition.failed outcome=invalid message="is not valid JSON (character 1)"' in done.stderr


@pytest.mark.parametrize("ignored", [False, True])
def test_a_hang_up_stops_in_order_unless_it_is_ignored(tmp_path: Path, ignored: bool) -> None:
    """A closed terminal ends a run as SIGTERM does; under nohup the run goes on (D4)."""
    write_manifest(tmp_path / "m.jsonl", simple(40))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        try:
            call = ("apply", "m.jsonl", "--endpoint", stub.endpoint, "--qps", 10, "--output", "json")
            process = start(*call, cwd=tmp_path)
        finally:
            signal.signal(signal.SIGHUP, before)
        while len(stub.arrivals) < 5:
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        output, _ = process.communicate(timeout=60)
    summary = json.loads(output)
    assert (summary["exit_code"], summary["stopped_by"]) == (
        (0, None) if ignored else (130, "interrupted by SIGHUP")
    )


def test_a_ledger_speaks_in_the_words_of_its_command(tmp_path: Path) -> None:
    """A verify's is counted and filtered by what a verify finds, an apply's says what was rolled back.

    (G17, G27)
    """
    write_manifest(tmp_path / "m.jsonl", simple(2))
    bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    bulkseed("rollback", "m.ledger.db", "--yes", cwd=tmp_path)
    status = bulkseed("ledger", "status", "m.ledger.db", cwd=tmp_path).stdout
    assert "definitions: 2 = 2 rolled back" in status
    assert "the run ended before" not in status
    bulkseed("verify", "m.jsonl", *HERE, cwd=tmp_path)
    status = bulkseed("ledger", "status", "m.verify.db", cwd=tmp_path).stdout
    assert "definitions: 2 = 2 missing" in status
    told = json.loads(bulkseed("ledger", "status", "m.verify.db", "--output", "json", cwd=tmp_path).stdout)
    assert told["outcomes"]["missing"] == 2
    for outcome, count in (("missing", 2), ("identical", 0)):
        rows = bulkseed("ledger", "rows", "m.verify.db", "--outcome", outcome, cwd=tmp_path).stdout
        assert len(rows.splitlines()) == count


def test_what_fails_again_is_not_said_to_be_retried(tmp_path: Path) -> None:
    """Where only another option helps it is named, and the same command is for when that is done (G28)."""
    write_manifest(tmp_path / "m.jsonl", simple(2))
    bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    bulkseed("rollback", "m.ledger.db", "--yes", cwd=tmp_path)
    done = bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    assert "run again with --on-delete-window restore" in done.stdout
    assert "when that is mended: bulkseed apply" in done.stderr
    done = bulkseed("apply", "m.jsonl", *HERE, "--stop-after", "1", cwd=tmp_path)
    assert "--on-delete-window restore" in done.stderr
    assert "to resume when that is mended: bulkseed apply" in done.stderr


def test_what_a_verify_advises_helps(tmp_path: Path) -> None:
    """A secret of ours that differs, or is gone, is put right as the screen says, and stays ours."""
    definitions = simple(2)
    write_manifest(tmp_path / "m.jsonl", definitions)
    bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    definitions[0]["SecretData"] = "fake-edited"
    write_manifest(tmp_path / "m.jsonl", definitions)
    assert (
        "raise VersionId and apply it, with the same ledger"
        in bulkseed("verify", "m.jsonl", cwd=tmp_path).stdout
    )
    definitions[0]["VersionId"] = "v2"
    write_manifest(tmp_path / "m.jsonl", definitions)
    assert "updated: 1 " in bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path).stdout
    assert "identical: 2 " in bulkseed("verify", "m.jsonl", cwd=tmp_path).stdout
    (tmp_path / "m.ledger.db").rename(tmp_path / "kept.db")
    (tmp_path / "m.ledger.db").write_bytes((tmp_path / "kept.db").read_bytes())
    bulkseed("rollback", "kept.db", "--yes", cwd=tmp_path)
    said = bulkseed("verify", "m.jsonl", cwd=tmp_path).stdout
    assert (
        "--recreate creates again what was deleted since, and with --on-delete-window restore takes back"
        in " ".join(said.split())
    )
    call = ("--recreate", "--on-delete-window", "restore", *HERE)
    assert bulkseed("apply", "m.jsonl", *call, cwd=tmp_path).returncode == 0
    assert "identical: 2 " in bulkseed("verify", "m.jsonl", cwd=tmp_path).stdout


def test_what_a_run_at_work_has_not_reached_is_no_failure(tmp_path: Path) -> None:
    """While it goes on nothing was left behind and nothing is in doubt; once it is killed that is said."""
    write_manifest(tmp_path / "m.jsonl", [*simple(5000), "bad"])  # it is killed long before the last
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        process = start("apply", "m.jsonl", "--endpoint", stub.endpoint, "--qps", 10, cwd=tmp_path)
        while len(stub.arrivals) < 12:
            assert process.poll() is None
        told = [bulkseed("ledger", what, "m.ledger.db", cwd=tmp_path) for what in ("status", "rejects")]
        assert bulkseed("report", "m.ledger.db", cwd=tmp_path).returncode == 0
        process.kill()
        process.communicate()
    status, rejects = told
    assert "in flight, or not reached yet" in status.stdout
    assert "doubt" not in status.stdout
    assert "pending" not in rejects.stdout
    assert "not listed: what is pending, as a run is at work" in rejects.stderr
    page = (tmp_path / "m.report.html").read_text()
    assert "A run is at work" in page
    assert "in doubt" not in page
    status = bulkseed("ledger", "status", "m.ledger.db", cwd=tmp_path)
    assert "the run ended before this was finished" in status.stdout
    assert '"outcome":"pending"' in bulkseed("ledger", "rejects", "m.ledger.db", cwd=tmp_path).stdout


def test_a_plan_after_a_rollback_tells_that_names_are_taken(tmp_path: Path) -> None:
    """What would be refused is not counted as if it were new, and what takes it back is named."""
    write_manifest(tmp_path / "m.jsonl", simple(3))
    bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    bulkseed("rollback", "m.ledger.db", "--yes", cwd=tmp_path)
    write_manifest(tmp_path / "m.jsonl", simple(4))
    said = bulkseed("plan", "m.jsonl", cwd=tmp_path).stdout
    assert "4 to create" in said
    assert "3 of these were rolled back: their names are taken" in said
    assert "--on-delete-window restore takes them back" in said


def test_a_shell_completes_ledgers_and_run_folders_only(tmp_path: Path) -> None:
    """Neither manifests nor the files that SQLite puts beside a ledger (G32)."""
    for name in ("m.jsonl", "m.csv", "m.ledger.db", "m.ledger.db-wal", "m.ledger.db-shm"):
        (tmp_path / name).touch()
    (tmp_path / "m.run").mkdir()
    for begun, offered in (("", ["m.ledger.db", "m.run/"]), (f"{tmp_path}/m.l", [f"{tmp_path}/m.ledger.db"])):
        words = {"COMP_WORDS": f"bulkseed ledger status {begun}", "COMP_CWORD": "3"}
        done = bulkseed(cwd=tmp_path, env=environment(_BULKSEED_COMPLETE="bash_complete", **words))
        assert [line.partition(",")[2] for line in done.stdout.splitlines()] == offered


def test_a_long_line_breaks_between_words_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe it stays whole, so that it can be searched."""
    line = "  2 invalid: " + "word " * 30 + "a" * 100
    assert wrapped(line) == line
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = wrapped(line, "    ").splitlines()
    assert all(len(text) <= 80 for text in lines[:-1])
    assert lines[-1] == "    " + "a" * 100
    assert " ".join(text.strip() for text in lines) == line.strip()


def on_terminal(*call: object, cwd: Path, errors: bool = False, code: int = 0) -> str:
    """Return what a command prints to a terminal: its results, or else its `errors`."""
    ours, theirs = pty.openpty()
    stdout, stderr = (subprocess.DEVNULL, theirs) if errors else (theirs, None)
    process = subprocess.Popen(
        [str(BULKSEED), *map(str, call)], cwd=cwd, env=environment(), stdout=stdout, stderr=stderr
    )
    os.close(theirs)
    screen = b""
    try:
        while block := os.read(ours, 65536):
            screen += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == code
    return screen.decode().replace("\r\n", "\n")


def test_a_terminal_gets_lines_that_people_read(tmp_path: Path) -> None:
    """Rejects with where, why and what to do in place of JSON, and a schema that is indented (G16, G21)."""
    write_manifest(tmp_path / "m.jsonl", ["bad", *simple(1)])
    bulkseed("apply", "m.jsonl", *HERE, cwd=tmp_path)
    screen = on_terminal("ledger", "rejects", "m.ledger.db", cwd=tmp_path)
    assert screen.startswith(
        "m.jsonl:1: -: invalid: is not valid JSON (character 1)\n    correct it in the manifest"
    )
    assert bulkseed("ledger", "rejects", "m.ledger.db", cwd=tmp_path).stdout.startswith('{"secret_name":')
    schema = on_terminal("plan", "--schema", cwd=tmp_path)
    assert max(map(len, schema.splitlines())) < 400
    assert len(schema.splitlines()) > 100
    assert json.loads(schema) == json.loads(bulkseed("plan", "--schema", cwd=tmp_path).stdout)


def test_notes_and_errors_are_broken_between_words_on_a_terminal(tmp_path: Path) -> None:
    """A line that a terminal breaks in a word is hard to read; a file or pipe gets it whole."""
    deep = tmp_path / "a-folder-of-a-name" / "that-is-long"
    deep.mkdir(parents=True)
    wrong = ("ledger", "status", deep / "none.ledger.db")
    told = on_terminal(*wrong, cwd=tmp_path, errors=True, code=4)
    misuse = on_terminal(
        *("apply", "m.jsonl", "--ledger", "x.db", "--on-exists", "whatever-comes-first"),
        cwd=tmp_path, errors=True, code=2,
    )  # fmt: skip
    for screen, words in ((told, "Error: "), (misuse, "Usage: ")):
        assert screen.startswith(words)
        lines = screen.splitlines()
        assert len(lines) > 1
        assert all(len(line) <= 80 or " " not in line.strip() for line in lines)
    whole = bulkseed(*wrong, cwd=tmp_path).stderr
    assert whole.count("\n") == 1
    assert told.split() == whole.split()
