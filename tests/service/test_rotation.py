"""Rotation of managed secrets, simulated without a database."""

from __future__ import annotations

import orjson
import pytest
from support.kms import NOW, UNLIMITED, Desk
from support.managed import DAY, Account, account, accounts, rds

from bulkseed.model import SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.service.rotation import RETRY_SECONDS
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
    """`rotate_per_hour` 0 lets everything through (E3)."""
    desk = Desk(ServiceOptions(rotate_per_hour=0, **UNLIMITED))
    desk.ask(rds("s", accounts(("app", "first"))))
    assert not any(desk.code(rotate_secret.Request("s", f"r{number}")) for number in range(60))


def test_fifty_rotations_an_hour() -> None:
    """RotateSecret has a quota of its own (E3)."""
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
