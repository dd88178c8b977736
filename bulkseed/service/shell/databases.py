"""The real databases behind managed RDS secrets, and changing a password in them.

A file maps instance ids to URLs of an account that may change others' passwords; the drivers are the extra
`rds`:

    {"instances": {"rm-bp1b3dd3a506e": "postgresql://admin:password@127.0.0.1:5432/postgres",
                   "rm-uf667446pc955": "mysql://admin:password@127.0.0.1:3306"}}
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import orjson

from bulkseed.errors import UsageError
from bulkseed.service.rotation import Job

log = logging.getLogger(__name__)

TIMEOUT = 10.0  # seconds, for connecting and for each statement


class Databases:
    """Changes passwords in the databases that `urls` (instance id → URL) names."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = urls

    async def change(self, job: Job) -> bool:
        """Set a password; False when the database is out of reach or refuses, which the log tells."""
        url = self.urls[job.instance_id]
        try:
            await DRIVERS[urlsplit(url).scheme][1](url, job.account, job.password.reveal())
        except Exception as error:  # noqa: BLE001 - drivers raise what they like; the old version stays in force
            log.error(  # noqa: TRY400 - the type only: a driver's message may quote the statement
                "rotation of %s: %s: %s", job.secret_name, job.instance_id, type(error).__name__
            )
            return False
        return True


async def _postgresql(url: str, account: str, password: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=TIMEOUT, command_timeout=TIMEOUT)
    try:
        # ALTER ROLE takes no parameters: the server itself quotes name and password.
        statement = await connection.fetchval(
            "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", account, password
        )
        await connection.execute(statement)
    finally:
        await connection.close(timeout=TIMEOUT)


async def _mysql(url: str, account: str, password: str) -> None:
    import aiomysql

    parts = urlsplit(url)
    connection = await aiomysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        connect_timeout=TIMEOUT,
        autocommit=True,
    )
    try:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT host FROM mysql.user WHERE user = %s", (account,))
            hosts = [row[0] for row in await cursor.fetchall()]
            if not hosts:
                raise LookupError("there is no such account")
            for host in hosts:
                await cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s", (account, host, password))
    finally:
        connection.close()


DRIVERS: dict[str, tuple[str, Callable[[str, str, str], Awaitable[None]]]] = {
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
    for scheme in schemes:
        if scheme not in DRIVERS:
            raise UsageError(f"{path}: a URL must start with {' or '.join(f'{s}://' for s in DRIVERS)}")
        if importlib.util.find_spec(DRIVERS[scheme][0]) is None:
            raise UsageError(f"{path}: {scheme} needs the driver {DRIVERS[scheme][0]}: install bulkseed[rds]")
    return Databases(urls)
