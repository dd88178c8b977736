"""A server that costs next to nothing, so that a benchmark measures the client.

It looks only for a request's length and for the secret's name, which its CreateSecret reply tells in turn.

    python -m benchmarks.stub_server [--port 0] [--cpu 0] [--tls CERT KEY] [--arrivals FILE]

It prints ``{"port": …, "pid": …}`` and serves until its standard input ends or it gets SIGTERM. `FILE` then
holds the arrival of every complete request: seconds of CLOCK_MONOTONIC as native doubles.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import signal
import socket
import ssl
import sys
from array import array
from pathlib import Path
from time import monotonic

_BODY = (
    b'{"Arn":"acs:kms:cn-hangzhou:1234567890123456:secret/%s","AutomaticRotation":"Disabled",'
    b'"RequestId":"3bf02f7a-015b-4f23-be0f-c0bd5d3b0d7c","SecretName":"%s","SecretType":"Generic",'
    b'"VersionId":"v1"}'
)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: application/json;charset=utf-8\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
    b"x-acs-request-id: 3bf02f7a-015b-4f23-be0f-c0bd5d3b0d7c\r\n"
    b"x-acs-trace-id: 0123456789abcdef0123456789abcdef\r\n\r\n"
)
_NAME = re.compile(rb"SecretName=([^& ]*)")


def reply_to(request: bytes) -> bytes:
    """Return the reply, whatever was asked."""
    found = _NAME.search(request)
    name = found[1].replace(b"%2F", b"/") if found else b"benchmark"
    body = _BODY % (name, name)
    return _HEAD % len(body) + body


def _missing(data: bytes) -> int:
    """Return how many bytes the first request in `data` lacks; at least 1 until its head is complete."""
    end = data.find(b"\r\n\r\n") + 4
    if end == 3:
        return 1
    at = data.find(b"ontent-length: ", 0, end)
    if at < 0:
        at = data.find(b"ontent-Length: ", 0, end)
    length = int(data[at + 15 : data.find(b"\r", at)]) if at >= 0 else 0
    return end + length - len(data)


class Stub:
    """One thread, one epoll, one connection per client connection."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.arrivals = array("d")
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._tls = tls
        self._epoll = select.epoll()
        self._connections: dict[int, socket.socket] = {}
        self._partial: dict[int, bytes] = {}

    def serve(self) -> None:
        """Answer until SIGTERM, or until standard input ends."""
        epoll, connections = self._epoll, self._connections
        listening, stdin = self.listener.fileno(), sys.stdin.fileno()
        epoll.register(listening, select.EPOLLIN)
        with contextlib.suppress(PermissionError):  # a plain file or /dev/null cannot be watched
            epoll.register(stdin, select.EPOLLIN)
        while True:
            for number, _ in epoll.poll():
                if number in connections:
                    self._read(number, connections[number])
                elif number == listening:
                    self._accept()
                elif not os.read(stdin, 4096):
                    return

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._connections[connection.fileno()] = connection
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, number: int, connection: socket.socket) -> None:
        try:
            data = connection.recv(1 << 16)  # with TLS it shakes hands first
            while isinstance(connection, ssl.SSLSocket) and connection.pending():
                data += connection.recv(1 << 16)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data = b""
        if not data:
            self._epoll.unregister(number)
            self._partial.pop(number, None)
            self._connections.pop(number).close()
            return
        if number in self._partial:
            data = self._partial.pop(number) + data
        missing = _missing(data)
        if missing > 0:
            self._partial[number] = data
            return
        self.arrivals.append(monotonic())
        with contextlib.suppress(OSError):
            connection.send(reply_to(data))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--arrivals", type=Path)
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    tls = None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*options.tls)
    stub = Stub(options.port, tls)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print(json.dumps({"port": stub.listener.getsockname()[1], "pid": os.getpid()}), flush=True)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            stub.serve()
    finally:
        if options.arrivals:
            options.arrivals.write_bytes(stub.arrivals.tobytes())


if __name__ == "__main__":
    main()
