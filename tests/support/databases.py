"""Real databases as tests of rotation use them: accounts are made, and somebody tries to log in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from urllib.parse import urlsplit

import aiomysql
import asyncpg

from support.managed import Account

ACCESS_DENIED = 1045
"""MariaDB's number of the error."""


class Database(ABC):
    """A database by the URL of its administrator."""

    unknown: str
    """The error's name when there is no such account."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._parts = urlsplit(url)

    @property
    def _admin(self) -> Account:
        return {
            "AccountName": self._parts.username or "",
            "AccountPassword": self._parts.password or "",
        }

    @abstractmethod
    async def role(self, name: str, password: str) -> None:
        """Make an account."""

    @abstractmethod
    async def may_log_in(self, account: Account) -> bool:
        """Tell whether an account's password is accepted."""


class PostgreSql(Database):
    """PostgreSQL."""

    unknown = "UndefinedObjectError"

    async def role(self, name: str, password: str) -> None:
        """Make an account."""
        connection = await self._connect(self._admin)
        try:
            text = "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)"
            await connection.execute(await connection.fetchval(text, name, password))
        finally:
            await connection.close()

    async def may_log_in(self, account: Account) -> bool:
        """Tell whether an account's password is accepted."""
        try:
            connection = await self._connect(account)
        except asyncpg.InvalidPasswordError:
            return False
        await connection.close()
        return True

    async def _connect(self, account: Account) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=self._parts.hostname, port=self._parts.port, database=self._parts.path.lstrip("/"),
            user=account["AccountName"], password=account["AccountPassword"],
        )  # fmt: skip


class MariaDb(Database):
    """MariaDB."""

    unknown = "LookupError"

    async def role(self, name: str, password: str) -> None:
        """Make an account."""
        connection = await self._connect(self._admin)
        try:
            async with connection.cursor() as cursor:
                await cursor.execute("CREATE USER %s@localhost IDENTIFIED BY %s", (name, password))
        finally:
            connection.close()

    async def may_log_in(self, account: Account) -> bool:
        """Tell whether an account's password is accepted."""
        try:
            connection = await self._connect(account)
        except aiomysql.OperationalError as error:
            if error.args[0] != ACCESS_DENIED:
                raise
            return False
        connection.close()
        return True

    async def _connect(self, account: Account) -> aiomysql.Connection:
        return await aiomysql.connect(
            host=self._parts.hostname, port=self._parts.port, autocommit=True,
            user=account["AccountName"], password=account["AccountPassword"],
        )  # fmt: skip
