"""Roles of targets, assumed by STS, and who one is there: against a stub over TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.certificates import Authority
from support.stub_sts import KEY, ROLE, SECRET, signature_of, stub_sts

from bulkseed.client.caller import sts_endpoint
from bulkseed.errors import CredentialsError
from bulkseed.jobs.caller import check_caller
from bulkseed.model import Credentials, SecretValue, Target
from bulkseed.sources.loop import SourceLoop
from bulkseed.sources.open_source import OpenSource
from bulkseed.sources.spec import from_url
from bulkseed.targets.apply import resolve
from bulkseed.targets.spec import TargetSpec


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Return an authority that the vendor's HTTP client trusts."""
    made = Authority(tmp_path)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(made.ca_file))
    return made


async def test_a_target_s_role_is_assumed_with_the_environment_s_key(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is what the vendor documents, and the target signs with the role's own credentials."""
    async with stub_sts(authority, monkeypatch) as queries:
        target: Target = resolve(TargetSpec("a", "cn-hangzhou", role_arn=ROLE))
        found = await asyncio.to_thread(target.credentials.fetch)  # type: ignore[union-attr]  # a role's are fetched
    [query] = queries
    expected = {
        "Action": "AssumeRole",
        "Version": "2015-04-01",
        "RoleArn": ROLE,
        "RoleSessionName": "bulkseed",
        "AccessKeyId": KEY,
        "DurationSeconds": "3600",
    }
    assert query | expected == query
    assert query["Signature"] == signature_of(query)
    assert found.access_key_id == "STS.fake-id"
    assert found.security_token is not None
    assert found.security_token.reveal() == "fake-token"
    assert found.expires_at == 4070908800.0


async def test_a_role_that_may_not_be_assumed_is_told_by_its_name(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not assume it reads which role that is and what to look at; no key is in the message."""
    async with stub_sts(authority, monkeypatch, status=403):
        target = resolve(TargetSpec("a", "cn-hangzhou", role_arn=ROLE))
        with pytest.raises(CredentialsError, match=f"{ROLE} could not be assumed") as refused:
            await asyncio.to_thread(target.credentials.fetch)  # type: ignore[union-attr]  # a role's are fetched
    assert SECRET not in str(refused.value)


async def checked(target: Target, endpoint: str = "https://sts.aliyuncs.com") -> list[tuple[str, str, str]]:
    """Return what is told of a target's caller."""
    return [(told.about, told.state.value, told.text) async for told in check_caller(target, endpoint)]


async def test_who_one_is_with_a_key_and_with_a_role(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each target's caller by its ARN, and its account; the request is signed as documented."""
    async with stub_sts(authority, monkeypatch) as queries:
        ca = str(authority.ca_file)
        user = resolve(TargetSpec("a", "cn-hangzhou", ca_file=ca))
        role = resolve(TargetSpec("b", "cn-hangzhou", role_arn=ROLE, ca_file=ca))
        assert await checked(user) == [
            ("caller", "ok", "acs:ram::1111111111111111:user/ann (RAMUser)"),
            ("account", "ok", "1111111111111111"),
        ]
        assert await checked(role) == [
            ("caller", "ok", "acs:ram::1234567890123456:role/bulkseed/bulkseed (AssumedRoleUser)"),
            ("account", "ok", "1234567890123456"),
        ]
    assert [query["Action"] for query in queries] == ["GetCallerIdentity", "AssumeRole", "GetCallerIdentity"]


@pytest.mark.parametrize(
    ("key", "secret", "same"),
    [(KEY, SECRET, True), ("STS.fake-id", "fake-assumed-secret", False)],
)
async def test_a_kms_is_no_source_of_its_own_account_whatever_the_key(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, key: str, secret: str, same: bool
) -> None:
    """The same region, by its address inside a network: STS tells whether two keys are of one account."""
    monkeypatch.setenv("BULKSEED_SOURCE_ALIBABA_CLOUD_ACCESS_KEY_ID", "other-id")
    monkeypatch.setenv("BULKSEED_SOURCE_ALIBABA_CLOUD_ACCESS_KEY_SECRET", "fake-other-secret")
    inside = "https://kms-vpc.cn-hangzhou.aliyuncs.com"
    target = Target(
        inside, "cn-hangzhou", Credentials(key, SecretValue(secret)), ca_file=str(authority.ca_file)
    )

    async def ask() -> tuple[bool, str]:
        source = OpenSource(from_url(f"kms://cn-hangzhou?auth.ca_file={authority.ca_file}"))
        await source.open()
        try:
            return await source.is_target(target), await source.who()
        finally:
            await source.close()

    async with stub_sts(authority, monkeypatch):
        with SourceLoop() as loop:
            found, who = await asyncio.to_thread(loop.call, ask)
    assert found is same
    account = "1111111111111111"
    assert who == f"acs:ram::{account}:user/bob of account {account}; its key does not expire"


async def test_a_caller_that_is_not_told_is_no_obstacle(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS refuses, or is out of reach, or there is none for a local KMS: each is a note with its reason."""
    local = resolve(TargetSpec("c", "cn-hangzhou", "http://127.0.0.1:9"))
    assert await checked(local) == [
        ("caller", "note", "not asked: STS does not know callers of http://127.0.0.1:9")
    ]
    async with stub_sts(authority, monkeypatch, status=403):
        target = resolve(TargetSpec("a", "cn-hangzhou", ca_file=str(authority.ca_file)))
        refused = await checked(target)
        monkeypatch.delenv("HTTPS_PROXY")
        [(_, state, text)] = await checked(target, "http://127.0.0.1:9")
    assert refused == [("caller", "note", "not told by https://sts.aliyuncs.com (NoPermission)")]
    assert (state, text.startswith("not told by http://127.0.0.1:9 (")) == ("note", True)


@pytest.mark.parametrize(
    ("region", "inside", "expected"),
    [
        ("", "", "https://sts.aliyuncs.com"),
        ("cn-beijing", "", "https://sts.cn-beijing.aliyuncs.com"),
        ("cn-beijing", "true", "https://sts-vpc.cn-beijing.aliyuncs.com"),
    ],
)
def test_sts_is_asked_where_roles_are_assumed(region: str, inside: str, expected: str) -> None:
    """As the vendor's provider chooses its host."""
    environ = {"ALIBABA_CLOUD_STS_REGION": region, "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED": inside}
    assert sts_endpoint(environ) == expected
