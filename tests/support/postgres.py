"""A real PostgreSQL for a test, from Debian's packages: its own data directory, a free port, no network."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.programs import program

ADMIN_PASSWORD = "admin-password"


def _account() -> tuple[int, int]:
    """PostgreSQL refuses to run as root: then the user that its package makes runs it."""
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    return user.pw_uid, user.pw_gid


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server whose accounts need their passwords, and give the URL of its administrator."""
    _program("initdb")  # before the account that its package makes is asked for
    account = _account()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        data, password = Path(name, "data"), Path(name, "password")
        password.write_text(ADMIN_PASSWORD)
        for path in (Path(name), password):
            os.chown(path, *account)
        port = _free_port()
        _run(
            account,
            "initdb",
            "-D",
            data,
            "-U",
            "admin",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "-E",
            "UTF8",
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        _run(account, "pg_ctl", "-D", data, "-w", "-o", options, "-l", data / "log", "start")
        try:
            yield f"postgresql://admin:{ADMIN_PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _run(account, "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _program(name: str) -> str:
    return program(name, "postgresql", f"usr/lib/postgresql/*/bin/{name}")


def _run(account: tuple[int, int], name: str, *arguments: object) -> None:
    subprocess.run(
        [_program(name), *map(str, arguments)],
        check=True,
        user=account[0],
        group=account[1],
        stdout=subprocess.DEVNULL,
        cwd="/",
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
