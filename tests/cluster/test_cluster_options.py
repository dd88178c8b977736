"""What `apply --cluster` refuses before anything happens, each in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import bulkseed, simple, write_manifest

TARGETS = '[[target]]\nname = "a"\nregion = "cn-hangzhou"\nendpoint = "http://127.0.0.1:9"\n'


@pytest.mark.parametrize(
    ("options", "exit_code", "told"),
    [
        (["--cluster", "local"], 2, "--cluster places targets: name them with --targets FILE"),
        (["--targets", "t.toml", "--cluster", "tls://127.0.0.1:9"], 2, "needs --tls-ca, --tls-cert and"),
        (
            ["--targets", "t.toml", "--cluster", "tcp://127.0.0.1:9", "--tls-ca", "t.toml"],
            2,
            "and others take none of them",
        ),
        (
            ["--targets", "t.toml", "--cluster", "tcp://127.0.0.1:9"],
            3,
            "no connection to the scheduler tcp://127.0.0.1:9: is it running",
        ),
        (["--targets", "t.toml", "--cluster", "local", "--only", "r.jsonl"], 2, "--only does not go with"),
        (["--targets", "t.toml", "--cluster", "local", "--identity", "t.toml"], 2, "BULKSEED_AGE_IDENTITY"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, options: list[str], exit_code: int, told: str) -> None:
    """No traceback, no ledger, and what to do."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    (tmp_path / "t.toml").write_text(TARGETS)
    done = bulkseed("apply", "m.jsonl", *options, cwd=tmp_path)
    assert (done.returncode, told in done.stderr) == (exit_code, True), done.stderr
    assert not list(tmp_path.glob("**/*.db"))
