"""The standard streams as they may be found: closed, a pipe that nobody reads any more, on a full disk."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from bulkseed.errors import OutputError, ReaderGoneError


def prepare() -> None:
    """Open what is closed, and tell failures of standard output apart from all others.

    The number of a closed stream would go to the next file that is opened, and libuv aborts on that. That
    standard input was closed can still be seen: `sys.stdin` is None.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name) or os.fdopen(number, "w", encoding="utf-8", closefd=False)
        setattr(sys, name, _through(stream))


def _through(stream: TextIO) -> TextIO:
    """Return a stream like `stream` whose bytes go through `_Raw`."""
    writer = io.BufferedWriter(_Raw(stream.fileno(), "wb", closefd=False))
    # What an encoding cannot show, a name of a file above all, is escaped.
    return io.TextIOWrapper(writer, stream.encoding, "backslashreplace", line_buffering=True)


class _Raw(io.FileIO):
    """Raises once if standard output takes nothing more, and forgets what is still in the buffers above.

    What standard error does not take is lost: there is nobody to tell, and it is no reason to end a run.
    """

    failed = False

    def write(self, data: Any, /) -> int:
        if not self.failed:
            try:
                return super().write(data)
            except OSError as error:
                if self.fileno() == 1:
                    self.failed = True
                    if isinstance(error, BrokenPipeError):
                        raise ReaderGoneError from None
                    raise OutputError(f"cannot write to standard output: {error.strerror}") from None
        return memoryview(data).nbytes
