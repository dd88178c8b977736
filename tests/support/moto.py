"""moto's server, which stands in for AWS, as a process of its own on a loopback port."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = Path(sys.executable).with_name("moto_server")


@contextmanager
def moto() -> Iterator[str]:
    """Run a server with nothing in it, and give its address."""
    process = subprocess.Popen(
        [COMMAND, "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    reading = threading.Thread(target=process.stderr.read)  # so that what it logs cannot fill the pipe
    try:
        address = ""
        for line in process.stderr:
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                address = found[1]
                break
        reading.start()
        yield address
    finally:
        process.kill()
        process.wait(timeout=20)
        if reading.ident is not None:
            reading.join()
        process.stderr.close()
