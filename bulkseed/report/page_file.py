"""Puts a page where the user wants it, and nothing else out of its place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bulkseed.errors import UsageError

MARK = '<meta name="generator" content="bulkseed"/>'
"""What every page of ours has near its beginning."""

_BEGINNING = 4096


def write_page(path: Path, page: str, *, force: bool) -> None:
    """Write a page that its owner alone may read; where a file is, all at once, and only over a page of ours.

    A device or a named pipe is written into, also through a link such as /dev/stdout. A link to a file is not
    followed.

    Raises:
        UsageError: it cannot be written there, or something else is there and `force` is not given.
    """
    text = page.encode(errors="replace")
    try:
        there = _kind(path)
        if there is not None and (stat.S_ISCHR(there) or stat.S_ISFIFO(there)):
            with path.open("wb", buffering=0) as device:
                device.write(text)
            return
        if path.is_symlink():
            raise UsageError(f"{path} is a link: name the file that it points to")
        if there is not None and not stat.S_ISREG(there):
            raise UsageError(f"{path} is no file: choose another -o")
        if there is not None and not force and not _is_ours(path):
            raise UsageError(f"{path} is there and is no page of bulkseed: choose another -o, or --force")
        _replace(path, text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _kind(path: Path) -> int | None:
    """Return what is there, at the end of links; None if nothing is."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    return not beginning or MARK.encode() in beginning


def _replace(path: Path, text: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        part.touch(mode=0o600, exist_ok=False)
        part.write_bytes(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
