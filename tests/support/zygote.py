"""Starts the command without the cost of its imports: a process that has imported it forks for each call.

A start costs 0.3 to 0.8 s of processor time, nearly all of it imports, and the suite starts the command
a thousand times. What is forked is a process of its own all the same, with its own descriptors, folder and
variables. The test is its parent, so that signals, ``kill -9`` and exit codes are as ever. The installed
command itself is started where the system is not Linux, and where a variable counts while Python starts.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, Literal, TextIO

PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)
READ_AT_THE_START: Final = ("PYTHON", "LC_", "LANG", "SSL_", "LD_")
STANDARD: Final = (0, 1, 2)


class Forked(subprocess.Popen[Any]):
    """A process of the command, forked by the zygote."""

    # Popen has no public place for another way to start a process, so that its private one is taken.
    def _execute_child(self, args: list[object], *how: Any) -> None:
        cwd, env = how[4:6]
        ends = how[9:15]  # of the pipes: for input read and write, for output, for errors
        ours = [
            end if end != -1 else own for end, own in zip((ends[0], ends[3], ends[5]), STANDARD, strict=True)
        ]
        call = {"arguments": [str(a) for a in args[1:]], "cwd": str(cwd), "env": env, "ignored": _ignored()}
        self.pid = _zygote().fork(call, ours)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]  # as above


def _ignored() -> list[int]:
    return [number for number in signal.Signals if signal.getsignal(number) is signal.SIG_IGN]


def popen(command: Path, arguments: list[str], env: dict[str, str], **options: Any) -> subprocess.Popen[Any]:
    """Start the command: forked where that is the same, else as users start it."""
    fresh = sys.platform != "linux" or any(name.startswith(READ_AT_THE_START) for name in env)
    kind = subprocess.Popen if fresh else Forked
    return kind([command, *arguments], env=env, **options)


class _Zygote:
    """The test's end: one process for each process of tests, started when it is first asked for."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what is forked becomes a child of ours
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        clean = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=clean,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        atexit.register(self.close)

    def fork(self, call: dict[str, Any], descriptors: list[int]) -> int:
        """Return the process id of a new child of ours that runs the command."""
        with self._lock:
            socket.send_fds(self._door, [json.dumps(call).encode()], descriptors)
            return int(self._door.recv(32))

    def close(self) -> None:
        self._door.close()
        self._process.wait()


_made: list[_Zygote] = []
_making = threading.Lock()


def _zygote() -> _Zygote:
    with _making:
        if not _made:
            _made.append(_Zygote())
        return _made[0]


def _prepare() -> None:
    """Import whatever the command may import of the package."""
    import bulkseed

    for module in pkgutil.walk_packages(bulkseed.__path__, "bulkseed."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # so that a child's collections do not copy all pages


def _wait_for_a_call(door: socket.socket) -> None:
    """Fork for each call; return in the child alone, as in a process that has just been started."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(door, 1 << 20, len(STANDARD))
        if not message:
            os._exit(0)
        read, write = os.pipe()
        between = os.fork()  # it ends at once, so that the test becomes the parent of its child
        if between == 0:
            child = os.fork()
            if child:
                os.write(write, b"%d" % child)
                os._exit(0)
            return _become(json.loads(message), descriptors)
        os.waitpid(between, 0)
        for descriptor in (write, *descriptors):
            os.close(descriptor)
        door.send(os.read(read, 32))
        os.close(read)


def _become(call: dict[str, Any], descriptors: list[int]) -> None:
    for standard, descriptor in zip(STANDARD, descriptors, strict=True):
        os.dup2(descriptor, standard)
    os.closerange(len(STANDARD), os.sysconf("SC_OPEN_MAX"))
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    time.tzset()
    for number in set(_ignored()) ^ set(call["ignored"]):  # the zygote may have inherited others
        signal.signal(number, signal.SIG_IGN if number in call["ignored"] else signal.SIG_DFL)
    sys.argv[1:] = call["arguments"]
    sys.stdin, sys.stdout, sys.stderr = (
        _again(0, "rb", sys.stdin),
        _again(1, "wb", sys.stdout),
        _again(2, "wb", sys.stderr),
    )


def _run() -> int:
    from bulkseed.__main__ import main

    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _leave(code: int) -> None:
    """End as Python ends, but for taking all modules apart, which would copy each of the zygote's pages."""
    threading._shutdown()  # type: ignore[attr-defined]  # Python's own end waits for threads by it
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def _again(descriptor: int, mode: Literal["rb", "wb"], was: TextIO) -> io.TextIOWrapper:
    """Open a standard stream as Python opens it when it starts."""
    raw = open(descriptor, mode, closefd=False)  # noqa: SIM115  # it lives as long as the process
    at_once = descriptor == 2 or os.isatty(descriptor)
    return io.TextIOWrapper(raw, was.encoding, was.errors, line_buffering=at_once)


if __name__ == "__main__":
    _prepare()
    _wait_for_a_call(socket.socket(fileno=int(sys.argv[1])))
    _leave(_run())
