"""Rotation of managed secrets: simulated without a database, and with a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from support.kms import NOW, UNLIMITED, Desk
from support.postgres import postgres

from bulkseed.errors import UsageError
from bulkseed.model import SecretValue
from bulkseed.service.build import build_kms
from bulkseed.service.options import ServiceOptions
from bulkseed.service.rotation import RETRY_SECONDS
from bulkseed.service.shell.databases import Databases, read_databases
from bulkseed.service.shell.group_commit import Gate
from bulkseed.wire.actions import (
    create_key,
    create_secret,
    describe_secret,
    disable_key,
    enable_key,
    get_secret_value,
    list_secret_version_ids,
    rotate_secret,
    update_secret_rotation_policy,
    update_secret_version_stage,
)
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.signing.verify import SIGNATURES

DAY = 86_400
Account = dict[str, str]


def accounts(*pairs: tuple[str, str]) -> str:
    """Return a value of accounts and passwords."""
    listed = [{"AccountName": name, "AccountPassword": password} for name, password in pairs]
    return orjson.dumps({"Accounts": listed}).decode()


def rds(
    name: str, value: str, sub_type: str = "SingleUser", interval: str | None = None, key: str | None = None
) -> create_secret.Request:
    """Return a CreateSecret of a managed RDS secret."""
    config = orjson.dumps({"SecretSubType": sub_type, "DBInstanceId": "rm-1"}).decode()
    return create_secret.Request(
        name,
        "v1",
        SecretValue(value),
        secret_type="Rds",
        extended_config=config,
        enable_automatic_rotation=interval is not None,
        rotation_interval=interval,
        encryption_key_id=key,
    )


def account(desk: Desk, name: str, stage: str | None = None) -> Account:
    """Return the account that a stage refers to."""
    reply = desk.ask(get_secret_value.Request(name, version_stage=stage))
    found: Account = orjson.loads(reply.secret_data.reveal())
    return found


def test_a_single_user_gets_a_new_password() -> None:
    """RotateSecret: the account stays, its password changes, the old version is ACSPrevious."""
    desk = Desk()
    desk.ask(rds("s", accounts(("app", "first"))))
    reply = desk.ask(rotate_secret.Request("s", "v2"))
    assert (reply.secret_name, reply.version_id) == ("s", "v2")
    now, before = account(desk, "s"), account(desk, "s", "ACSPrevious")
    assert now["AccountName"] == before["AccountName"] == "app"
    assert before["AccountPassword"] == "first" != now["AccountPassword"]
    assert len(now["AccountPassword"]) == 32
    assert desk.code(rotate_secret.Request("s", "v2")) is None
    assert account(desk, "s") == now, "a version id that is used already is ignored"
    assert desk.code(rotate_secret.Request("s", "v" * 65)) == "InvalidParameter"


def test_two_users_take_turns() -> None:
    """DoubleUsers: the account of ACSPrevious gets a new password, and the two are switched."""
    desk = Desk()
    desk.ask(rds("d", accounts(("a", "a1"), ("b", "b1")), "DoubleUsers"))
    assert account(desk, "d") == {"AccountName": "a", "AccountPassword": "a1"}
    assert account(desk, "d", "ACSPrevious") == {"AccountName": "b", "AccountPassword": "b1"}
    seen = []
    for number in range(2, 6):
        current = account(desk, "d")
        desk.ask(rotate_secret.Request("d", f"v{number}"))
        assert account(desk, "d", "ACSPrevious") == current, "whoever uses it keeps working"
        seen.append(account(desk, "d")["AccountName"])
    assert seen == ["b", "a", "b", "a"]


def test_rotation_runs_when_due_and_not_before() -> None:
    """NextRotationDate is kept to the second, again and again; the policy switches it off and on."""
    desk = Desk()
    desk.ask(rds("s", accounts(("app", "first")), interval="6h"))
    desk.now = NOW + 6 * 3600 - 1
    assert account(desk, "s")["AccountPassword"] == "first"
    desk.now += 1
    second = account(desk, "s")["AccountPassword"]
    assert second != "first"
    described = desk.ask(describe_secret.Request("s"))
    assert described.last_rotation_date == "2027-01-15T14:00:00Z"
    assert described.next_rotation_date == "2027-01-15T20:00:00Z"
    desk.now += 6 * 3600
    assert account(desk, "s")["AccountPassword"] != second
    desk.ask(update_secret_rotation_policy.Request("s", False))
    described = desk.ask(describe_secret.Request("s"))
    assert (described.automatic_rotation, described.next_rotation_date) == ("Disabled", None)
    third = account(desk, "s")
    desk.now += 30 * DAY
    assert account(desk, "s") == third
    assert desk.code(update_secret_rotation_policy.Request("s", True)) == "MissingParameter"
    assert desk.code(update_secret_rotation_policy.Request("s", True, "366d")) == "InvalidParameter"
    desk.ask(update_secret_rotation_policy.Request("s", True, "7d"))
    assert desk.ask(describe_secret.Request("s")).rotation_interval == "604800s"
    desk.now += 7 * DAY
    assert account(desk, "s") != third


def test_a_key_that_may_not_be_used_stops_rotation() -> None:
    """The secret says Invalid, keeps its version, and recovers by itself."""
    desk = Desk()
    key = desk.ask(create_key.Request()).key_metadata.key_id
    desk.ask(rds("s", accounts(("app", "first")), interval="6h", key=key))
    desk.ask(disable_key.Request(key))
    desk.now += 6 * 3600
    assert desk.ask(describe_secret.Request("s")).automatic_rotation == "Invalid"
    assert desk.code(rotate_secret.Request("s", "v2")) == "Rejected.Disabled"
    desk.ask(enable_key.Request(key))
    assert account(desk, "s")["AccountPassword"] == "first"
    desk.now += RETRY_SECONDS
    assert account(desk, "s")["AccountPassword"] != "first"
    assert desk.ask(describe_secret.Request("s")).automatic_rotation == "Enabled"


def test_a_second_user_is_made_by_the_first_rotation() -> None:
    """DoubleUsers with one account: ACSPrevious names it, and the two take turns from then on."""
    desk = Desk()
    desk.ask(rds("d", accounts(("a", "a1")), "DoubleUsers"))
    previous = get_secret_value.Request("d", version_stage="ACSPrevious")
    assert desk.code(previous) == "Forbidden.ResourceNotFound"
    seen = []
    for number in range(2, 5):
        current = account(desk, "d")
        desk.ask(rotate_secret.Request("d", f"v{number}"))
        assert account(desk, "d", "ACSPrevious") == current
        seen.append(account(desk, "d")["AccountName"])
    assert seen == ["a_clone", "a", "a_clone"]


def test_a_version_of_a_managed_secret_is_chosen_by_stage_only() -> None:
    """VersionId is ignored, and the service alone moves stages."""
    desk = Desk()
    desk.ask(rds("s", accounts(("app", "first"))))
    assert desk.ask(get_secret_value.Request("s", "unknown")).version_id == "v1"
    moved = update_secret_version_stage.Request("s", "ACSCurrent", "v1")
    assert desk.code(moved) == "UnsupportedOperation"


def test_rotations_without_a_ceiling() -> None:
    """`rotate_per_hour` 0 lets everything through."""
    desk = Desk(ServiceOptions(rotate_per_hour=0, **UNLIMITED))
    desk.ask(rds("s", accounts(("app", "first"))))
    assert not any(desk.code(rotate_secret.Request("s", f"r{number}")) for number in range(60))


def test_fifty_rotations_an_hour() -> None:
    """RotateSecret has a quota of its own."""
    desk = Desk()
    desk.ask(rds("s", accounts(("app", "first"))))
    codes = [desk.code(rotate_secret.Request("s", f"r{number}")) for number in range(51)]
    assert codes == [None] * 50 + ["Rejected.Throttling"]
    desk.now += 3600
    assert desk.code(rotate_secret.Request("s", "later")) is None
    assert desk.ask(list_secret_version_ids.Request("s", True)).total_count == 10


@pytest.mark.parametrize(
    ("kind", "config", "value", "fields"),
    [
        (
            "RAMCredentials",
            {"SecretSubType": "RamUserAccessKey", "UserName": "u"},
            None,
            {"AccessKeyId", "AccessKeySecret", "GenerateTimestamp"},
        ),
        (
            "ECS",
            {"SecretSubType": "Password", "RegionId": "r", "InstanceId": "i"},
            '{"UserName":"u","Password":"p"}',
            {"UserName", "Password"},
        ),
        (
            "Redis",
            {"SecretSubType": "DoubleUsers", "InstanceId": "i", "RegionId": "r"},
            "$Auto",
            {"AccountName", "AccountPassword"},
        ),
    ],
)
def test_other_types_are_simulated(kind: str, config: Account, value: str | None, fields: set[str]) -> None:
    """They rotate to a fresh value of the documented form, which they have from the start."""
    desk = Desk()
    if kind == "Redis":
        config |= {"AccountName": "u", "CloneAccountName": "u_clone", "AccountPrivilege": "RoleReadOnly"}
    name = {"RAMCredentials": "$Auto", "ECS": "acs/ecs/x", "Redis": "x"}[kind]
    value = value or '{"AccessKeys":[{"AccessKeyId":"i","AccessKeySecret":"s"}]}'
    extended = orjson.dumps(config).decode()
    created = desk.ask(
        create_secret.Request(name, "v1", SecretValue(value), secret_type=kind, extended_config=extended)
    )
    first = orjson.loads(desk.ask(get_secret_value.Request(created.secret_name)).secret_data.reveal())
    assert first.keys() == fields
    assert desk.code(rotate_secret.Request(created.secret_name, "v2")) is None
    rotated = orjson.loads(desk.ask(get_secret_value.Request(created.secret_name)).secret_data.reveal())
    assert orjson.dumps(rotated).decode() != value
    assert rotated.keys() == fields


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


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    """The administrator's URL of a real database."""
    with postgres() as url:
        yield url


async def role(admin: str, name: str, password: str) -> None:
    """Make an account in the database."""
    connection = await asyncpg.connect(admin)
    try:
        text = "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)"
        await connection.execute(await connection.fetchval(text, name, password))
    finally:
        await connection.close()


async def may_log_in(admin: str, account: Account) -> bool:
    """Tell whether the database accepts an account's password."""
    _, _, where = admin.rpartition("@")
    host, _, rest = where.partition(":")
    port, _, database = rest.partition("/")
    try:
        connection = await asyncpg.connect(
            host=host, port=int(port), database=database,
            user=account["AccountName"], password=account["AccountPassword"],
        )  # fmt: skip
    except asyncpg.InvalidPasswordError:
        return False
    await connection.close()
    return True


async def test_the_database_has_the_new_password(admin: str) -> None:
    """After a rotation the old password is refused by the database, and the new one works."""
    await role(admin, "sin'gle \"user", "first")
    clinic = Clinic(admin)
    await clinic.ask(rds("s", accounts(("sin'gle \"user", "first"))))
    assert await may_log_in(admin, await clinic.account("s"))
    await clinic.ask(rotate_secret.Request("s", "v2"))
    assert await may_log_in(admin, await clinic.account("s"))
    assert not await may_log_in(admin, await clinic.account("s", "ACSPrevious"))
    assert await clinic.state("s") == "Disabled"


async def test_two_accounts_of_the_database_take_turns(admin: str) -> None:
    """DoubleUsers: whoever still uses the version before keeps working until the next rotation."""
    await role(admin, "twin_a", "a1")
    await role(admin, "twin_b", "b1")
    clinic = Clinic(admin)
    await clinic.ask(rds("d", accounts(("twin_a", "a1"), ("twin_b", "b1")), "DoubleUsers"))
    for number in range(2, 5):
        before = await clinic.account("d")
        await clinic.ask(rotate_secret.Request("d", f"v{number}"))
        now = await clinic.account("d")
        assert now["AccountName"] != before["AccountName"]
        assert await may_log_in(admin, before)
        assert await may_log_in(admin, now)
    assert not await may_log_in(admin, {"AccountName": "twin_b", "AccountPassword": "b1"})


async def test_a_failed_change_keeps_the_version_in_force(
    admin: str, caplog: pytest.LogCaptureFixture
) -> None:
    """AutomaticRotation is Invalid, the old password works; when the cause is gone, it recovers."""
    clinic = Clinic(admin)
    await clinic.ask(rds("f", accounts(("late", "first")), interval="6h"))
    await clinic.ask(rotate_secret.Request("f", "v2"))
    assert await clinic.state("f") == "Invalid"
    assert (await clinic.account("f"))["AccountPassword"] == "first"
    seen = (await clinic.ask(list_secret_version_ids.Request("f", True))).version_ids
    assert [entry.version_id for entry in seen] == ["v1"], "no half version is seen"
    assert "UndefinedObjectError" in caplog.text
    await role(admin, "late", "first")
    async with asyncio.timeout(60), clinic.gate.ticking():
        clinic.later += RETRY_SECONDS
        while await clinic.state("f") != "Enabled":  # noqa: ASYNC110 - the state is the service's
            await asyncio.sleep(0)
    now = await clinic.account("f")
    assert now["AccountPassword"] != "first"
    assert await may_log_in(admin, now)


async def test_a_crash_between_database_and_secret_is_mended(admin: str, tmp_path: Path) -> None:
    """The service dies after the database has the new password: the next start finishes the rotation."""
    await role(admin, "crash", "first")
    clinic = Clinic(admin, tmp_path)
    await clinic.ask(rds("c", accounts(("crash", "first"))))
    request = rotate_secret.Request("c", "v2").encode()
    clinic.kms.handle(clinic._signer.sign(request, clinic.now(), "direct"), clinic.now())
    clinic.kms.commit()
    (job,) = clinic.kms.take_jobs()
    assert await Databases({"rm-1": admin}).change(job)
    clinic.kms.close()
    assert not await may_log_in(admin, {"AccountName": "crash", "AccountPassword": "first"})
    again = Clinic(admin, tmp_path)
    async with asyncio.timeout(60), again.gate.ticking():
        while (await again.account("c"))["AccountPassword"] == "first":  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
    assert await may_log_in(admin, await again.account("c"))
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


async def test_the_second_account_of_the_database_is_made(admin: str) -> None:
    """DoubleUsers with one account: the first rotation makes its twin, with which one can log in."""
    await role(admin, "lone", "l1")
    clinic = Clinic(admin)
    await clinic.ask(rds("lone", accounts(("lone", "l1")), "DoubleUsers"))
    for number, name in ((2, "lone_clone"), (3, "lone"), (4, "lone_clone")):
        await clinic.ask(rotate_secret.Request("lone", f"v{number}"))
        now = await clinic.account("lone")
        assert now["AccountName"] == name
        assert await may_log_in(admin, now)


async def test_the_administrator_is_no_managed_account(admin: str) -> None:
    """Rotating the account that rotates the others would lock the service out."""
    refused = await Clinic(admin).ask(rds("s", accounts(("admin", "x"))))
    assert refused.code == "InvalidParameter"
