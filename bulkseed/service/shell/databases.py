"""The real databases behind managed RDS secrets, and changing a password in them.

A file maps instance ids to URLs of an account that may change others' passwords; the drivers are the extra
`rds`:

    {"instances": {"rm-bp1b3dd3a506e": "postgresql://admin:password@127.0.0.1:5432/postgres",
                   "rm-uf667446pc955": "mysql://admin:password@127.0.0.1:3306?sslmode=verify-full"}}

For both kinds, `sslmode` (disable, require, verify-ca, verify-full) and `sslrootcert` say how TLS is used.
"""

from __future__ import annotations

import importlib.util
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from bulkseed.errors import UsageError
from bulkseed.service.rotation import PasswordChange
from bulkseed.wire.validation.secret_types import one_of

log = logging.getLogger(__name__)

SSL_MODES = ("disable", "require", "verify-ca", "verify-full")
TIMEOUT = 10.0  # seconds, for connecting and for each statement


class Databases:
    """Changes passwords in the databases that `urls` (instance id → URL) names."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = urls

    @property
    def administrators(self) -> dict[str, str]:
        """Return by instance the account that changes passwords."""
        return {instance: unquote(urlsplit(url).username or "") for instance, url in self.urls.items()}

    async def change(self, job: PasswordChange) -> bool:
        """Set a password; False when the database is out of reach or refuses, which the log tells."""
        url = self.urls[job.instance_id]
        try:
            await DRIVERS[urlsplit(url).scheme][1](url, job)
        except Exception as error:  # noqa: BLE001  # drivers raise what they like; the old version stays in force
            log.error(  # noqa: TRY400  # the type only: a driver's message may quote the statement
                "rotation of %s: %s: %s", job.secret_name, job.instance_id, type(error).__name__
            )
            return False
        return True


async def _postgresql(url: str, job: PasswordChange) -> None:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=TIMEOUT, command_timeout=TIMEOUT)

    async def run(template: str, *arguments: str) -> None:
        # Statements about roles take no parameters: the server itself quotes names and passwords.
        places = ", ".join(f"${number}::text" for number in range(2, len(arguments) + 2))
        await connection.execute(
            await connection.fetchval(f"SELECT format($1, {places})", template, *arguments)
        )

    try:
        exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", job.account)
        if not exists and job.like is not None:
            await run(
                "CREATE ROLE %I LOGIN IN ROLE %I PASSWORD %L", job.account, job.like, job.password.reveal()
            )
        else:
            await run("ALTER ROLE %I PASSWORD %L", job.account, job.password.reveal())
    finally:
        await connection.close(timeout=TIMEOUT)


async def _mysql(url: str, job: PasswordChange) -> None:
    import aiomysql

    parts = urlsplit(url)
    tls = _tls(dict(parse_qsl(parts.query)))
    connection = await aiomysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        connect_timeout=TIMEOUT,
        autocommit=True,
        ssl=tls,
    )
    try:
        if tls is not None and not connection._secure:  # noqa: SLF001  # aiomysql goes on without TLS
            raise ConnectionError("the server offers no TLS, and the URL asks for it")
        async with connection.cursor() as cursor:
            if job.like is not None and not await _hosts(cursor, job.account):
                for host in await _hosts(cursor, job.like):
                    await _clone(cursor, job, host)
            hosts = await _hosts(cursor, job.account)
            if not hosts:
                raise LookupError("there is no such account")
            for host in hosts:
                password = job.password.reveal()
                await cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s", (job.account, host, password))
    finally:
        connection.close()


async def _hosts(cursor: Any, account: str) -> list[str]:
    await cursor.execute("SELECT host FROM mysql.user WHERE user = %s", (account,))
    return [row[0] for row in await cursor.fetchall()]


async def _clone(cursor: Any, job: PasswordChange, host: str) -> None:
    """Make an account with the rights of another one."""
    await cursor.execute("CREATE USER %s@%s IDENTIFIED BY %s", (job.account, host, job.password.reveal()))
    await cursor.execute("SHOW GRANTS FOR %s@%s", (job.like, host))
    for (grant,) in await cursor.fetchall():
        rights = grant.rpartition(" TO ")[0].replace("%", "%%")
        await cursor.execute(f"{rights} TO %s@%s", (job.account, host))


def _tls(query: Mapping[str, str]) -> ssl.SSLContext | None:
    """Read ``sslmode`` and ``sslrootcert``, which mean what they mean to PostgreSQL."""
    mode = query.get("sslmode", "disable")
    if mode == "disable":
        return None
    # Not `create_default_context`: where SSLKEYLOGFILE is set, that writes the keys of every connection.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if (ca_file := query.get("sslrootcert")) is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    if mode != "verify-full":
        context.check_hostname = False
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


DRIVERS: dict[str, tuple[str, Callable[[str, PasswordChange], Awaitable[None]]]] = {
    "postgresql": ("asyncpg", _postgresql),
    "mysql": ("aiomysql", _mysql),
}
"""URL scheme → the driver it needs, and how a password is changed."""


def read_databases(path: Path) -> Databases:
    """Read the file that maps instances to databases.

    Raises:
        UsageError: it cannot be read, has another shape, or needs a driver that is not installed.
    """
    try:
        urls = orjson.loads(path.read_bytes())["instances"]
        schemes = {urlsplit(url).scheme for url in urls.values()}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} does not map instances to URLs ({type(error).__name__})") from None
    for instance, url in urls.items():
        if dict(parse_qsl(urlsplit(url).query)).get("sslmode", "disable") not in SSL_MODES:
            raise UsageError(f"{path}: {instance}: sslmode must be {one_of(SSL_MODES)}")
    for scheme in schemes:
        if scheme not in DRIVERS:
            raise UsageError(f"{path}: a URL must start with {' or '.join(f'{s}://' for s in DRIVERS)}")
        if importlib.util.find_spec(DRIVERS[scheme][0]) is None:
            raise UsageError(f"{path}: {scheme} needs the driver {DRIVERS[scheme][0]}: install bulkseed[rds]")
    return Databases(urls)
