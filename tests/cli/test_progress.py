"""Progress: a bar on a real terminal that fits it, lines for logs elsewhere, and nothing when told so."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from support.command import BULKSEED, KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.stub_kms import StubKms

COLUMNS = 80
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(*arguments: object, cwd: Path) -> tuple[str, str]:
    """Run the command with a terminal as standard error; return standard output and what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    run = subprocess.Popen(
        [BULKSEED, *map(str, arguments)],
        cwd=cwd,
        env=environment(TERM="xterm-256color"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    got = b""
    while True:
        try:
            got += os.read(ours, 65536)
        except OSError:  # the other end is closed: the command has ended
            break
    stdout, _ = run.communicate(timeout=20)
    os.close(ours)
    assert run.returncode == 0
    return stdout, got.decode()


def test_a_bar_on_a_terminal_tells_the_whole_count_and_fits(tmp_path: Path) -> None:
    """The total is known from the start, every line fits, standard output has the summary alone."""
    manifest = write_manifest(tmp_path / "m.jsonl", ["# comment", "", *simple(30)])
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        stdout, screen = on_terminal("apply", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
    lines = [line for line in re.split(r"[\r\n]+", ESCAPE.sub("", screen)) if line.strip()]
    assert any(re.search(r" \d+ of 30, \d+\.\d/s of 10", line) for line in lines), lines
    assert max(map(len, lines)) <= COLUMNS
    assert stdout.startswith("created: 30")
    assert "\x1b" not in stdout


def test_lines_for_logs_without_a_terminal(tmp_path: Path) -> None:
    """A pipe gets a line every few seconds, with the time; --progress none gets nothing."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed("apply", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
        quiet = bulkseed("apply", manifest, "--endpoint", stub.endpoint, "--progress", "none", cwd=tmp_path)
    assert re.fullmatch(r"(\d\d:\d\d:\d\d \d+ of 60, \d+\.\d/s of 10, [^\n]+ left\n)+", done.stderr)
    assert quiet.stderr == ""
