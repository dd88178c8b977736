"""``bulkseed serve`` as a person starts it: where it listens, and how to log in."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import click
from support.command import BULKSEED, bulkseed, environment, simple, write_manifest

from bulkseed.cli.serve import serve


def test_a_restart_is_at_the_same_address_and_says_how_to_log_in(tmp_path: Path) -> None:
    """The port is fixed; at a terminal two lines to export come after the JSON, and they fit (G18)."""
    with serve.make_context("serve", []) as context:
        assert isinstance(context, click.Context)
        assert context.params["port"] == 8553
    ours, theirs = pty.openpty()
    call = [str(BULKSEED), "serve", "--port", "0", "--data-dir", str(tmp_path / "kms")]
    served = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=theirs, env=environment(), text=True)
    os.close(theirs)
    try:
        assert served.stdout is not None
        endpoint = json.loads(served.stdout.readline())["endpoint"]
        screen = ""
        while screen.count("\n") < 2:
            screen += os.read(ours, 4096).decode()
        exports = [line.strip() for line in screen.splitlines()]
        assert [line.partition("=")[0] for line in exports] == [
            "export ALIBABA_CLOUD_ACCESS_KEY_ID",
            "export ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        ]
        told = subprocess.run(
            ["sh", "-c", "; ".join([*exports, "env"])], capture_output=True, text=True, check=True
        )
        keys = [line.split("=", 1) for line in told.stdout.splitlines() if line.startswith("ALIBABA_CLOUD_")]
        write_manifest(tmp_path / "m.jsonl", simple(1))
        env = environment(**dict(keys))
        done = bulkseed("apply", "m.jsonl", "--endpoint", endpoint, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
    finally:
        served.terminate()
        served.communicate(timeout=60)
        os.close(ours)
