"""A server before a store that answers some requests as no store should, and passes on the others."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HTML = b"<html><body>canary: it works, but not here</body></html>"
RUDENESS = ("reset", "empty", "half", "page 502", "page 200", "throttle")
"""What it can do to a request; "hang" besides."""
_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class RudeProxy:
    """Does to the next requests what `to_do` says, one entry for each."""

    def __init__(self, behind: str, tls: ssl.SSLContext | None) -> None:
        self.to_do: list[str] = []
        self.behind = urlsplit(behind)
        self.tls = tls
        self.ended = threading.Event()
        self.address = ""

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the store."""
        host, port = str(self.behind.hostname), self.behind.port
        if self.behind.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=60)
        anyone = ssl.create_default_context()
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(host, port, timeout=60, context=anyone)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: RudeProxy


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = self.server.proxy.to_do.pop(0) if self.server.proxy.to_do else ""
        if what in {"hang", "reset", "empty"}:
            self._say_nothing(what)
        elif what:
            self._be_rude(what)
        else:
            self._pass_on(body)

    def _say_nothing(self, what: str) -> None:
        self.close_connection = True
        if what == "hang":
            self.server.proxy.ended.wait(60)
        elif what == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _be_rude(self, what: str) -> None:
        self.send_response({"page 502": 502, "throttle": 429}.get(what, 200))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(HTML) + (1000 if what == "half" else 0)))
        if what == "throttle":
            self.send_header("Retry-After", "0")
        self.close_connection = what == "half"
        self.end_headers()
        self.wfile.write(HTML)

    def _pass_on(self, body: bytes) -> None:
        far = self.server.proxy.connect()
        far.request(self.command, self.path, body, dict(self.headers.items()))
        answer = far.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if name.lower() not in _ONE_HOP:
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        far.close()

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def rude_proxy(behind: str, tls: ssl.SSLContext | None = None) -> Iterator[RudeProxy]:
    """Serve before the store at the address `behind`; with `tls` as a server of https."""
    proxy = RudeProxy(behind, tls)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.proxy = proxy
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        proxy.address = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield proxy
        finally:
            proxy.ended.set()
            server.shutdown()
            serving.join()
