"""Roles of targets, assumed by STS: the vendor's provider against a stub of AssumeRole over TLS.

The stub checks what the vendor documents of a request (AssumeRole, API version 2015-04-01; signature version
1.0 with HMAC-SHA1): it is independent of the provider, which signs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import orjson
import pytest
from alibabacloud_credentials.utils import auth_util
from support.certificates import Authority
from support.proxy import forward_proxy

from bulkseed.errors import CredentialsError
from bulkseed.model import Target
from bulkseed.targets.apply import resolve
from bulkseed.targets.spec import TargetSpec

ROLE = "acs:ram::1234567890123456:role/bulkseed"
HOST = "sts.aliyuncs.com"
KEY, SECRET = "fake-id", "fake-secret"


def signature_of(query: Mapping[str, str]) -> str:
    """Return the signature that a GET with these parameters must have."""
    pairs = sorted((name, text) for name, text in query.items() if name != "Signature")
    text = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
    to_sign = f"GET&%2F&{quote(text, safe='~')}".encode()
    return base64.b64encode(hmac.digest(f"{SECRET}&".encode(), to_sign, hashlib.sha1)).decode()


@asynccontextmanager
async def assuming(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, status: int = 200
) -> AsyncIterator[list[dict[str, str]]]:
    """Answer AssumeRole in the place of the public STS, and give the queries that came."""
    queries: list[dict[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        queries.append(dict(parse_qsl(urlsplit(head.split()[1].decode()).query)))
        role = {
            "AccessKeyId": "STS.fake-id",
            "AccessKeySecret": "fake-assumed-secret",
            "SecurityToken": "fake-token",
            "Expiration": "2099-01-01T00:00:00Z",
        }
        body = orjson.dumps({"Credentials": role} if status == 200 else {"Code": "NoPermission"})
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body))
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    context = authority.server_context(HOST)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server, forward_proxy(server.sockets[0].getsockname()[1]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
        # The vendor's library reads them when it is imported, which an earlier test may have done.
        monkeypatch.setattr(auth_util, "environment_access_key_id", KEY)
        monkeypatch.setattr(auth_util, "environment_access_key_secret", SECRET)
        yield queries


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
    async with assuming(authority, monkeypatch) as queries:
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
    async with assuming(authority, monkeypatch, status=403):
        target = resolve(TargetSpec("a", "cn-hangzhou", role_arn=ROLE))
        with pytest.raises(CredentialsError, match=f"{ROLE} could not be assumed") as refused:
            await asyncio.to_thread(target.credentials.fetch)  # type: ignore[union-attr]  # a role's are fetched
    assert SECRET not in str(refused.value)
