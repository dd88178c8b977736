"""Rotation of managed secrets in real PostgreSQL and MariaDB: one account, and two that take turns."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.databases import Database, MariaDb, PostgreSql
from support.kms import UNLIMITED
from support.managed import Account, accounts, rds

from bulkseed.errors import UsageError
from bulkseed.service.build import build_kms
from bulkseed.service.options import ServiceOptions
from bulkseed.service.rotation import RETRY_SECONDS
from bulkseed.service.shell.databases import Databases, read_databases
from bulkseed.service.shell.group_commit import Gate
from bulkseed.wire.actions import (
    describe_secret,
    get_secret_value,
    list_secret_version_ids,
    rotate_secret,
)
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.signing.verify import SIGNATURES


class Clinic:
    """A service whose instance rm-1 is a real database, in an event loop, with a clock that can be moved."""

    def __init__(self, url: str, data_dir: Path | None = None) -> None:
        self.later = 0.0
        databases = Databases({"rm-1": url})
        options = ServiceOptions(data_dir=data_dir, **UNLIMITED)
        self.kms, self._credentials = build_kms(options, databases.administrators)
        self.gate = Gate(self.kms, databases=databases, clock=self.now, steady=self.now)
        self._signer = SIGNATURES["acs3"]("kms.test", self._credentials)
        self._count = 0

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # the test has closed it
            self.kms.close()

    def now(self) -> float:
        """Return the time."""
        return time.time() + self.later

    async def ask(self, request: Any) -> Any:
        """Return the reply to a request."""
        self._count += 1
        call = request.encode()
        response = await self.gate.answer(self._signer.sign(call, self.now(), f"{id(self)}-{self._count}"))
        assert response is not None
        return ACTIONS[call.action].reply.read(response)

    async def account(self, name: str, stage: str | None = None) -> Account:
        """Return the account that a stage refers to."""
        reply = await self.ask(get_secret_value.Request(name, version_stage=stage))
        found: Account = orjson.loads(reply.secret_data.reveal())
        return found

    async def state(self, name: str) -> str:
        """Return AutomaticRotation."""
        return str((await self.ask(describe_secret.Request(name))).automatic_rotation)


@pytest.fixture(params=["PostgreSQL", "MariaDB"], scope="session")
def database(request: pytest.FixtureRequest) -> Database:
    """A real database of either kind."""
    if request.param == "MariaDB":
        return MariaDb(request.getfixturevalue("mariadb_url"))
    return PostgreSql(request.getfixturevalue("postgresql_url"))


async def test_the_database_has_the_new_password(database: Database) -> None:
    """After a rotation the old password is refused by the database, and the new one works."""
    await database.role("sin'gle \"user", "first")
    clinic = Clinic(database.url)
    await clinic.ask(rds("s", accounts(("sin'gle \"user", "first"))))
    assert await database.may_log_in(await clinic.account("s"))
    await clinic.ask(rotate_secret.Request("s", "v2"))
    assert await database.may_log_in(await clinic.account("s"))
    assert not await database.may_log_in(await clinic.account("s", "ACSPrevious"))
    assert await clinic.state("s") == "Disabled"


async def test_two_accounts_of_the_database_take_turns(database: Database) -> None:
    """DoubleUsers: whoever still uses the version before keeps working until the next rotation."""
    await database.role("twin_a", "a1")
    await database.role("twin_b", "b1")
    clinic = Clinic(database.url)
    await clinic.ask(rds("d", accounts(("twin_a", "a1"), ("twin_b", "b1")), "DoubleUsers"))
    for number in range(2, 5):
        before = await clinic.account("d")
        await clinic.ask(rotate_secret.Request("d", f"v{number}"))
        now = await clinic.account("d")
        assert now["AccountName"] != before["AccountName"]
        assert await database.may_log_in(before)
        assert await database.may_log_in(now)
    assert not await database.may_log_in({"AccountName": "twin_b", "AccountPassword": "b1"})


async def test_a_failed_change_keeps_the_version_in_force(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """AutomaticRotation is Invalid, the old password works; when the cause is gone, it recovers."""
    clinic = Clinic(database.url)
    await clinic.ask(rds("f", accounts(("late", "first")), interval="6h"))
    await clinic.ask(rotate_secret.Request("f", "v2"))
    assert await clinic.state("f") == "Invalid"
    assert (await clinic.account("f"))["AccountPassword"] == "first"
    seen = (await clinic.ask(list_secret_version_ids.Request("f", True))).version_ids
    assert [entry.version_id for entry in seen] == ["v1"], "no half version is seen"
    assert database.unknown in caplog.text
    await database.role("late", "first")
    async with asyncio.timeout(60), clinic.gate.ticking():
        clinic.later += RETRY_SECONDS
        while await clinic.state("f") != "Enabled":  # noqa: ASYNC110  # the state is the service's
            await asyncio.sleep(0)
    now = await clinic.account("f")
    assert now["AccountPassword"] != "first"
    assert await database.may_log_in(now)


async def test_a_crash_between_database_and_secret_is_mended(database: Database, tmp_path: Path) -> None:
    """The service dies after the database has the new password: the next start finishes the rotation."""
    await database.role("crash", "first")
    clinic = Clinic(database.url, tmp_path)
    await clinic.ask(rds("c", accounts(("crash", "first"))))
    request = rotate_secret.Request("c", "v2").encode()
    clinic.kms.handle(clinic._signer.sign(request, clinic.now(), "direct"), clinic.now())
    clinic.kms.commit()
    (job,) = clinic.kms.take_jobs()
    assert await Databases({"rm-1": database.url}).change(job)
    clinic.kms.close()
    assert not await database.may_log_in({"AccountName": "crash", "AccountPassword": "first"})
    again = Clinic(database.url, tmp_path)
    async with asyncio.timeout(60), again.gate.ticking():
        while (await again.account("c"))["AccountPassword"] == "first":  # noqa: ASYNC110  # likewise
            await asyncio.sleep(0)
    assert await database.may_log_in(await again.account("c"))
    again.kms.close()


async def test_a_database_out_of_reach_is_no_disaster() -> None:
    """Nobody listens there: Invalid, and the reply comes all the same."""
    clinic = Clinic("postgresql://admin:x@127.0.0.1:1/postgres")
    await clinic.ask(rds("s", accounts(("app", "first"))))
    assert isinstance(await clinic.ask(rotate_secret.Request("s", "v2")), rotate_secret.Reply)
    assert await clinic.state("s") == "Invalid"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "does not map"),
        ("[]", "does not map"),
        ('{"instances":{"rm-1":7}}', "does not map"),
        ('{"instances":{"rm-1":"oracle://x"}}', "must start with"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """With a word on why, and never with a URL, which holds a password."""
    path = tmp_path / "rds.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        read_databases(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_databases(tmp_path / "none.json")


async def test_the_second_account_of_the_database_is_made(database: Database) -> None:
    """DoubleUsers with one account: the first rotation makes its twin, with which one can log in."""
    await database.role("lone", "l1")
    clinic = Clinic(database.url)
    await clinic.ask(rds("lone", accounts(("lone", "l1")), "DoubleUsers"))
    for number, name in ((2, "lone_clone"), (3, "lone"), (4, "lone_clone")):
        await clinic.ask(rotate_secret.Request("lone", f"v{number}"))
        now = await clinic.account("lone")
        assert now["AccountName"] == name
        assert await database.may_log_in(now)


async def test_the_administrator_is_no_managed_account(database: Database) -> None:
    """Rotating the account that rotates the others would lock the service out (H18)."""
    refused = await Clinic(database.url).ask(rds("s", accounts(("admin", "x"))))
    assert refused.code == "InvalidParameter"
