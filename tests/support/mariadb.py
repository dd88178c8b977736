"""A real MariaDB for a test, from Debian's packages: own data directory, a free port, no network, no TLS."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.programs import program

ADMIN_PASSWORD = "admin-password"


@contextmanager
def mariadb() -> Iterator[str]:
    """Run a server whose accounts need their passwords, and give the URL of its administrator."""
    server = program("mariadbd", "mariadb-server", "usr/sbin/mariadbd")
    installer = program("mariadb-install-db", "mariadb-server")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="mariadb-") as name:
        data, start = Path(name, "data"), Path(name, "start.sql")
        user = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            [installer, f"--datadir={data}", "--auth-root-authentication-method=normal", *user],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        start.write_text(
            f"CREATE USER admin@localhost IDENTIFIED BY '{ADMIN_PASSWORD}';\n"
            "GRANT ALL ON *.* TO admin@localhost WITH GRANT OPTION;\n"
        )
        command = [server, "--no-defaults", f"--datadir={data}", f"--socket={name}/s", f"--port={port}"]
        command += ["--bind-address=127.0.0.1", "--skip-ssl", f"--init-file={start}", *user]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if b"ready for connections" in line:
                    break
            yield f"mysql://admin:{ADMIN_PASSWORD}@127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate()
