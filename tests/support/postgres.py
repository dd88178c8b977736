"""A real PostgreSQL for a test, from Debian's packages: its own data directory, a free port, no network."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADMIN_PASSWORD = "admin-password"


def _account() -> tuple[int, int]:
    """PostgreSQL refuses to run as root: then the user that its package makes runs it."""
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    return user.pw_uid, user.pw_gid


ACCOUNT = _account()


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server whose accounts need their passwords, and give the URL of its administrator."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        data, password = Path(name, "data"), Path(name, "password")
        password.write_text(ADMIN_PASSWORD)
        for path in (Path(name), password):
            os.chown(path, *ACCOUNT)
        port = _free_port()
        _run("initdb", "-D", data, "-U", "admin", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        _run("pg_ctl", "-D", data, "-w", "-o", options, "-l", data / "log", "start")
        try:
            yield f"postgresql://admin:{ADMIN_PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def _run(program: str, *arguments: object) -> None:
    found = shutil.which(program) or max(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), default=None)
    assert found, f"{program} is missing: install Debian's package postgresql"
    subprocess.run(
        [found, *map(str, arguments)],
        check=True,
        user=ACCOUNT[0],
        group=ACCOUNT[1],
        stdout=subprocess.DEVNULL,
        cwd="/",
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
