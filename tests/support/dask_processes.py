"""A real Dask cluster over TLS: a scheduler and workers, each a process that a test may kill or freeze."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Any

from support.certificates import Authority
from support.command import KEY_ID, KEY_SECRET

TESTS = Path(__file__).parents[1]
HOST = "127.0.0.1"


class DaskProcesses:
    """A cluster. `workers` are its processes by name; only they have credentials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = Authority(folder)
        certificate, key = authority.issue(HOST, client=True)
        self._tls = {"ca": authority.ca_file, "cert": certificate, "key": key}
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._unheard: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--host", f"tls://{HOST}", "--port", 0, "--no-dashboard")
        self.address = read_until(self.scheduler, b"Scheduler at:").split()[-1].decode()

    @property
    def options(self) -> list[object]:
        """The options of a command that uses the cluster."""
        files = [part for name, path in self._tls.items() for part in (f"--tls-{name}", path)]
        return ["--cluster", self.address, *files]

    def add_worker(self, name: str) -> None:
        """Start a worker; its process says when it has registered."""
        keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET}
        options = ["--name", name, "--nthreads", 1, "--no-nanny", "--no-dashboard", "--host", HOST]
        self.workers[name] = self._start("worker", self.address, *options, env=keys)
        self._unheard.append(self.workers[name])

    def wait_for_workers(self) -> None:
        """Wait until all workers have registered."""
        while self._unheard:
            read_until(self._unheard.pop(), b"Registered to:")

    def _start(
        self, kind: str, *options: object, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        names = {"ca": "--tls-ca-file", "cert": "--tls-cert", "key": "--tls-key"}
        tls = [part for name, path in self._tls.items() for part in (names[name], path)]
        call = [sys.executable, "-m", "dask", kind, *options, *tls]
        return subprocess.Popen(
            list(map(str, call)),
            cwd=self.folder,
            env=dask_environment(self.folder, env or {}),
            stderr=subprocess.PIPE,
        )

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers.values(), self.scheduler):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def dask_environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process of the cluster, which keeps its files in a folder."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(TESTS.parent),
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        "DASK_TEMPORARY_DIRECTORY": str(folder),
        **more,
    }


def read_until(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """Return the first line that a process says with a text; what it says after that is forgotten."""
    told = process.stderr
    assert told is not None
    said = []
    for line in told:
        said.append(line)
        if text in line:
            Thread(target=_drain, args=[told], daemon=True).start()
            return line
    raise AssertionError(b"".join(said).decode())


def _drain(told: IO[bytes]) -> None:
    with told:
        told.read()


@contextmanager
def dask_cluster(folder: Path, *workers: str) -> Iterator[DaskProcesses]:
    """Run a scheduler and workers until the end of the block."""
    cluster = DaskProcesses(folder)
    try:
        for name in workers:
            cluster.add_worker(name)
        cluster.wait_for_workers()
        yield cluster
    finally:
        cluster.close()


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield the memory of a process, a mapping at a time (Linux)."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(begin)
                yield memory.read(end - begin)
            except (OSError, ValueError, OverflowError):
                continue


def who_has(texts: set[bytes], *processes: subprocess.Popen[Any]) -> list[set[bytes]]:
    """Return which of the texts each process has in memory; all stand still meanwhile, so that none ends."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        return [
            {text for text in texts if any(text in part for part in memory_of(process.pid))}
            for process in processes
        ]
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
