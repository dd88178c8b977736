"""Real limits for what a process can write: the kernel's on the size of files, or a small file system."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def limit_files(kib: int) -> Callable[[], None]:
    """Return what sets the limit in a new process: a write beyond it fails as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kib * 1024, kib * 1024))


class Tmpfs:
    """A file system in memory, mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def remount(self, options: str) -> None:
        """Change its options: ``size=8m``, ``ro``."""
        _mount("-o", f"remount,{options}", str(self.path))


@contextmanager
def tmpfs(path: Path, kib: int) -> Iterator[Tmpfs]:
    """Mount a file system of this size; needs the right to."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(path))
    try:
        yield Tmpfs(path)
    finally:
        subprocess.run(["umount", path], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _can_mount() -> bool:
    """Try it in a mount namespace of its own, which ends with the process."""
    if os.geteuid() != 0:
        return False
    attempt = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/tmp"]  # noqa: S108  # a folder that is there
    try:
        return subprocess.run(attempt, check=False, capture_output=True).returncode == 0
    except OSError:  # another system: no such program
        return False


CAN_MOUNT = _can_mount()
