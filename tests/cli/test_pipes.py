"""Manifests that come through a pipe and stall: signals end the run all the same."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.command import BULKSEED, KEY_ID, KEY_SECRET, bulkseed, environment
from support.stub_kms import StubKms
from support.torture import assert_audited, rows_of

from bulkseed.errors import LedgerError
from bulkseed.ledger import read_ledger
from bulkseed.model import Outcome

LINES = b'{"SecretName": "app/1", "SecretData": "fake"}\n{"SecretName": "app/2", "SecretData": "fake"}\n'
HALF = b'{"SecretName": "app/3", "Secr'


@contextmanager
def stalled(command: str, folder: Path, *options: object, fifo: bool) -> Iterator[subprocess.Popen[str]]:
    """Start a command on a pipe that gives two lines and a half and then neither more nor an end."""
    reading, writing = os.pipe()
    path = folder / "m.jsonl"
    if fifo:
        os.mkfifo(path)
    process = subprocess.Popen(
        [BULKSEED, command, path if fifo else "-", *map(str, options), "--ledger", "m.ledger.db"],
        cwd=folder,
        env=environment(),
        stdin=reading,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(reading)
    pipe = os.open(path, os.O_WRONLY) if fifo else writing  # the named one opens once it is read
    os.write(pipe, LINES + HALF)
    yield process
    for end in {pipe, writing}:
        os.close(end)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("fifo", [False, True], ids=["standard input", "named pipe"])
def test_a_stalled_pipe_does_not_hold_up_a_signal(tmp_path: Path, number: signal.Signals, fifo: bool) -> None:
    """What was read is settled, the run ends with 130 at once, and a further one does the rest."""
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        target = ["--endpoint", stub.endpoint, "--qps", 4]  # claimed one at a time
        with stalled("apply", tmp_path, *target, fifo=fifo) as process:
            while len(stub.arrivals) < 2:
                assert process.poll() is None
            process.send_signal(number)
            output, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors
        assert "created: 2" in output
        assert "to resume:" in errors
        assert "Internal error" not in errors
        assert_audited(tmp_path / "m.ledger.db")
        rest = LINES + HALF + b'etData": "fake"}\n'
        done = bulkseed("apply", "-", *target, "--ledger", "m.ledger.db", cwd=tmp_path, stdin=rest)
        assert done.returncode == 0, done.stderr
    assert [row.outcome for row in rows_of(tmp_path / "m.ledger.db")] == [Outcome.CREATED] * 3
    assert len(stub.arrivals) == 3


def _has_begun(path: Path) -> bool:
    try:
        with read_ledger(path) as ledger:
            return ledger.status().runs > 0
    except (LedgerError, KeyError):
        return False  # it is being made


def test_a_pipe_that_stalls_before_its_first_block(tmp_path: Path) -> None:
    """Also a verify, also with a block of which only a part came: one signal ends it."""
    with (
        StubKms(KEY_ID, KEY_SECRET) as stub,
        stalled("verify", tmp_path, "--endpoint", stub.endpoint, "--qps", 1000, fifo=False) as process,
    ):
        while not _has_begun(tmp_path / "m.ledger.db"):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Internal error" not in errors
    assert stub.arrivals == []
