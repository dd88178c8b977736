"""``bulkseed serve`` as a process of its own, which a test may kill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bulkseed.model import Credentials, SecretValue, Target
from support import zygote
from support.command import BULKSEED, environment

SECRET = SecretValue("process-secret")
UNLIMITED_FLAGS = ("--create-qps=0", "--read-qps=0", "--manage-qps=0")


@contextmanager
def served(data_dir: Path, *flags: str) -> Iterator[tuple[Target, subprocess.Popen[bytes]]]:
    """Run the command on `data_dir` with further flags, and give a target on it and the process."""
    with started(data_dir, *flags) as (ready, process):
        yield Target(ready["endpoint"], ready["region"], Credentials(ready["access_key_id"], SECRET)), process


@contextmanager
def started(data_dir: Path, *flags: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[bytes]]]:
    """Run the command likewise, and give the line that it prints when it is ready."""
    call = ["serve", "--port=0", f"--data-dir={data_dir}", *flags]
    env = environment(BULKSEED_SERVE_ACCESS_KEY_SECRET=SECRET.reveal())
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = zygote.popen(BULKSEED, call, env, cwd=Path.cwd(), **pipes)
    try:
        assert process.stdout is not None
        yield orjson.loads(process.stdout.readline()), process
    finally:
        process.terminate()
        process.communicate(timeout=120)
