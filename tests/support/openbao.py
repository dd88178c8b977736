"""The real OpenBao server as a process of its own, in memory, on a loopback port."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

ROOT_TOKEN = "root-of-a-test"
COMMAND = Path(sys.executable).with_name("bao")


class Bao:
    """A running server, and the requests that tests make of it as its root."""

    def __init__(self, address: str, ca_file: Path | None = None) -> None:
        self.address = address
        self.host = address.partition("//")[2]
        self.ca_file = ca_file
        self._session = requests.Session()
        self._verify = str(ca_file) if ca_file else True  # of a session, a variable would replace it
        self._session.headers["X-Vault-Token"] = ROOT_TOKEN

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a request as root; return the JSON of the answer, or None."""
        answer = self._session.request(
            method,
            f"{self.address}/v1/{path}",
            json=body,
            headers=headers,
            timeout=30,
            verify=self._verify,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def mount(self, path: str, version: int = 2) -> None:
        """Mount a key-value engine."""
        self.ask("POST", f"sys/mounts/{path}", {"type": "kv", "options": {"version": str(version)}})
        config = f"{self.address}/v1/{path}/config"
        while version == 2 and self._session.get(config, timeout=30, verify=self._verify).status_code == 400:
            continue  # it is being upgraded from version 1, in which every engine begins

    def put(self, mount: str, path: str, data: dict[str, Any]) -> None:
        """Write a version of a secret in an engine of version 2."""
        self.ask("POST", f"{mount}/data/{path}", {"data": data})

    def token(self, policy: str, **wishes: Any) -> str:
        """Return a token with a policy of its own."""
        name = f"p{abs(hash(policy))}"
        self.ask("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        made = self.ask("POST", "auth/token/create", {"policies": [name], "no_parent": True, **wishes})
        return str(made["auth"]["client_token"])


@contextmanager
def openbao(tls: Path | None = None) -> Iterator[Bao]:
    """Run a server with nothing in it but an empty engine "secret"; over TLS with its files in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
    if tls is not None:
        tls.mkdir()
        options += ["-dev-tls", f"-dev-tls-cert-dir={tls}"]
    process = subprocess.Popen(
        [COMMAND, "server", *options, f"-dev-listen-address=127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    reading = threading.Thread(target=process.stdout.read)  # so that what it logs cannot fill the pipe
    try:
        for line in process.stdout:
            if "Development mode should NOT be used" in line:
                break
        reading.start()
        ca_file = next(tls.glob("*ca.pem")) if tls else None
        yield Bao(f"{'https' if tls else 'http'}://127.0.0.1:{port}", ca_file)
    finally:
        process.kill()
        process.wait(timeout=20)
        if reading.ident is not None:
            reading.join()
        process.stdout.close()
