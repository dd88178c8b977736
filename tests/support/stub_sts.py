"""A stub of the public STS over TLS, behind a proxy: AssumeRole and GetCallerIdentity.

It checks what the vendor documents of a request (API version 2015-04-01; signature version 1.0 with
HMAC-SHA1 of what the vendor's provider sends, ACS3 of what bulkseed sends), with code of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, quote, urlsplit

import orjson
import pytest
from alibabacloud_credentials.utils import auth_util

from support.certificates import Authority
from support.proxy import forward_proxy
from support.second_signer import v3_canonical_request, v3_required_headers, v3_signature

ROLE = "acs:ram::1234567890123456:role/bulkseed"
HOST = "sts.aliyuncs.com"
KEY, SECRET = "fake-id", "fake-secret"
CALLERS = {
    KEY: (
        SECRET,
        {
            "IdentityType": "RAMUser",
            "AccountId": "1111111111111111",
            "Arn": "acs:ram::1111111111111111:user/ann",
            "UserId": "2",
        },
    ),
    "other-id": (
        "fake-other-secret",
        {
            "IdentityType": "RAMUser",
            "AccountId": "1111111111111111",
            "Arn": "acs:ram::1111111111111111:user/bob",
            "UserId": "4",
        },
    ),
    "STS.fake-id": (
        "fake-assumed-secret",
        {
            "IdentityType": "AssumedRoleUser",
            "AccountId": "1234567890123456",
            "Arn": f"{ROLE}/bulkseed",
            "RoleId": "3",
        },
    ),
}
"""Access key id → its secret, and who that is."""


def signature_of(query: Mapping[str, str]) -> str:
    """Return the signature that a GET with these parameters must have."""
    pairs = sorted((name, text) for name, text in query.items() if name != "Signature")
    text = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
    to_sign = f"GET&%2F&{quote(text, safe='~')}".encode()
    return base64.b64encode(hmac.digest(f"{SECRET}&".encode(), to_sign, hashlib.sha1)).decode()


def _caller(head: bytes, body: bytes) -> dict[str, str] | None:
    """Return who signed a POST (ACS3); None if it is not signed as documented."""
    line, *fields = head[:-4].decode().split("\r\n")
    headers = {name.lower(): text.strip() for name, _, text in (field.partition(":") for field in fields)}
    claims = dict(part.split("=", 1) for part in headers["authorization"].split(" ", 1)[1].split(","))
    signed = claims["SignedHeaders"].split(";")
    secret, identity = CALLERS[claims["Credential"]]
    canonical = v3_canonical_request("POST", line.split()[1], {}, headers, signed, body)
    described = headers if body else {n: t for n, t in headers.items() if n != "content-type"}
    if (
        headers["x-acs-version"] != "2015-04-01"
        or not v3_required_headers(described) <= set(signed)
        or claims["Signature"] != v3_signature(canonical, secret)
    ):
        return None
    return {"RequestId": "q", **identity}


@asynccontextmanager
async def stub_sts(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, status: int = 200
) -> AsyncIterator[list[dict[str, str]]]:
    """Answer AssumeRole and GetCallerIdentity in the place of the public STS; give the queries that came."""
    queries: list[dict[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST "):
            queries.append({"Action": "GetCallerIdentity"})
            assert b"x-acs-action: getcalleridentity\r\n" in head.lower()
            found = _caller(head, b"") if status == 200 else {"Code": "NoPermission"}
            await _reply(writer, status if found else 400, found or {"Code": "SignatureDoesNotMatch"})
            return
        queries.append(dict(parse_qsl(urlsplit(head.split()[1].decode()).query)))
        role = {
            "AccessKeyId": "STS.fake-id",
            "AccessKeySecret": "fake-assumed-secret",
            "SecurityToken": "fake-token",
            "Expiration": "2099-01-01T00:00:00Z",
        }
        await _reply(writer, status, {"Credentials": role} if status == 200 else {"Code": "NoPermission"})

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


async def _reply(writer: asyncio.StreamWriter, status: int, document: Mapping[str, object]) -> None:
    body = orjson.dumps(document)
    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)))
    writer.write(body)
    await writer.drain()
    writer.close()
