"""Nonces: each is accepted once, for as long as its timestamp is accepted, also across restarts.

A nonce is kept as 8 bytes of a keyed hash, so that its length does not matter: in memory in a set of integers
(at most 100 bytes each), on disk in a file for each quarter of an hour of timestamps. They are written before
the replies of a group leave, so that a killed process forgets none; a power cut may lose the last seconds.

Two nonces may share a hash: one in 10^11 requests is then refused by mistake, none is accepted twice.
"""

from __future__ import annotations

import errno
import os
from array import array
from hashlib import blake2b
from pathlib import Path

from bulkseed.errors import UsageError
from bulkseed.wire.signing.verify import CLOCK_WINDOW

_SIZE = 8


class Nonces:
    """Remembers nonces; `folder` None keeps them in memory only.

    Raises:
        UsageError: the folder cannot be used.
    """

    def __init__(self, folder: Path | None, key: bytes) -> None:
        self._folder = folder
        self._key = blake2b(key, digest_size=32, person=b"nonces").digest()
        self._slots: dict[int, set[int]] = {}
        self._oldest: int | None = None
        self._files: dict[int, int] = {}
        self._unwritten: dict[int, array[int]] = {}
        if folder is not None:
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                for path in folder.iterdir():
                    if path.name.isdecimal():
                        self._slots[int(path.name)] = _read(path)
            except OSError as error:
                raise UsageError(f"cannot use {folder}: {error.strerror}") from None

    def first_use(self, access_key_id: str, nonce: str, sent_at: float, now: float) -> bool:
        """Remember a nonce; False if it was used before.

        `sent_at` is the request's timestamp, which is within `CLOCK_WINDOW` of `now`; both in epoch seconds.
        """
        self._forget(now)
        text = f"{access_key_id}\n{nonce}".encode("utf-8", "surrogatepass")
        digest = blake2b(text, digest_size=_SIZE, key=self._key).digest()
        number = int.from_bytes(digest) >> 4  # 60 bits: Python's integers of two digits
        for seen in self._slots.values():
            if number in seen:
                return False
        slot = int(sent_at // CLOCK_WINDOW)
        if slot not in self._slots:
            self._slots[slot] = set()
        self._slots[slot].add(number)
        if self._folder is not None:
            if slot not in self._unwritten:
                self._unwritten[slot] = array("Q")
            self._unwritten[slot].append(number)
        return True

    @property
    def dirty(self) -> bool:
        """True while a nonce is in memory only."""
        return bool(self._unwritten)

    def write(self) -> None:
        """Put on disk what was remembered since the last time.

        Raises:
            OSError: there is no room.
        """
        while self._unwritten and self._folder is not None:
            slot, numbers = self._unwritten.popitem()
            _append(self._file(slot, self._folder), numbers.tobytes())

    def close(self) -> None:
        """Write what is left, and close the files."""
        self.write()
        while self._files:
            os.close(self._files.popitem()[1])

    def _file(self, slot: int, folder: Path) -> int:
        file = self._files.get(slot)
        if file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            file = self._files[slot] = os.open(folder / str(slot), flags, 0o600)
        return file

    def _forget(self, now: float) -> None:
        """Drop what no accepted timestamp falls into any more."""
        oldest = int((now - CLOCK_WINDOW) // CLOCK_WINDOW)
        if oldest == self._oldest:
            return
        self._oldest = oldest
        for slot in [slot for slot in self._slots if slot < oldest]:
            del self._slots[slot]
            if slot in self._files:
                os.close(self._files.pop(slot))
            if self._folder is not None:
                (self._folder / str(slot)).unlink(missing_ok=True)


def _append(file: int, numbers: bytes) -> None:
    written = os.write(file, numbers)
    if written != len(numbers):
        os.ftruncate(file, os.fstat(file).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read(path: Path) -> set[int]:
    size = path.stat().st_size // _SIZE * _SIZE
    os.truncate(path, size)  # a kill may have left a part of the last one
    return set(array("Q", path.read_bytes()))
