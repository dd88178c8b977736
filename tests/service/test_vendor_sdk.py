"""The vendor's own SDK, unchanged, against the served process: both signatures, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from alibabacloud_kms20160120 import models
from alibabacloud_kms20160120.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from support.kms import sdk
from support.serve_process import UNLIMITED_FLAGS, served

from bulkseed.model import Target

ACCOUNTS = '{"Accounts":[{"AccountName":"app","AccountPassword":"first"}]}'
CONFIG = {"SecretSubType": "SingleUser", "DBInstanceId": "rm-1", "CustomData": {"é": "ü"}}
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One service process for the whole file."""
    with served(tmp_path_factory.mktemp("kms"), *UNLIMITED_FLAGS) as (target, _):
        yield target


@pytest.fixture(params=["acs3-sync", "acs3-async", "rpc1-sync", "rpc1-async"])
def way(request: pytest.FixtureRequest) -> str:
    """Each signature, and each of the SDK's two transports."""
    return str(request.param)


@pytest.fixture
def ask(target: Target, way: str) -> Ask:
    """Call an operation by its Python name and return the body."""
    signature, _, mode = way.partition("-")
    client: Client = sdk(target, signature)

    def call(operation: str, **parameters: Any) -> dict[str, Any]:
        model = "".join(part.capitalize() for part in operation.split("_")) + "Request"
        request = getattr(models, model)(**parameters)
        if mode == "sync":
            response = getattr(client, operation)(request)
        else:
            response = asyncio.run(getattr(client, f"{operation}_async")(request))
        assert response.status_code == 200
        body: dict[str, Any] = response.body.to_map()
        assert body["RequestId"]
        return body

    return call


def json(value: Any) -> str:
    """Return JSON text."""
    return orjson.dumps(value).decode()


def refused(ask: Ask, operation: str, **parameters: Any) -> tuple[str, int]:
    """Return code and status of the exception that the SDK raises."""
    with pytest.raises(ClientException) as caught:
        ask(operation, **parameters)
    return caught.value.code, caught.value.status_code


@pytest.mark.parametrize(
    "value",
    [" +*~%&=/?#", "\x00\x1f", "\r\n\t", "😀é", "x" * 30_720, "é" * 15_360],
    ids=["signs", "controls", "line ends", "emoji", "large", "large and not ASCII"],
)
def test_values_survive_the_sdk(ask: Ask, way: str, value: str) -> None:
    """What the SDK stores is what it reads, byte for byte."""
    name = f"{way}/values/{hash(value)}"
    ask("create_secret", secret_name=name, version_id="v1", secret_data=value)
    assert ask("get_secret_value", secret_name=name)["SecretData"] == value


def test_the_life_of_a_secret(ask: Ask, way: str) -> None:
    """Create, read, describe, list, put, stages, delete, restore."""
    name = f"{way}/life"
    tags = json([{"TagKey": "way", "TagValue": way}])
    created = ask("create_secret", secret_name=name, version_id="v1", secret_data="one", tags=tags)
    assert created["Arn"].endswith(f":secret/{name}")
    assert refused(ask, "create_secret", secret_name=name, version_id="v1", secret_data="x") == (
        "Rejected.ResourceExist",
        409,
    )
    described = ask("describe_secret", secret_name=name, fetch_tags="true")
    assert described["Tags"] == {"Tag": [{"TagKey": "way", "TagValue": way}]}
    put = ask("put_secret_value", secret_name=name, version_id="v2", secret_data="two")
    assert put["VersionStages"] == {"VersionStage": ["ACSCurrent"]}
    read = ask("get_secret_value", secret_name=name, version_stage="ACSPrevious")
    assert (read["SecretData"], read["VersionId"]) == ("one", "v1")
    ask("update_secret_version_stage", secret_name=name, version_stage="ACSCurrent", move_to_version="v1")
    versions = ask("list_secret_version_ids", secret_name=name, include_deprecated="true")
    stages = {v["VersionId"]: v["VersionStages"]["VersionStage"] for v in versions["VersionIds"]["VersionId"]}
    assert stages == {"v1": ["ACSCurrent"], "v2": ["ACSPrevious"]}
    ask("update_secret", secret_name=name, description="words")
    ask("tag_resource", secret_name=name, tags='[{"TagKey":"more","TagValue":""}]')
    ask("untag_resource", secret_name=name, tag_keys='["way"]')
    filters = json([{"Key": "SecretName", "Values": [name]}])
    listed = ask("list_secrets", filters=filters, fetch_tags="true")
    (entry,) = listed["SecretList"]["Secret"]
    assert entry["Tags"] == {"Tag": [{"TagKey": "more", "TagValue": ""}]}
    deleted = ask("delete_secret", secret_name=name, recovery_window_in_days="7")
    assert deleted["PlannedDeleteTime"]
    assert refused(ask, "create_secret", secret_name=name, version_id="v1", secret_data="x") == (
        "Rejected.ResourceInDeleteWindow",
        409,
    )
    ask("restore_secret", secret_name=name)
    assert ask("get_secret_value", secret_name=name)["SecretData"] == "one"
    ask("delete_secret", secret_name=name, force_delete_without_recovery="true")
    assert refused(ask, "describe_secret", secret_name=name) == ("Forbidden.ResourceNotFound", 404)


def test_a_managed_secret_rotates(ask: Ask, way: str) -> None:
    """ExtendedConfig as a mapping, booleans as the SDK spells them, rotation now and by policy."""
    name = f"{way}/rds"
    created = ask(
        "create_secret",
        secret_name=name,
        version_id="v1",
        secret_data=ACCOUNTS,
        secret_type="Rds",
        extended_config=CONFIG,
        enable_automatic_rotation=True,
        rotation_interval="7d",
    )
    assert (created["AutomaticRotation"], created["RotationInterval"]) == ("Enabled", "604800s")
    assert "é" in created["ExtendedConfig"]
    rotated = ask("rotate_secret", secret_name=name, version_id="v2")
    assert rotated["VersionId"] == "v2"
    now = ask("get_secret_value", secret_name=name, fetch_extended_config=True)
    assert now["VersionId"] == "v2"
    assert now["SecretData"] != ACCOUNTS
    assert now["LastRotationDate"]
    ask("update_secret_rotation_policy", secret_name=name, enable_automatic_rotation=False)
    assert ask("describe_secret", secret_name=name)["AutomaticRotation"] == "Disabled"


def test_keys(ask: Ask, way: str) -> None:
    """Create, describe, list, generate, disable, enable, schedule, cancel."""
    key = ask("create_key", description=way)["KeyMetadata"]["KeyId"]
    assert ask("describe_key", key_id=key)["KeyMetadata"]["Description"] == way
    assert ask("list_keys", page_size=1)["TotalCount"] >= 1
    data_key = ask("generate_data_key", key_id=key, encryption_context={"a": "b"})
    assert data_key["Plaintext"]
    assert data_key["CiphertextBlob"]
    secret = {"secret_name": f"{way}/key", "version_id": "v1", "secret_data": "x", "encryption_key_id": key}
    ask("disable_key", key_id=key)
    assert refused(ask, "create_secret", **secret) == ("Rejected.Disabled", 409)
    ask("enable_key", key_id=key)
    ask("create_secret", **secret)
    ask("schedule_key_deletion", key_id=key, pending_window_in_days=7)
    assert refused(ask, "get_secret_value", secret_name=f"{way}/key") == ("Rejected.PendingDeletion", 409)
    ask("cancel_key_deletion", key_id=key)
    assert ask("get_secret_value", secret_name=f"{way}/key")["SecretData"] == "x"


def test_codes_of_messages(ask: Ask) -> None:
    """A MAC is made and checked; it is not that of another message."""
    key = ask("create_key", key_spec="HMAC_SHA_256", key_usage="GENERATE/VERIFY")["KeyMetadata"]["KeyId"]
    named = {"key_id": key, "algorithm": "HMAC_SHA_256"}
    mac = ask("generate_mac", **named, message="MTIzNA==")["Mac"]
    assert ask("verify_mac", **named, message="MTIzNA==", mac=mac)["Value"] is True
    assert ask("verify_mac", **named, message="NDMyMQ==", mac=mac)["Value"] is False


def test_what_needs_no_secret(ask: Ask) -> None:
    """Passwords and quotas."""
    password = ask("get_random_password", password_length="40", exclude_punctuation="true")["RandomPassword"]
    assert len(password) == 40
    assert password.isalnum()
    infos = ask("get_kms_instance_quota_infos", resource_type="secret")["KmsInstanceQuotaInfos"]
    assert infos[0]["ResourceType"] == "secret"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"secret_data": "x", "version_id": "v1"}, ("MissingParameter", 400)),
        ({"secret_name": "no spaces", "secret_data": "x", "version_id": "v1"}, ("InvalidParameter", 400)),
        (
            {"secret_name": "k", "secret_data": "x", "version_id": "v1", "encryption_key_id": "none"},
            ("Forbidden.ResourceNotFound", 404),
        ),
        (
            {"secret_name": "k", "secret_data": "x", "version_id": "v1", "dkmsinstance_id": "none"},
            ("Forbidden.DKMSInstanceNotFound", 403),
        ),
    ],
)
def test_refusals_of_create(ask: Ask, parameters: dict[str, str], expected: tuple[str, int]) -> None:
    """The SDK raises with the code and the status of the page."""
    assert refused(ask, "create_secret", **parameters) == expected
