"""Standard streams in any state: nobody reads, the disk is full, closed from the start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.command import BULKSEED, TIMEOUT, bulkseed, environment, simple, write_manifest

CALLS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "help of a command": ["plan", "--help"],
    "plan": ["plan", "m.jsonl"],
    "json": ["plan", "m.jsonl", "--output", "json"],
    "apply": ["apply", "m.jsonl", "--endpoint", "embedded", "--qps", "0"],
    "bench": ["bench", "--endpoint", "embedded", "--rate", "50", "--count", "5"],
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a manifest of a bad line, which is printed as it is found, and good ones."""
    write_manifest(tmp_path / "m.jsonl", ["bad", *simple(3)])
    return tmp_path


def into(target: str, call: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with what the shell understands by `target`."""
    shell = f'exec "$0" "$@" {target}'
    return subprocess.run(
        ["sh", "-c", shell, BULKSEED, *call],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


@calls
def test_a_reader_that_has_gone_ends_it_quietly(call: list[str], folder: Path) -> None:
    """As in ``bulkseed … | head -1``: nothing is said, and the exit code is that of SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [BULKSEED, *call],
        cwd=folder,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=TIMEOUT,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@calls
def test_a_full_disk_behind_standard_output_is_named(call: list[str], folder: Path) -> None:
    """It is no defect of ours: one line, exit code 1."""
    done = into("> /dev/full", call, folder)
    error = "Error: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, error)


def test_a_full_disk_behind_standard_error_changes_nothing(folder: Path) -> None:
    """What cannot be said there is lost, and the exit code is what it would have been."""
    assert into("2> /dev/full", ["plan", "missing.jsonl"], folder).returncode == 2
    done = into("2> /dev/full", ["apply", "m.jsonl", "--endpoint", "embedded", "--qps", "5"], folder)
    assert done.returncode == 1
    assert "3 created + 1 invalid" in done.stdout


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_stream_is_no_obstacle(number: int, folder: Path) -> None:
    """Its number goes to no other file: uvloop would abort, and messages would end up in that file."""
    done = into(f"{number}>&-", ["apply", "m.jsonl", "--endpoint", "embedded"], folder)
    assert done.returncode == 1
    assert (done.stdout == "", done.stderr == "") == (number == 1, number == 2)
    outcomes = bulkseed("ledger", "status", "m.ledger.db", cwd=folder).stdout
    assert "3 created + 1 invalid" in outcomes


@pytest.mark.parametrize("more", [["-"], ["m.jsonl", "--each", "-"]], ids=" ".join)
def test_closed_standard_input_is_not_an_empty_manifest(more: list[str], folder: Path) -> None:
    """What reads it is told so."""
    done = into("<&-", ["apply", *more, "--endpoint", "embedded"], folder)
    assert done.returncode == 2
    assert done.stderr == "Error: standard input is closed: there is nothing for '-' to read\n"
