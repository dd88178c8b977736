"""Passwords in a real MariaDB: one account, and two that take turns."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiomysql
import pytest

from bulkseed.errors import UsageError
from bulkseed.model import SecretValue
from bulkseed.service.rotation import PasswordChange
from bulkseed.service.shell.databases import Databases, _tls, read_databases


@pytest.fixture
def admin(mariadb_url: str) -> str:
    """The administrator's URL of a real database."""
    return mariadb_url


async def ask(admin: str, account: str, password: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as an account; return the rows of the last one."""
    parts = urlsplit(admin)
    connection = await aiomysql.connect(
        host="127.0.0.1", port=parts.port or 0, user=account, password=password, autocommit=True
    )
    try:
        async with connection.cursor() as cursor:
            for statement in statements:
                await cursor.execute(statement)
            return list(await cursor.fetchall())
    finally:
        connection.close()


def job(account: str, password: str, like: str | None = None) -> PasswordChange:
    """Return a change of a password."""
    return PasswordChange("s", "rm-1", account, SecretValue(password), like, asked=True)


async def test_an_account_and_its_twin(admin: str) -> None:
    """The password changes; the second account is made with the rights of the first, and changes, too."""
    root = ("admin", urlsplit(admin).password or "")
    await ask(
        admin, *root, "CREATE DATABASE shop", "CREATE TABLE shop.goods (id INT)",
        "CREATE USER app@localhost IDENTIFIED BY 'first'", "GRANT SELECT ON shop.* TO app@localhost",
    )  # fmt: skip
    databases = Databases({"rm-1": admin})
    assert await databases.change(job("app", "sec'ond%s"))
    assert await ask(admin, "app", "sec'ond%s", "SELECT * FROM shop.goods") == []
    with pytest.raises(aiomysql.OperationalError):
        await ask(admin, "app", "first", "SELECT 1")
    for password in ("one", "two"):
        assert await databases.change(job("app_clone", password, "app"))
        assert await ask(admin, "app_clone", password, "SELECT * FROM shop.goods") == []
    assert await ask(admin, "app", "sec'ond%s", "SELECT 1") == [(1,)]
    assert not await databases.change(job("nobody", "x"))


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_no_password_goes_without_the_tls_that_is_asked_for(admin: str, mode: str) -> None:
    """This server offers none, and the driver would go on without: the old password stays (H18)."""
    root = ("admin", urlsplit(admin).password or "")
    await ask(admin, *root, f"CREATE USER '{mode}'@localhost IDENTIFIED BY 'old'")
    assert not await Databases({"rm-1": f"{admin}?sslmode={mode}"}).change(job(mode, "new"))
    assert await ask(admin, mode, "old", "SELECT 1") == [(1,)]


def test_h24_no_keys_of_a_databases_connection_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE is not honoured (H24); the control is Python's own context."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = _tls({"sslmode": "verify-full"})
    assert context is not None
    assert getattr(context, "keylog_filename", None) is None
    assert context.check_hostname
    assert ssl.create_default_context().keylog_filename is not None


def test_an_unknown_sslmode_is_refused(tmp_path: Path) -> None:
    """Nobody's typing error takes a check away; the message holds no password."""
    path = tmp_path / "rds.json"
    refused = "rm-1: sslmode must be disable, require, verify-ca or verify-full"
    for scheme in ("mysql", "postgresql"):
        path.write_text(f'{{"instances": {{"rm-1": "{scheme}://a:canary@127.0.0.1/?sslmode=verify_full"}}}}')
        with pytest.raises(UsageError, match=refused) as caught:
            read_databases(path)
        assert "canary" not in str(caught.value)
