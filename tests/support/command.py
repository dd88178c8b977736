"""Runs the installed command as users do: its own process, its own folder, nothing inherited but the path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from support import zygote

BULKSEED = Path(sys.executable).with_name("bulkseed")
KEY_ID, KEY_SECRET = "fake-access-key-id", "fake-access-key-secret"
TIMEOUT = 120.0  # against a hang; no test depends on how fast a machine is


def environment(**more: str) -> dict[str, str]:
    """Return an environment with obviously fake credentials and nothing of this machine's settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET,
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",  # nothing but loopback is asked for credentials
        **more,
    }


def bulkseed(
    *arguments: object, cwd: Path, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and return what it printed."""
    process = _popen(arguments, cwd, env, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
    try:
        stdout, stderr = process.communicate(stdin, TIMEOUT)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout.decode(), stderr.decode())


def start(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command and return the running process, its output piped."""
    return _popen(arguments, cwd, env, stdin=subprocess.DEVNULL, text=True)


def _popen(
    arguments: tuple[object, ...], cwd: Path, env: Mapping[str, str] | None, **options: Any
) -> subprocess.Popen[Any]:
    given = environment() if env is None else dict(env)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return zygote.popen(BULKSEED, [str(a) for a in arguments], given, cwd=cwd, **pipes, **options)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read what a running command says on standard error up to a line with `text`, and return that line."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"the command ended without saying {text!r}")


def write_manifest(path: Path, definitions: Iterable[Mapping[str, Any] | str]) -> Path:
    """Write JSON lines; a string is written as it is."""
    lines = (d if isinstance(d, str) else json.dumps(d, ensure_ascii=False) for d in definitions)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def simple(count: int, prefix: str = "app") -> list[dict[str, str]]:
    """Return `count` plain definitions with obviously fake values."""
    return [
        {"SecretName": f"{prefix}/{i:05d}", "SecretData": f"fake-value-{i}-not-a-secret"}
        for i in range(count)
    ]
