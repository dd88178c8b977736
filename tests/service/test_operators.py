"""What Terraform's provider and two Kubernetes operators send, replayed from their sources, call by call.

Each signs with `second_signer`, which shares no code with the service, and writes its requests as its client
does: Terraform by the older RPC client (common parameters in the URL, the action's own in a form), External
Secrets with GET, the CSI provider with ACS3.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Any
from urllib.parse import quote_plus

import orjson
import pytest
from support import second_signer
from support.kms import NOW, Desk

from bulkseed.model import Credentials
from bulkseed.service.shell.plain_request import read_plain
from bulkseed.wire.encoding import timestamp

HOST = "kms.cn-hangzhou.aliyuncs.com"
FORM = "application/x-www-form-urlencoded"


class Operator:
    """Sends calls to a service of its own, as one client writes them; gives the code of a fault."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.nonces = itertools.count()
        assert isinstance(self.desk.credentials, Credentials)
        self.key = self.desk.credentials.access_key_id
        self.secret = self.desk.credentials.access_key_secret.reveal()

    def common(self, action: str) -> dict[str, str]:
        """Return the parameters of RPC 1.0 that every request has."""
        return {
            "Action": action,
            "Format": "json",
            "Version": "2016-01-20",
            "Timestamp": timestamp(NOW),
            "SignatureNonce": f"nonce-{next(self.nonces)}",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "AccessKeyId": self.key,
        }

    def send(self, method: str, query: dict[str, str], headers: dict[str, str], body: str = "") -> Any:
        """Send a request as Go writes it, and return the reply, or the code of the fault."""
        lines = {"Host": HOST, "User-Agent": "AlibabaCloud (linux; amd64) Golang/1.22 Core/0.01 TeaDSL/1"}
        lines |= headers | ({"Content-Length": str(len(body))} if method == "POST" else {})
        lines |= {"Accept-Encoding": "gzip"}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        request = read_plain(f"{method} /?{encoded(query)} HTTP/1.1\r\n{head}\r\n{body}".encode())
        assert request is not None
        document = orjson.loads(self.desk.kms.handle(request, NOW).body)
        return document.get("Code") or document


def encoded(parameters: dict[str, str]) -> str:
    """Return what Go's url.Values writes: sorted, and a space as a plus sign."""
    return "&".join(f"{quote_plus(name)}={quote_plus(parameters[name])}" for name in sorted(parameters))


class Terraform(Operator):
    """terraform-provider-alicloud: POST, RPC 1.0."""

    def __call__(self, action: str, **parameters: str) -> Any:
        """Send one call."""
        query = self.common(action)
        query["Signature"] = second_signer.v1_signature("POST", query | parameters, self.secret)
        headers = {"x-acs-version": "2016-01-20", "x-acs-action": action, "Content-Type": FORM}
        return self.send("POST", query, headers, encoded(parameters))

    def do(self, action: str, **parameters: str) -> Any:
        """Send one call that is done."""
        reply = self(action, **parameters)
        assert isinstance(reply, dict), (action, reply)
        return reply

    def tags(self, kind: str, name: str) -> dict[str, str]:
        """Return the tags as its Read takes them from ListTagResources."""
        listed = self(
            "ListTagResources", **{"RegionId": "cn-hangzhou", "ResourceType": kind, "ResourceId.1": name}
        )
        return {tag["TagKey"]: tag["TagValue"] for tag in listed["TagResources"]["TagResource"]}


class ExternalSecrets(Operator):
    """external-secrets: GET, RPC 1.0, headers of ACS3 beside it, and a version that may be empty."""

    def __call__(self, name: str, version: str = "") -> Any:
        """Read a secret."""
        query = self.common("GetSecretValue") | {"SecretName": name, "VersionId": version}
        query["Signature"] = second_signer.v1_signature("GET", query, self.secret)
        return self.send("GET", query, {"X-Acs-Version": "2016-01-20", "X-Acs-Action": "GetSecretValue"})


class CsiProvider(Operator):
    """secrets-store-csi-driver-provider-alibaba-cloud: POST without a body, ACS3."""

    def __call__(self, name: str, **chosen: str) -> Any:
        """Read a secret."""
        query = {"SecretName": name, **chosen}
        headers = {
            "accept": "application/json",
            "host": HOST,
            "x-acs-action": "GetSecretValue",
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-acs-date": timestamp(NOW),
            "x-acs-signature-nonce": f"nonce-{next(self.nonces)}",
            "x-acs-version": "2016-01-20",
        }
        names = sorted(name for name in headers if name == "host" or name.startswith("x-acs-"))
        canonical = second_signer.v3_canonical_request("POST", "/", query, headers, names, b"")
        signature = second_signer.v3_signature(canonical, self.secret)
        headers["Authorization"] = second_signer.v3_authorization(self.key, names, signature)
        del headers["host"]
        return self.send("POST", query, headers)


def test_terraform_secret() -> None:
    """alicloud_kms_secret: create, read, a new version, other tags and description, destroy, read again."""
    call = Terraform()
    created = call(
        "CreateSecret",
        Description="of a plan & more",
        EnableAutomaticRotation="false",
        SecretData='{"user": "app", "password": "é+ %"}',
        SecretDataType="text",
        SecretName="tf/app",
        Tags='[{"TagKey":"team","TagValue":"a"},{"TagKey":"env","TagValue":"test"}]',
        VersionId="v1",
    )
    name = created["SecretName"]

    def read() -> list[Any]:
        described = call("DescribeSecret", SecretName=name)
        value = call("GetSecretValue", SecretName=name)
        assert value["SecretDataType"] == "text"
        stages = value["VersionStages"]["VersionStage"]
        tags = call.tags("secret", name)
        return [described["Description"], value["SecretData"], value["VersionId"], stages, tags]

    tags = {"team": "a", "env": "test"}
    first = ["of a plan & more", '{"user": "app", "password": "é+ %"}', "v1", ["ACSCurrent"], tags]
    assert read() == first
    stages = '["ACSCurrent","blue"]'
    call.do("PutSecretValue", SecretName=name, SecretData="two", VersionId="v2", VersionStages=stages)
    of_secret = {"RegionId": "cn-hangzhou", "ResourceType": "secret", "ResourceId.1": name}
    call.do("UntagResources", **of_secret, **{"TagKey.1": "env"})
    call.do("TagResources", **of_secret, **{"Tag.1.Key": "team", "Tag.1.Value": "b"})
    call.do("UpdateSecret", SecretName=name, Description="other")
    assert read() == ["other", "two", "v2", ["ACSCurrent", "blue"], {"team": "b"}]
    policy = call("GetSecretPolicy", SecretName=name, PolicyName="default")
    assert policy == "Forbidden.ResourceNotFound" or "Policy" in policy
    deleting = {"ForceDeleteWithoutRecovery": "false", "RecoveryWindowInDays": "7"}
    assert call("DeleteSecret", SecretName=name, **deleting)["PlannedDeleteTime"]
    # A plan after that: Read says that it is leaving, and to create it again fails until it is restored.
    assert call("DescribeSecret", SecretName=name)["PlannedDeleteTime"]
    again = {"SecretName": name, "SecretData": "x", "VersionId": "v1"}
    assert call("CreateSecret", **again) == "Rejected.ResourceInDeleteWindow"
    deleting["ForceDeleteWithoutRecovery"] = "true"
    assert call("DeleteSecret", SecretName=name, **deleting)["SecretName"] == name
    assert call("DescribeSecret", SecretName=name) == "Forbidden.ResourceNotFound"
    assert call("DeleteSecret", SecretName=name, **deleting) == "Forbidden.ResourceNotFound"


def test_terraform_key() -> None:
    """alicloud_kms_key: create, read, every update that it knows, destroy."""
    call = Terraform()
    key = call(
        "CreateKey",
        Description="of a plan",
        EnableAutomaticRotation="true",
        KeySpec="Aliyun_AES_256",
        KeyUsage="ENCRYPT/DECRYPT",
        Origin="Aliyun_KMS",
        ProtectionLevel="SOFTWARE",
        RotationInterval="365d",
        Tags='[{"TagKey":"team","TagValue":"a"}]',
    )["KeyMetadata"]["KeyId"]

    def read() -> dict[str, Any]:
        found: dict[str, Any] = call("DescribeKey", KeyId=key)["KeyMetadata"]
        return found

    assert {"Arn", "CreationDate", "Creator", "PrimaryKeyVersion", "NextRotationDate"} <= read().keys()
    assert (read()["AutomaticRotation"], read()["RotationInterval"]) == ("Enabled", "31536000s")
    assert call.tags("key", key) == {"team": "a"}
    for action, state in (("DisableKey", "Disabled"), ("EnableKey", "Enabled")):
        call.do(action, KeyId=key)
        assert read()["KeyState"] == state
    call.do("UpdateKeyDescription", KeyId=key, Description="other words")
    call.do("UpdateRotationPolicy", KeyId=key, EnableAutomaticRotation="false")
    call.do("SetDeletionProtection", ProtectedResourceArn=read()["Arn"], EnableDeletionProtection="true")
    assert (read()["Description"], read()["AutomaticRotation"]) == ("other words", "Disabled")
    assert read()["DeletionProtection"] == "Enabled"
    statement = '{"Effect":"Allow","Action":["kms:*"],"Principal":{"RAM":["*"]},"Resource":["*"]}'
    policy = f'{{"Version":"1","Statement":[{statement}]}}'
    call.do("SetKeyPolicy", KeyId=key, Policy=policy)
    assert orjson.loads(call("GetKeyPolicy", KeyId=key, PolicyName="default")["Policy"]) == orjson.loads(
        policy
    )
    of_key = {"RegionId": "cn-hangzhou", "ResourceType": "key", "ResourceId.1": key}
    call.do("TagResources", **of_key, **{"Tag.1.Key": "env", "Tag.1.Value": "x+y"})
    assert call.tags("key", key)["env"] == "x+y"
    assert isinstance(call("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays="7"), str)
    call.do("SetDeletionProtection", ProtectedResourceArn=read()["Arn"], EnableDeletionProtection="false")
    call.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays="7")
    assert (read()["KeyState"], bool(read()["DeleteDate"])) == ("PendingDeletion", True)
    assert call("DescribeKey", KeyId="none") == "Forbidden.KeyNotFound"


def test_terraform_alias() -> None:
    """alicloud_kms_alias: create, find it among all, point it elsewhere, destroy."""
    call = Terraform()
    one, other = (call("CreateKey", Description=text)["KeyMetadata"]["KeyId"] for text in ("one", "other"))

    def read() -> str | None:
        listed = call("ListAliases", PageSize="50", PageNumber="1")
        assert listed["PageNumber"] == 1
        found = listed["Aliases"]["Alias"]
        return next((it["KeyId"] for it in found if it["AliasName"] == "alias/tf"), None)

    call.do("CreateAlias", AliasName="alias/tf", KeyId=one)
    assert read() == one
    call.do("UpdateAlias", AliasName="alias/tf", KeyId=other)
    assert read() == other
    call.do("DeleteAlias", AliasName="alias/tf")
    assert read() is None


def stored(operator: Operator) -> None:
    """Store a secret with two versions, in the service of an operator."""
    terraform = Terraform()
    terraform.desk, terraform.nonces = operator.desk, operator.nonces
    terraform.key, terraform.secret = operator.key, operator.secret
    terraform(
        "CreateSecret",
        SecretName="app/db",
        SecretData='{"user":"é b"}',
        VersionId="v1",
        SecretDataType="text",
    )
    terraform.do("PutSecretValue", SecretName="app/db", SecretData="two", VersionId="v2")


def test_external_secrets() -> None:
    """A reference with and without a version, and one to nothing."""
    read = ExternalSecrets()
    stored(read)
    assert (read("app/db")["SecretData"], read("app/db")["VersionId"]) == ("two", "v2")
    assert read("app/db", "v1")["SecretData"] == '{"user":"é b"}'
    assert read("app/none") == "Forbidden.ResourceNotFound"
    assert read("app/db", "v9") == "Forbidden.ResourceNotFound"


@pytest.mark.parametrize(
    ("chosen", "value"),
    [
        ({}, "two"),
        ({"VersionId": "v1"}, '{"user":"é b"}'),
        ({"VersionStage": "ACSPrevious"}, '{"user":"é b"}'),
    ],
)
def test_csi_provider(chosen: dict[str, str], value: str) -> None:
    """An object by name, by version and by label; it asks for the type of the value, too."""
    read = CsiProvider()
    stored(read)
    found = read("app/db", **chosen)
    assert (found["SecretData"], found["SecretDataType"]) == (value, "text")
    assert read("app/none", **chosen) == "Forbidden.ResourceNotFound"
