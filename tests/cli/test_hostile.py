"""Hostile replies, certificates and proxies, met by the installed command: always a verdict, soon."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.certificates import Authority
from support.command import bulkseed, environment, write_manifest
from support.hostile_server import HostileServer, Peer, Script, hostile_server, with_length
from support.proxy import forward_proxy

CANARY = "canary-behind-enemy-lines"
HASTE = ["--max-attempts", "2", "--retry-budget", "3", "--timeout", "0.3", "--qps", "0"]
ECHO = json.dumps({"Code": CANARY, "Message": CANARY, "RequestId": CANARY, "Arn": CANARY}).encode()


def fixed(*parts: bytes) -> Script:
    """Return a script that answers every request with `parts`, then closes."""

    async def script(peer: Peer) -> None:
        await peer.reply(*parts)

    return script


async def drips(peer: Peer) -> None:
    """Answer with a head and then a byte at a time, for ever."""
    await peer.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while await peer.drip():
        pass


async def resets(peer: Peer) -> None:
    """Read a request and reset the connection."""
    await peer.read_request()
    peer.reset()


async def half_closes(peer: Peer) -> None:
    """Read a request, say that nothing will come, and wait."""
    await peer.read_request()
    peer.half_close()
    await peer.until_closed()


async def keeps_silent(peer: Peer) -> None:
    """Read a request and say nothing."""
    await peer.read_request()
    await peer.until_closed()


OK = b"HTTP/1.1 200 OK\r\n"
HOSTILE: dict[str, Script] = {
    "truncated JSON": fixed(with_length(b'{"RequestId": "0a1b')),
    "a body cut off": fixed(OK + b"Content-Length: 500\r\n\r\n{"),
    "HTML from a proxy": fixed(with_length(b"<html>502</html>", b"HTTP/1.1 502 Bad Gateway\r\n")),
    "a page that is no error": fixed(
        with_length(b"<html>welcome</html>", OK + b"Content-Type: text/html\r\n")
    ),
    "an empty reply": fixed(with_length(b"")),
    "a gigantic body": fixed(OK + b"Content-Length: 5000000\r\n\r\n", b"x" * 5_000_000),
    "gigantic headers": fixed(OK + b"X: " + b"y" * 200_000 + b"\r\n\r\n"),
    "garbage": fixed(b"\x00\x16\x03 not HTTP at all\r\n\r\n"),
    "a redirect": fixed(with_length(b"", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n")),
    "chunks that end early": fixed(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
    "a success that echoes the value": fixed(with_length(ECHO)),
    "a refusal that echoes the value": fixed(with_length(ECHO, b"HTTP/1.1 400 Bad Request\r\n")),
    "nothing": fixed(),
    "a reset": resets,
    "a half-closed connection": half_closes,
    "silence": keeps_silent,
    "a slow drip": drips,
}


async def run(*arguments: object, cwd: Path, **env: str) -> tuple[int, str, str]:
    """Run the command beside a server in this loop."""
    done = await asyncio.to_thread(bulkseed, *arguments, cwd=cwd, env=environment(**env))
    return done.returncode, done.stdout, done.stderr


def manifest_of(folder: Path, count: int = 3) -> Path:
    """Write a manifest with a canary as every value."""
    return write_manifest(
        folder / "m.jsonl", [{"SecretName": f"app/{i}", "SecretData": CANARY} for i in range(count)]
    )


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
async def test_any_reply_has_a_verdict(script: Script, tmp_path: Path) -> None:
    """Whatever comes back, every definition gets an outcome that is not success, and nothing leaks."""
    async with hostile_server(script) as server:
        call = ["apply", manifest_of(tmp_path), "--endpoint", server.url, *HASTE]
        code, stdout, stderr = await run(*call, "--output", "json", "--log-level", "debug", cwd=tmp_path)
    assert code == 1, stderr
    summary = json.loads(stdout)
    outcomes = {outcome: count for outcome, count in summary["outcomes"].items() if count}
    assert summary["definitions"] == sum(outcomes.values()) == 3
    assert set(outcomes) <= {"rejected", "exhausted"}
    audit, rows, _ = await run("ledger", "audit", "m.ledger.db", cwd=tmp_path)
    assert audit == 0, rows
    _, rows, _ = await run("ledger", "rows", "m.ledger.db", cwd=tmp_path)
    for text in (stdout, stderr, rows):
        assert CANARY not in text
        assert "Traceback" not in text


BODY = b'{"RequestId": "0a1b2c3d4e5f", "VersionId": "v1"}'
ODD: dict[str, tuple[bytes, ...]] = {
    "until the connection closes": (OK + b"Connection: close\r\n\r\n", BODY),
    "in chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        *(b"1\r\n%c\r\n" % byte for byte in BODY),
        b"0\r\n\r\n",
    ),
    "byte by byte": tuple(bytes([byte]) for byte in with_length(BODY)),
    "with another content type": (with_length(BODY, OK + b"Content-Type: text/html\r\n"),),
    "after an interim reply": (b"HTTP/1.1 100 Continue\r\n\r\n", with_length(BODY)),
}


@pytest.mark.parametrize("parts", ODD.values(), ids=ODD)
async def test_an_odd_reply_that_is_whole_counts(parts: tuple[bytes, ...], tmp_path: Path) -> None:
    """However a success is wrapped, it is one: created at the first attempt."""
    async with hostile_server(fixed(*parts)) as server:
        call = ["apply", manifest_of(tmp_path), "--endpoint", server.url, *HASTE, "--timeout", 5]
        code, stdout, stderr = await run(*call, cwd=tmp_path)
    assert (code, "created: 3" in stdout, len(server.requests)) == (0, True, 3), stderr


def server_context(authority: Authority, host: str) -> ssl.SSLContext:
    """Return a context with a certificate for `host`."""
    certificate, key = authority.issue(host)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


NAME = "kms.example"
"""Resolves nowhere: only the proxy of these tests leads to the server."""


async def creates(peer: Peer) -> None:
    """Say of every secret that it was created."""
    while await peer.reply(with_length(BODY)):
        pass


@asynccontextmanager
async def over_tls(
    authority: Authority, *, proxied: bool, wrong: bool = False
) -> AsyncIterator[tuple[HostileServer, list[str], dict[str, str]]]:
    """Serve with a certificate; give the server, the options that lead to it, and the environment.

    Behind a proxy that takes CONNECT the other transport is in use. `wrong`: another host's certificate.
    """
    host = NAME if proxied else "127.0.0.1"
    async with (
        hostile_server(creates, server_context(authority, "other.example" if wrong else host)) as server,
        forward_proxy(server.port) as proxy,
    ):
        options = ["--endpoint", f"https://{host}:{server.port}"]
        yield server, options, {"HTTPS_PROXY": proxy.url, "https_proxy": proxy.url} if proxied else {}
        assert bool(proxy.heads) is proxied
        assert all(head.startswith(b"CONNECT kms.example:") for head in proxy.heads)


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
@pytest.mark.parametrize("trusted", [False, True], ids=["unknown CA", "other host"])
async def test_a_wrong_certificate_is_one_error(trusted: bool, proxied: bool, tmp_path: Path) -> None:
    """The run stops at once, says what is wrong, and no request was sent."""
    authority = Authority(tmp_path)
    async with over_tls(authority, proxied=proxied, wrong=trusted) as (server, options, env):
        options += ["--ca-file", str(authority.ca_file)] if trusted else []
        call = ["apply", manifest_of(tmp_path, 40), *options, "--progress", "none"]
        code, stdout, stderr = await run(*call, cwd=tmp_path, **env)
    assert code == 3
    host = NAME if proxied else "127.0.0.1"
    assert stderr.count(f"stopped early: the certificate of {host} does not verify") == 1
    assert stderr.count("\n") == 2
    assert "pending: 40" in stdout
    assert "attempts: 0" in stdout
    assert server.connections <= 20
    assert server.requests == []


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
async def test_a_trusted_authority_is_accepted(proxied: bool, tmp_path: Path) -> None:
    """With --ca-file secrets are created over TLS, also through a proxy, which sees nothing of it."""
    authority = Authority(tmp_path)
    async with over_tls(authority, proxied=proxied) as (server, options, env):
        call = ["apply", manifest_of(tmp_path), *options, "--ca-file", authority.ca_file, *HASTE]
        code, stdout, stderr = await run(*call, cwd=tmp_path, **env)
    assert (code, "created: 3" in stdout, len(server.requests)) == (0, True, 3), stderr


@pytest.mark.parametrize("excepted", [False, True])
async def test_proxies_of_the_environment(excepted: bool, tmp_path: Path) -> None:
    """HTTP_PROXY is used, NO_PROXY respected."""
    async with hostile_server(creates) as server, forward_proxy(server.port) as proxy:
        env = {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url}
        if excepted:
            env |= {"NO_PROXY": NAME, "no_proxy": NAME}
        call = ["apply", manifest_of(tmp_path), "--endpoint", f"http://{NAME}:{server.port}", *HASTE]
        code, stdout, stderr = await run(*call, cwd=tmp_path, **env)
    if excepted:  # the name leads nowhere without the proxy
        assert (code == 0, proxy.heads) == (False, [])
    else:
        assert (code, "created: 3" in stdout, len(server.requests)) == (0, True, 3), stderr
    assert bool(proxy.heads) is not excepted


@pytest.mark.parametrize("where", ["embedded", "loopback"])
async def test_values_for_this_machine_never_reach_a_proxy(where: str, tmp_path: Path) -> None:
    """The embedded KMS and a loopback address are reached directly, whatever the environment says (C1)."""
    async with hostile_server(creates) as server, forward_proxy(server.port) as proxy:
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        endpoint = "embedded" if where == "embedded" else server.url
        call = ["apply", manifest_of(tmp_path), "--endpoint", endpoint, *HASTE]
        code, stdout, stderr = await run(*call, cwd=tmp_path, **dict.fromkeys(names, proxy.url))
    assert (code, "created: 3" in stdout, proxy.heads) == (0, True, []), stderr


async def test_a_proxy_that_refuses_is_named(tmp_path: Path) -> None:
    """Nothing reaches the service: every definition is exhausted, and the reason is the proxy's."""
    async with (
        hostile_server(creates) as server,
        forward_proxy(server.port, b"407 Proxy Authentication Required") as proxy,
    ):
        endpoint = f"https://{NAME}:{server.port}"
        call = ["apply", manifest_of(tmp_path), "--endpoint", endpoint, *HASTE]
        code, stdout, _ = await run(*call, cwd=tmp_path, HTTPS_PROXY=proxy.url, https_proxy=proxy.url)
    assert (code, "exhausted: 3" in stdout, server.requests) == (1, True, [])
    _, rejects, _ = await run("ledger", "rejects", "m.ledger.db", cwd=tmp_path)
    assert rejects.count("status 407") == 3
