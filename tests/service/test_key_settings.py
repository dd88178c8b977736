"""Keys beyond their states: aliases, filters, protection, descriptions, policies, tags by resource."""

from __future__ import annotations

import orjson
import pytest
from support.kms import UNLIMITED, Desk, create, value_of

from bulkseed.service.options import ServiceOptions
from bulkseed.service.storage import store
from bulkseed.wire.actions import (
    batch_get_secret_value,
    create_alias,
    create_key,
    delete_alias,
    delete_secret,
    describe_account_kms_status,
    describe_key,
    describe_regions,
    describe_secret,
    disable_key,
    get_key_policy,
    get_secret_policy,
    list_aliases,
    list_aliases_by_key_id,
    list_keys,
    list_resource_tags,
    list_secrets,
    list_tag_resources,
    open_kms_service,
    schedule_key_deletion,
    set_deletion_protection,
    set_key_policy,
    set_secret_policy,
    tag_resources,
    untag_resources,
    update_alias,
    update_key_description,
    update_secret,
)
from bulkseed.wire.actions.tag_resources import TagPair
from bulkseed.wire.encoding import canonical_query
from bulkseed.wire.message import Call

POLICY = orjson.dumps(
    {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Principal": {"RAM": ["*"]}, "Action": ["kms:*"], "Resource": ["*"]}
        ],
    }
).decode()


def keys_of(desk: Desk, **filters: list[str]) -> list[str]:
    """Return the ids that ListKeys gives for filters."""
    text = orjson.dumps([{"Key": key, "Values": values} for key, values in filters.items()]).decode()
    return [key.key_id for key in desk.ask(list_keys.Request(text, page_size=100)).keys]


def test_an_alias_goes_wherever_a_key_id_goes() -> None:
    """In every action of keys and as EncryptionKeyId; it moves to another key of its kind, and goes."""
    desk = Desk()
    first, second = (desk.ask(create_key.Request()).key_metadata.key_id for _ in range(2))
    assert desk.code(create_alias.Request("alias/app", first)) is None
    assert desk.code(create_alias.Request("alias/app", second)) == "Rejected.ResourceExist"
    for bad in ("app", "alias/", "alias/acs/x", "alias/" + "x" * 250, "alias/é"):
        assert desk.code(create_alias.Request(bad, first)) == "InvalidParameter"
    arn = "acs:kms:cn-hangzhou:1000000000000001:alias/app"
    for name in ("alias/app", arn):
        assert desk.ask(describe_key.Request(name)).key_metadata.key_id == first
    desk.ask(create("s", encryption_key_id="alias/app"))
    assert desk.ask(describe_secret.Request("s")).encryption_key_id == first
    entry = desk.ask(list_aliases.Request()).aliases[0]
    assert (entry.alias_name, entry.alias_arn, entry.key_id) == ("alias/app", arn, first)
    desk.ask(update_alias.Request("alias/app", second))
    assert desk.ask(list_aliases_by_key_id.Request(first)).total_count == 0
    assert desk.ask(list_aliases_by_key_id.Request("alias/app")).aliases[0].key_id == second
    rsa = desk.ask(create_key.Request(key_spec="EC_P256")).key_metadata.key_id
    assert desk.code(update_alias.Request("alias/app", rsa)) == "InvalidParameter"
    desk.ask(disable_key.Request("alias/app"))
    assert keys_of(desk, KeyState=["Disabled"]) == [second]
    assert keys_of(desk, AliasName=["alias/app"]) == [second]
    desk.ask(delete_alias.Request("alias/app"))
    for request in (describe_key.Request("alias/app"), delete_alias.Request("alias/app")):
        assert desk.code(request) == "Forbidden.AliasNotFound"


def test_filters_of_keys() -> None:
    """Values of one key are alternatives, keys add up; what is malformed is refused."""
    desk = Desk()
    desk.ask(create("s"))
    tags = '[{"TagKey":"a","TagValue":"1"}]'
    mine = desk.ask(create_key.Request(tags=tags)).key_metadata.key_id
    ec = desk.ask(create_key.Request(key_spec="EC_P256")).key_metadata.key_id
    assert set(keys_of(desk, CreatorType=["User"])) == {mine, ec}
    assert len(keys_of(desk, CreatorType=["Service"])) == 1
    assert keys_of(desk, KeySpec=["EC_P256"]) == [ec]
    assert keys_of(desk, TagKey=["a"], TagValue=["1", "2"]) == [mine]
    assert keys_of(desk, KeyState=["Disabled"]) == []
    repeated = '[{"Key":"keyId","Values":["%s"]},{"Key":"keyId","Values":["%s"]}]'
    assert desk.ask(list_keys.Request(repeated.replace("%s", mine, 1).replace("%s", ec))).total_count == 2
    for bad in ("x", "{}", '[{"Key":"Colour","Values":["x"]}]', '[{"Key":"KeyState","Values":"x"}]'):
        assert desk.code(list_keys.Request(bad)) == "InvalidParameter"


def test_keys_of_the_service_stay_as_they_are() -> None:
    """A caller cannot disable or delete the key that Secrets Manager made."""
    desk = Desk()
    desk.ask(create("s"))
    key = str(desk.ask(describe_secret.Request("s")).encryption_key_id)
    assert desk.code(disable_key.Request(key)) == "Forbidden.NoPermission"
    assert desk.code(schedule_key_deletion.Request(key, 7)) == "Forbidden.NoPermission"
    assert value_of(desk, "s") == "value"


def test_usages_by_specification() -> None:
    """The default signs where the key can, and a key does nothing that its specification cannot."""
    desk = Desk()
    assert (
        desk.code(create_key.Request(key_spec="EC_P256", key_usage="ENCRYPT/DECRYPT")) == "InvalidParameter"
    )
    assert desk.ask(create_key.Request(key_spec="RSA_2048")).key_metadata.key_usage == "SIGN/VERIFY"
    assert desk.ask(create_key.Request()).key_metadata.key_usage == "ENCRYPT/DECRYPT"


def test_a_protected_key_is_not_deleted() -> None:
    """Until the protection is taken away; it is shown with its reason."""
    desk = Desk()
    key = desk.ask(create_key.Request()).key_metadata
    assert key.deletion_protection is None
    desk.ask(set_deletion_protection.Request(True, key.arn, deletion_protection_description="why"))
    shown = desk.ask(describe_key.Request(key.key_id)).key_metadata
    assert (shown.deletion_protection, shown.deletion_protection_description) == ("Enabled", "why")
    assert desk.code(schedule_key_deletion.Request(key.key_id, 7)) == "Rejected.StateModifiedFailed"
    desk.ask(set_deletion_protection.Request(False, key_id=key.key_id))
    assert desk.code(schedule_key_deletion.Request(key.key_id, 7)) is None
    assert desk.code(set_deletion_protection.Request(True)) == "MissingParameter"


def test_descriptions_and_policies_are_kept() -> None:
    """What is set is returned; without one there is a default that gives the account everything."""
    desk = Desk()
    key = desk.ask(create_key.Request(policy=POLICY)).key_metadata.key_id
    assert desk.ask(get_key_policy.Request(key)).policy == POLICY
    desk.ask(update_key_description.Request(key, "words"))
    assert desk.ask(describe_key.Request(key)).key_metadata.description == "words"
    assert desk.code(update_key_description.Request(key, "x" * 8193)) == "InvalidParameter"
    desk.ask(create("s"))
    assert "1000000000000001:root" in desk.ask(get_secret_policy.Request("s")).policy
    desk.ask(set_secret_policy.Request("s", POLICY, "default"))
    assert desk.ask(get_secret_policy.Request("s", "default")).policy == POLICY
    assert desk.code(set_secret_policy.Request("s", "{}")) == "InvalidParameter"
    assert desk.code(set_secret_policy.Request("s", POLICY, "other")) == "InvalidParameter"
    assert desk.code(get_secret_policy.Request("none")) == "Forbidden.ResourceNotFound"
    assert desk.code(set_key_policy.Request("none", POLICY)) == "Forbidden.KeyNotFound"


def test_tags_by_resource() -> None:
    """Secrets by name and keys by id: add, replace, list with and without filters, take away."""
    desk = Desk()
    for name in ("a", "b", "c"):
        desk.ask(create(name))
    key = desk.ask(create_key.Request()).key_metadata.key_id
    desk.ask(tag_resources.Request("secret", ("a", "b"), (TagPair("k", "1"), TagPair("l"))))
    desk.ask(tag_resources.Request("secret", ("b",), (TagPair("k", "2"),)))
    desk.ask(tag_resources.Request("key", (key,), (TagPair("k", "3"),)))

    def listed(kind: str, *ids: str, tag: tuple[TagPair, ...] = ()) -> list[tuple[str, str, str]]:
        found = desk.ask(list_tag_resources.Request(kind, ids, tag)).tag_resources
        return [(entry.resource_id, entry.tag_key, entry.tag_value) for entry in found]

    everything = [("a", "k", "1"), ("a", "l", ""), ("b", "k", "2"), ("b", "l", "")]
    assert listed("secret") == listed("secret", "a", "b", "c") == everything
    assert listed("secret", tag=(TagPair("k", "2"),)) == everything[2:]
    assert listed("key", key) == [(key, "k", "3")]
    tags = desk.ask(list_resource_tags.Request(key)).tags
    assert [(tag.key_id, tag.tag_key, tag.tag_value) for tag in tags] == [(key, "k", "3")]
    desk.ask(untag_resources.Request("secret", ("a",), ("k", "x")))
    desk.ask(untag_resources.Request("secret", ("b",), all=True))
    assert listed("secret") == [("a", "l", "")]
    assert (
        desk.code(tag_resources.Request("secret", ("a", "none"), (TagPair("z", "1"),)))
        == "Forbidden.ResourceNotFound"
    )
    assert listed("secret") == [("a", "l", "")], "all or none"
    for bad in (
        tag_resources.Request("secret", ("a",)),
        tag_resources.Request("secret", (), (TagPair("k", "1"),)),
        tag_resources.Request("disk", ("a",), (TagPair("k", "1"),)),
        tag_resources.Request("secret", ("a",), (TagPair("acs:k", "1"),)),
        untag_resources.Request("secret", ("a",)),
        list_tag_resources.Request("disk"),
    ):
        assert desk.code(bad) == "InvalidParameter", bad


@pytest.mark.parametrize(("count", "pages"), [(200, 1), (230, 2)])
def test_more_tags_than_a_page_come_with_a_token(count: int, pages: int) -> None:
    """Page by page, each resource once; a page that is just full has none after it."""
    desk = Desk()
    for number in range(count):
        desk.ask(create(f"s{number:03}", tags='[{"TagKey":"k","TagValue":"v"}]'))
    seen: list[str] = []
    token: str | None = None
    asked = 0
    while token != "":
        asked += 1
        reply = desk.ask(list_tag_resources.Request("secret", next_token=token))
        seen += [entry.resource_id for entry in reply.tag_resources]
        token = reply.next_token
    assert seen == [f"s{number:03}" for number in range(count)]
    assert asked == pages


def test_many_values_at_once() -> None:
    """What can be read is there, and each error names its secret."""
    desk = Desk()
    desk.ask(create("a", "one")), desk.ask(create("b", "two"))
    wanted = [
        {"SecretName": "a"},
        {"SecretName": "b", "VersionId": "v9"},
        {"SecretName": "b", "VersionId": "v1"},
    ]
    reply = desk.ask(batch_get_secret_value.Request(orjson.dumps(wanted).decode()))
    assert [(v.secret_name, v.secret_data.reveal()) for v in reply.secret_values] == [
        ("a", "one"),
        ("b", "two"),
    ]
    (error,) = reply.errors
    assert (error.secret_name, error.code, error.http_status) == ("b", "Forbidden.ResourceNotFound", 404)
    for bad in (
        "",
        "x",
        "{}",
        "[]",
        "[1]",
        "[{}]",
        '[{"SecretName":7}]',
        orjson.dumps([wanted[0]] * 21).decode(),
    ):
        assert desk.code(batch_get_secret_value.Request(bad)) in ("InvalidParameter", "MissingParameter")


def test_what_clients_ask_first() -> None:
    """Regions, and that the service is open."""
    desk = Desk(ServiceOptions(region="moon-1", **UNLIMITED))
    regions = {region.region_id for region in desk.ask(describe_regions.Request()).regions}
    assert {"moon-1", "cn-hangzhou"} <= regions
    assert desk.ask(describe_account_kms_status.Request()).account_status == "Enabled"
    assert desk.code(open_kms_service.Request()) is None


def test_what_has_no_effect_is_ignored() -> None:
    """A Generic secret's configuration and rotation, and the interval of a rotation that is off."""
    desk = Desk()
    config = "no JSON" + "x" * 2000
    created = desk.ask(
        create("s", extended_config=config, enable_automatic_rotation=True, rotation_interval="1s")
    )
    assert (created.automatic_rotation, created.extended_config) == (None, None)
    described = desk.ask(describe_secret.Request("s"))
    assert (described.automatic_rotation, described.next_rotation_date) == (None, None)


@pytest.mark.parametrize("prefix", ["ExtendedConfig.CustomData", "ExtendedConfig.CustomData.new"])
def test_custom_data_in_either_form(prefix: str) -> None:
    """One JSON text, or a parameter for each key (SDK 3.3.1); a Generic secret has none."""
    desk = Desk()
    config = '{"SecretSubType":"SingleUser","DBInstanceId":"rm-1"}'
    value = '{"Accounts":[{"AccountName":"a","AccountPassword":"p"}]}'
    desk.ask(create("r", value, secret_type="Rds", extended_config=config))
    desk.ask(create("g"))
    text = "value" if prefix.endswith("new") else '{"new":"value"}'
    for name, status in (("r", 200), ("g", 400)):
        query = canonical_query({"SecretName": name, prefix: text}.items())
        assert desk.send(Call("UpdateSecret", query)).status == status
    shown = desk.ask(describe_secret.Request("r")).extended_config
    assert orjson.loads(shown)["CustomData"] == {"new": "value"}


def test_an_empty_description_clears_it() -> None:
    """Absent leaves it, empty takes it away."""
    desk = Desk()
    desk.ask(create("s", description="words"))
    desk.ask(update_secret.Request("s"))
    assert desk.ask(describe_secret.Request("s")).description == "words"
    desk.ask(update_secret.Request("s", ""))
    assert desk.ask(describe_secret.Request("s")).description == ""


def test_filters_of_secrets() -> None:
    """Up to ten entries; the type in any case, as the SDK spells it."""
    desk = Desk()
    value = '{"Accounts":[{"AccountName":"a","AccountPassword":"p"}]}'
    config = '{"SecretSubType":"SingleUser","DBInstanceId":"rm-1"}'
    desk.ask(create("r", value, secret_type="Rds", extended_config=config)), desk.ask(create("g"))
    entry = {"Key": "SecretType", "Values": ["RDS"]}
    for count, expected in ((1, None), (10, None), (11, "InvalidParameter")):
        request = list_secrets.Request(orjson.dumps([entry] * count).decode())
        assert desk.code(request) == expected
    assert [
        s.secret_name for s in desk.ask(list_secrets.Request(orjson.dumps([entry]).decode())).secret_list
    ] == ["r"]


def test_pages_hold_every_secret_once_whatever_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps in the order of creation shift nothing."""
    monkeypatch.setattr(store, "_BLOCK_BITS", 3)
    desk = Desk()
    gone = (*range(10, 34), 59, 0)
    for number in range(60):
        desk.ask(create(f"s{number:02}"))
    for number in gone:
        desk.ask(delete_secret.Request(f"s{number:02}", True))
    left = [f"s{number:02}" for number in range(60) if number not in gone]
    for size in (1, 7, 100):
        seen: list[str] = []
        for page in range(1, 36):
            found = desk.ask(list_secrets.Request(page_number=page, page_size=size))
            assert found.total_count == len(left)
            seen += [secret.secret_name for secret in found.secret_list]
        assert seen == left
