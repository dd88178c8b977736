"""Secrets as the pages describe them: what is returned when, every error code, nothing refused is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from support.kms import UNLIMITED, Desk, create, put, value_of

from bulkseed.model import Credentials, Fault, SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import (
    create_key,
    delete_secret,
    describe_secret,
    get_kms_instance_quota_infos,
    get_random_password,
    get_secret_value,
    list_secret_version_ids,
    list_secrets,
    restore_secret,
    rotate_secret,
    tag_resource,
    untag_resource,
    update_secret,
    update_secret_rotation_policy,
    update_secret_version_stage,
)

DAY = 86_400
ACCOUNTS = '{"Accounts":[{"AccountName":"app","AccountPassword":"first"}]}'
RDS = {"secret_type": "Rds", "extended_config": '{"SecretSubType":"SingleUser","DBInstanceId":"rm-1"}'}


def stages_of(desk: Desk, name: str = "name") -> dict[str, tuple[str, ...]]:
    """Return version id → stages."""
    reply = desk.ask(list_secret_version_ids.Request(name, include_deprecated=True))
    return {entry.version_id: entry.version_stages for entry in reply.version_ids}


def test_a_generic_secret_has_the_fields_of_the_page() -> None:
    """Five fields, and none that belong to managed secrets."""
    reply = Desk().ask(create())
    assert set(reply.encode()) == {"RequestId", "Arn", "SecretName", "VersionId", "SecretType"}
    assert reply.arn == "acs:kms:cn-hangzhou:1000000000000001:secret/name"
    assert (reply.secret_type, reply.version_id) == ("Generic", "v1")


def test_a_managed_secret_has_more_fields() -> None:
    """Rds: AutomaticRotation and ExtendedConfig always, the dates only while rotation is on."""
    desk = Desk()
    off = desk.ask(create("off", ACCOUNTS, **RDS)).encode()
    assert off["AutomaticRotation"] == "Disabled"
    assert off["ExtendedConfig"] == RDS["extended_config"]
    assert not {"NextRotationDate", "RotationInterval"} & off.keys()
    on = desk.ask(
        create("on", ACCOUNTS, enable_automatic_rotation=True, rotation_interval="7d", **RDS)
    ).encode()
    assert on["AutomaticRotation"] == "Enabled"
    assert on["RotationInterval"] == "604800s"
    assert on["NextRotationDate"] == "2027-01-22T08:00:00Z"


REFUSED = [
    ({"name": ""}, "InvalidParameter"),
    ({"name": "a b"}, "InvalidParameter"),
    ({"name": "x" * 193}, "InvalidParameter"),
    ({"name": "acs/ram"}, "InvalidParameter"),
    ({"value": ""}, "InvalidParameter"),
    ({"value": "x" * 30_721}, "InvalidParameter"),
    ({"version_id": "v" * 65}, "InvalidParameter"),
    ({"secret_data_type": "number"}, "InvalidParameter"),
    ({"secret_type": "Oracle"}, "InvalidParameter"),
    ({"tags": "{}"}, "InvalidParameter"),
    ({"tags": '[{"TagKey":"acs:x","TagValue":""}]'}, "InvalidParameter"),
    ({"policy": "[]"}, "InvalidParameter"),
    ({"secret_type": "Rds"}, "InvalidParameter"),
    ({"secret_type": "Rds", "extended_config": "{}"}, "InvalidParameter"),
    ({"value": "no accounts", **RDS}, "InvalidParameter"),
    ({"value": ACCOUNTS, "secret_data_type": "binary", **RDS}, "InvalidParameter"),
    ({"value": ACCOUNTS, "enable_automatic_rotation": True, **RDS}, "InvalidParameter"),
    (
        {"value": ACCOUNTS, "enable_automatic_rotation": True, "rotation_interval": "5h", **RDS},
        "InvalidParameter",
    ),
    ({"encryption_key_id": "no such key"}, "Forbidden.ResourceNotFound"),
    ({"dkms_instance_id": "not an instance"}, "Forbidden.DKMSInstanceNotFound"),
]


@pytest.mark.parametrize(("change", "expected"), REFUSED)
def test_what_is_refused_is_not_stored(change: dict[str, Any], expected: str) -> None:
    """Every refusal has its code, and afterwards the service holds nothing new."""
    desk = Desk()
    name = change.get("name", "name")
    assert desk.code(create(**change)) == expected
    assert desk.ask(list_secrets.Request()).total_count == 0
    if name == "name":
        assert desk.code(describe_secret.Request(name)) == "Forbidden.ResourceNotFound"


def test_new_secrets_are_there_before_they_are_written(tmp_path: Path) -> None:
    """Many in one group: each name is taken at once, all can be read, and a rollback forgets them all."""
    options = ServiceOptions(data_dir=tmp_path / "d", secret_quota=40, **UNLIMITED)
    desk = Desk(options)
    assert [desk.code(create(f"s{number}", f"v{number}")) for number in range(37)] == [None] * 37
    desk.kms.rollback()
    assert desk.ask(list_secrets.Request()).total_count == 0
    assert [desk.code(create(f"s{number}", f"v{number}")) for number in range(40)] == [None] * 40
    assert desk.code(create("s39")) == "Rejected.ResourceExist"
    assert desk.code(create("s40")) == "Rejected.LimitExceeded"
    assert desk.kms.dirty
    desk.kms.commit()
    desk.kms.close()
    desk = Desk(options)
    assert [value_of(desk, f"s{number}") for number in range(40)] == [f"v{number}" for number in range(40)]
    assert desk.code(delete_secret.Request("s3", True)) is None
    assert desk.code(create("s40", "v40")) is None
    names = [entry.secret_name for entry in desk.ask(list_secrets.Request(page_size=100)).secret_list]
    assert names == [f"s{number}" for number in range(41) if number != 3]


def test_names_are_taken_once_and_in_the_delete_window() -> None:
    """ResourceExist for a secret that is there, ResourceInDeleteWindow for one that is leaving."""
    desk = Desk()
    assert desk.code(create()) is None
    assert desk.code(create(value="other")) == "Rejected.ResourceExist"
    assert value_of(desk) == "value"
    assert desk.code(delete_secret.Request("name", recovery_window_in_days=7)) is None
    assert desk.code(create()) == "Rejected.ResourceInDeleteWindow"
    assert desk.code(get_secret_value.Request("name")) == "Rejected.ResourceInDeleteWindow"
    assert desk.code(put("v2", "x")) == "Rejected.ResourceInDeleteWindow"
    assert desk.ask(describe_secret.Request("name")).planned_delete_time == "2027-01-22T08:00:00Z"
    assert desk.code(delete_secret.Request("name")) == "Rejected.ResourceInDeleteWindow"
    assert desk.code(restore_secret.Request("name")) is None
    assert desk.code(restore_secret.Request("name")) == "Rejected.ResourceInUse"
    assert value_of(desk) == "value"


def test_a_planned_deletion_is_carried_out_when_due() -> None:
    """Not a second early; then the name is free again."""
    desk = Desk()
    desk.ask(create())
    desk.ask(delete_secret.Request("name", recovery_window_in_days=7))
    desk.now += 7 * DAY - 1
    assert desk.code(create()) == "Rejected.ResourceInDeleteWindow"
    desk.now += 1
    assert desk.code(create()) is None


@pytest.mark.parametrize("days", [None, 7, 1])
def test_force_deletes_at_once(days: int | None) -> None:
    """Force wins over a window: Terraform always sends both."""
    desk = Desk()
    desk.ask(create())
    assert desk.code(delete_secret.Request("name", True, days)) is None
    assert desk.code(describe_secret.Request("name")) == "Forbidden.ResourceNotFound"
    assert desk.code(delete_secret.Request("name", True)) == "Forbidden.ResourceNotFound"
    assert desk.code(create()) is None


@pytest.mark.parametrize("days", [0, 6, 31])
def test_the_window_is_7_to_30_days(days: int) -> None:
    """Anything else is refused and deletes nothing."""
    desk = Desk()
    desk.ask(create())
    assert desk.code(delete_secret.Request("name", recovery_window_in_days=days)) == "InvalidParameter"
    assert value_of(desk) == "value"


def test_the_quota_of_secrets() -> None:
    """Full is LimitExceeded; a secret in its window still counts; the quota can be asked for."""
    desk = Desk(ServiceOptions(secret_quota=2, **UNLIMITED))
    desk.ask(create("a")), desk.ask(create("b"))
    assert desk.code(create("c")) == "Rejected.LimitExceeded"
    assert desk.code(create("a")) == "Rejected.ResourceExist"
    desk.ask(delete_secret.Request("a"))
    assert desk.code(create("c")) == "Rejected.LimitExceeded"
    (info,) = desk.ask(get_kms_instance_quota_infos.Request(resource_type="secret")).kms_instance_quota_infos
    assert (info.resource_quota, info.used_quantity) == (2, 2)
    desk.ask(delete_secret.Request("b", True))
    assert desk.code(create("c")) is None


def test_values_come_back_byte_for_byte() -> None:
    """Spaces, signs, controls, line ends, emoji, Base64, and the largest value there may be."""
    desk = Desk()
    for number, value in enumerate([" +*~%&=", "\x00\x1f\x7f", "\r\n\t", "😀é", "x" * 30_720, "é" * 15_360]):
        desk.ask(create(f"n{number}", value))
        assert value_of(desk, f"n{number}") == value
    desk.ask(create("binary", "AAEC", secret_data_type="binary"))
    assert desk.ask(get_secret_value.Request("binary")).secret_data_type == "binary"


def test_versions_and_stages() -> None:
    """A new ACSCurrent makes the old one ACSPrevious; reads go by version, by stage, or by both."""
    desk = Desk()
    desk.ask(create(value="one"))
    assert desk.ask(put("v2", "two")).version_stages == ("ACSCurrent",)
    desk.ask(put("v3", "three", version_stages='["blue"]'))
    assert stages_of(desk) == {"v1": ("ACSPrevious",), "v2": ("ACSCurrent",), "v3": ("blue",)}
    assert value_of(desk) == "two"
    assert value_of(desk, version_stage="ACSPrevious") == "one"
    assert value_of(desk, version_id="v3") == "three"
    assert value_of(desk, version_id="v3", version_stage="blue") == "three"
    mismatch = get_secret_value.Request("name", "v3", "ACSCurrent")
    assert desk.code(mismatch) == "Forbidden.ResourceNotFound"
    assert desk.code(get_secret_value.Request("name", dry_run=True)) == "DryRunOperationError"


def test_put_is_idempotent_and_never_changes_a_version() -> None:
    """The same version and value again is a success; another value is ResourceExist."""
    desk = Desk()
    desk.ask(create())
    assert desk.code(put("v2", "two")) is None
    assert desk.code(put("v2", "two")) is None
    assert desk.code(put("v2", "other")) == "Rejected.ResourceExist"
    assert desk.code(put("v2", "two", secret_data_type="binary")) == "Rejected.ResourceExist"
    assert desk.code(put("v1", "other")) == "Rejected.ResourceExist"
    assert value_of(desk) == "two"


def test_ten_versions_are_kept() -> None:
    """The oldest without a stage goes; when all have one, a new one is refused."""
    desk = Desk()
    desk.ask(create())
    for number in range(2, 13):
        desk.ask(put(f"v{number}", str(number)))
    assert list(stages_of(desk)) == [f"v{number}" for number in range(3, 13)]
    assert desk.ask(list_secret_version_ids.Request("name")).total_count == 2
    page = desk.ask(list_secret_version_ids.Request("name", True, page_number=2, page_size=4))
    assert [entry.version_id for entry in page.version_ids] == ["v7", "v8", "v9", "v10"]


def test_stages_move() -> None:
    """UpdateSecretVersionStage: moves, removals, and what does not fit together."""
    desk = Desk()
    desk.ask(create())
    desk.ask(put("v2", "two"))

    def move(stage: str, to: str | None = None, away: str | None = None) -> str | None:
        return desk.code(update_secret_version_stage.Request("name", stage, to, away))

    assert move("green", "v1") is None
    assert move("green", None, "v2") == "Rejected.InvalidRequest"
    assert move("green", None, "v1") is None
    assert move("ACSCurrent", None, "v2") == "Rejected.InvalidRequest"
    assert move("ACSCurrent") == "Rejected.InvalidRequest"
    assert move("ACSCurrent", "v9") == "Forbidden.ResourceNotFound"
    assert move("ACSCurrent", "v1", "v1") == "Rejected.InvalidRequest"
    assert move("ACSCurrent", "v1", "v2") is None
    assert stages_of(desk) == {"v1": ("ACSCurrent",), "v2": ("ACSPrevious",)}
    assert [move(f"s{number}", "v1") for number in range(6)] == [None] * 6
    assert move("s6", "v1") == "Rejected.LimitExceeded"


def test_lists_have_pages_and_filters() -> None:
    """Values of a filter are alternatives, filters add up, pages do not overlap."""
    desk = Desk()
    for number in range(25):
        colour = '[{"TagKey":"colour","TagValue":"%s"}]' % ("red" if number % 2 else "blue")
        desk.ask(create(f"n{number:02}", tags=colour, description=f"d{number % 3}"))
    first = desk.ask(list_secrets.Request())
    assert (first.total_count, first.page_number, first.page_size, len(first.secret_list)) == (25, 1, 10, 10)
    third = desk.ask(list_secrets.Request(page_number=3, page_size=10, fetch_tags=True))
    assert [secret.secret_name for secret in third.secret_list] == [f"n{n}" for n in range(20, 25)]
    assert third.secret_list[0].tags[0].tag_value == "blue"

    def count(*filters: tuple[str, list[str]]) -> int:
        text = orjson.dumps([{"Key": key, "Values": values} for key, values in filters]).decode()
        return int(desk.ask(list_secrets.Request(filters=text)).total_count)

    assert count(("SecretName", ["n01", "n02", "none"])) == 2
    assert count(("TagValue", ["red"])) == 12
    assert count(("TagKey", ["colour"]), ("Description", ["d0"])) == 9
    assert count(("SecretType", ["Rds"])) == 0
    for bad in (
        "{}",
        "[1]",
        '[{"Key":"SecretName","Values":7}]',
        '[{"Key":"Colour","Values":["a"]}]',
        '[{"Key":"SecretName","Values":[]}]',
        "[",
    ):
        assert desk.code(list_secrets.Request(filters=bad)) == "InvalidParameter"
    for number, size in ((0, 10), (1, 0), (1, 101)):
        bad_page = list_secrets.Request(page_number=number, page_size=size)
        assert desk.code(bad_page) == "InvalidParameter"


def test_metadata_changes() -> None:
    """Description, custom data and tags change; values do not."""
    desk = Desk()
    desk.ask(create("rds", ACCOUNTS, **RDS))
    desk.now += 60
    assert desk.code(update_secret.Request("rds", "words", '{"k":"v"}')) is None
    described = desk.ask(describe_secret.Request("rds"))
    assert described.description == "words"
    assert orjson.loads(described.extended_config)["CustomData"] == {"k": "v"}
    assert described.update_time > described.create_time
    assert desk.code(update_secret.Request("rds", custom_data="[]")) == "InvalidParameter"
    tags = '[{"TagKey":"a","TagValue":"1"},{"TagKey":"b","TagValue":"2"}]'
    assert desk.code(tag_resource.Request(tags, secret_name="rds")) is None
    assert desk.code(tag_resource.Request(tags)) == "InvalidParameter"
    assert desk.code(tag_resource.Request(tags, "rds", "key")) == "InvalidParameter"
    assert desk.code(untag_resource.Request('["a"]', secret_name="rds")) is None
    fetched = desk.ask(describe_secret.Request("rds", True)).tags
    assert [(tag.tag_key, tag.tag_value) for tag in fetched] == [("b", "2")]
    assert desk.code(untag_resource.Request("b,c", secret_name="rds")) is None
    assert desk.ask(describe_secret.Request("rds", True)).tags == ()
    assert orjson.loads(value_of(desk, "rds")) == orjson.loads(ACCOUNTS)["Accounts"][0]


def test_random_passwords() -> None:
    """Length and classes are as asked for; what cannot be is refused."""
    desk = Desk()

    def password(**wish: Any) -> str:
        reply = desk.ask(get_random_password.Request(**wish))
        assert not isinstance(reply, Fault), reply
        return str(reply.random_password.reveal())

    assert len(password()) == 32
    assert password(password_length=64, exclude_punctuation=True).isalnum()
    digits = password(exclude_lowercase=True, exclude_uppercase=True, exclude_punctuation=True)
    assert digits.isdigit()
    assert not set(password(password_length=128, exclude_characters="abc123")) & set("abc123")
    for bad in (
        {"password_length": 7},
        {"password_length": 129},
        {"exclude_characters": "0123456789"},
        {f"exclude_{kind}": True for kind in ("lowercase", "uppercase", "numbers", "punctuation")},
    ):
        assert desk.code(get_random_password.Request(**bad)) == "InvalidParameter"


def test_ram_users_may_do_what_statements_allow(tmp_path: Path) -> None:
    """Actions and resources by pattern; a key needs GenerateDataKey; the root may do all."""
    path = tmp_path / "policies.json"
    allow = [
        {"action": ["kms:CreateSecret", "kms:Get*"], "resource": "acs:kms:*:*:secret/ci/*"},
        {"action": "kms:ListSecrets", "resource": "*"},
    ]
    user = {"name": "ci", "access_key_id": "ci", "access_key_secret": "s", "allow": allow}
    path.write_bytes(orjson.dumps({"users": [user]}))
    desk = Desk(ServiceOptions(policies=path, **UNLIMITED))
    ci = Credentials("ci", SecretValue("s"))
    key = desk.ask(create_key.Request()).key_metadata.key_id
    assert desk.code(create("ci/a"), ci) is None
    assert desk.code(get_secret_value.Request("ci/a"), ci) is None
    arn = "acs:kms:cn-hangzhou:1000000000000001:secret/ci/a"
    assert desk.code(get_secret_value.Request(arn), ci) is None
    assert desk.code(list_secrets.Request(), ci) is None
    assert desk.code(create("other"), ci) == "Forbidden.NoPermission"
    assert desk.code(describe_secret.Request("ci/a"), ci) == "Forbidden.NoPermission"
    assert desk.code(delete_secret.Request("ci/a"), ci) == "Forbidden.NoPermission"
    assert desk.code(create("ci/b", encryption_key_id=key), ci) == "Forbidden.NoPermission"
    assert desk.code(create("other", encryption_key_id=key)) is None
    allow.append({"action": "kms:GenerateDataKey", "resource": "*:key/*"})
    path.write_bytes(orjson.dumps({"users": [user]}))
    granted = Desk(ServiceOptions(policies=path, **UNLIMITED))
    key = granted.ask(create_key.Request()).key_metadata.key_id
    assert granted.code(create("ci/b", encryption_key_id=key), ci) is None


def test_generic_secrets_do_not_rotate() -> None:
    """Both rotation actions are refused for them, and PutSecretValue for managed ones."""
    desk = Desk()
    desk.ask(create()), desk.ask(create("rds", ACCOUNTS, **RDS))
    assert desk.code(rotate_secret.Request("name", "v2")) == "InvalidParameter"
    assert desk.code(update_secret_rotation_policy.Request("name", True, "7d")) == "InvalidParameter"
    assert desk.code(put("v2", "x", "rds")) == "InvalidParameter"
