"""Which transport is chosen for an endpoint, and what the environment says about proxies."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from support.certificates import Authority
from support.hostile_server import answering, hostile_server
from support.proxy import forward_proxy
from support.transports import HEADERS, Sender

from bulkseed.errors import UsageError
from bulkseed.transport.choose import open_transport
from bulkseed.transport.endpoint import parse_endpoint
from bulkseed.transport.raw import RawTransport
from bulkseed.transport.session import SessionTransport
from bulkseed.wire.message import Request

PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without proxies."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_the_fast_transport_is_the_first_choice(caplog: pytest.LogCaptureFixture) -> None:
    """No proxy and an aiohttp that is known: the fast one, and a log record at debug level says so."""
    with caplog.at_level(logging.DEBUG, "bulkseed.engine"):
        async with (
            hostile_server(answering) as server,
            open_transport(server.url, connections=1) as transport,
        ):
            assert isinstance(transport, RawTransport)
            assert await Sender(transport).status() == 200
    assert "transport: RawTransport" in caplog.text


async def test_only_posts_go_through_a_session() -> None:
    """Other methods would be repeated by aiohttp itself, so they are refused."""
    async with SessionTransport(parse_endpoint("http://127.0.0.1:9"), connections=1) as transport:
        with pytest.raises(ValueError, match="POST"):
            await transport.send(Request("GET", "", HEADERS, b""), lambda: None)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "kms.example",
        "ftp://kms.example",
        "https://",
        "https://kms.example/path",
        "https://kms.example?query",
        "https://kms.example#fragment",
        "https://user@kms.example",
        "https://kms.example:port",
        "https://a..b",
        "https://" + "x" * 64 + ".example",
        "https://[::1",
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(endpoint: str) -> None:
    """Only ``http(s)://host[:port]``; the message shows what was given."""
    with pytest.raises(UsageError, match="endpoint"):
        parse_endpoint(endpoint)


def test_addresses_are_host_and_port() -> None:
    """The port is always named, and an IPv6 address keeps its brackets."""
    assert parse_endpoint("http://kms.example/").address == "kms.example:80"
    assert parse_endpoint("https://[::1]:8443").address == "[::1]:8443"


# Proxies


async def test_a_proxy_of_the_environment_carries_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes to the proxy with its target as it was signed, and with the proxy's credentials."""
    async with hostile_server(answering) as server, forward_proxy(server.port) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:secret@"))
        async with open_transport("http://kms.example", connections=1) as transport:
            assert isinstance(transport, SessionTransport)
            assert await Sender(transport).status() == 200
    first, *fields = proxy.heads[0].split(b"\r\n")
    assert first == b"POST http://kms.example/?A=%3A%2A%2F%7E HTTP/1.1"
    assert b"proxy-authorization: Basic dXNlcjpzZWNyZXQ=" in [
        field.replace(b"Proxy-A", b"proxy-a") for field in fields
    ]


async def test_a_proxy_of_the_environment_carries_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CONNECT, and the certificate that is verified is the service's; the proxy never sees the request."""
    authority = Authority(tmp_path)
    context = authority.server_context("kms.example")
    async with hostile_server(answering, context) as server, forward_proxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with open_transport(
            "https://kms.example", connections=1, ca_file=str(authority.ca_file)
        ) as transport:
            assert [await Sender(transport).status() for _ in range(2)] == [200, 200]
        assert proxy.heads[0].startswith(b"CONNECT kms.example:443 HTTP/1.1\r\n")
        async with open_transport("https://kms.example", connections=1) as transport:
            loss = await Sender(transport).loss()
    assert loss.reason.startswith("the certificate of kms.example does not verify")
    assert (loss.fatal, len(server.requests)) == (True, 2)


async def test_a_proxy_that_refuses_is_not_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is not there, and one that says no: lost before the write."""
    async with hostile_server(answering) as server, forward_proxy(server.port, b"407 No") as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        async with open_transport("https://kms.example", connections=1) as transport:
            refused = await Sender(transport).loss()
    async with open_transport("https://kms.example", connections=1) as transport:
        absent = await Sender(transport).loss()
    assert refused.reason == "the proxy refuses to connect to kms.example:443: status 407"
    assert absent.reason == f"no connection to the proxy 127.0.0.1:{proxy.port}: Connection refused"
    assert server.requests == []


@pytest.mark.parametrize("no_proxy", ["*", "127.0.0.1", "kms.example, 127.0.0.1"])
async def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    """A host that NO_PROXY names is reached directly, by the fast transport."""
    async with hostile_server(answering) as server, forward_proxy(server.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        async with open_transport(server.url, connections=1) as transport:
            assert isinstance(transport, RawTransport)
            assert await Sender(transport).status() == 200
        monkeypatch.delenv("NO_PROXY")
        assert proxy.heads == []
        async with open_transport(server.url, connections=1) as transport:
            assert await Sender(transport).status() == 200
    assert len(proxy.heads) == 1


def test_a_proxy_that_makes_no_sense_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable may hold a password, so the message does not repeat it."""
    monkeypatch.setenv("https_proxy", "socks5://user:hunter2@proxy.example")
    with pytest.raises(UsageError) as caught:
        parse_endpoint("https://kms.example")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
