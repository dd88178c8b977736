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
from bulkseed.pacing.pacer import always
from bulkseed.transport.aiohttp_session import SessionTransport
from bulkseed.transport.choose import open_transport
from bulkseed.transport.endpoint import is_public, parse_endpoint
from bulkseed.transport.raw import RawTransport
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
    with caplog.at_level(logging.DEBUG, "bulkseed.transport"):
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
            await transport.send(Request("GET", "", HEADERS, b""), always)


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


@pytest.mark.parametrize("no_proxy", ["*", "kms.example", "other.example, kms.example", ".example"])
def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    """A host that NO_PROXY names is reached directly."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert parse_endpoint("https://kms.example").proxy is not None
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert parse_endpoint("https://kms.example").proxy is None


@pytest.mark.parametrize(
    ("endpoint", "no_proxy", "direct"),
    [
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3:8443", "kms.example, 10.1.2.3/32", True),
        ("https://[fd00::7]", "fd00::/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://kms.example", "10.0.0.0/8", False),
    ],
)
def test_no_proxy_names_networks(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, no_proxy: str, direct: bool
) -> None:
    """A network in NO_PROXY stands for every address in it (C1)."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (parse_endpoint(endpoint).proxy is None) is direct


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "localhost", "localhost.", "kms.localhost"])
async def test_this_machine_is_never_reached_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A proxy would read the values of plain HTTP: the embedded KMS and loopback are reached directly.

    (C1)
    """
    async with hostile_server(answering) as server, forward_proxy(server.port) as proxy:
        for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        assert parse_endpoint(f"http://{host}:{server.port}").proxy is None
        assert parse_endpoint(f"http://[::1]:{server.port}").proxy is None
        assert parse_endpoint(f"http://[::ffff:127.0.0.1]:{server.port}").proxy is None
        async with open_transport(server.url, connections=1) as transport:
            assert await Sender(transport).status() == 200
    assert proxy.heads == []


@pytest.mark.parametrize(
    "endpoint", ["https://user:hunter2@kms.example", "ftp://user:hunter2@x", "https://u:hunter2@a..b"]
)
def test_a_password_in_an_endpoint_is_not_shown(endpoint: str) -> None:
    """The message about such an endpoint leaves out what stands before the host (C2)."""
    with pytest.raises(UsageError) as caught:
        parse_endpoint(endpoint)
    assert "hunter2" not in str(caught.value)
    assert "user" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "public"),
    [
        ("https://kms.cn-hangzhou.aliyuncs.com", True),
        ("http://kms.cn-hangzhou.aliyuncs.com.", True),
        ("http://KMS-VPC.cn-hangzhou.AliyunCS.com:80", True),
        ("http://kms.cn-hangzhou.aliyuncs\u3002com", True),
        ("http://127.0.0.1:4566", False),
        ("https://notaliyuncs.com", False),
        ("https://[", False),
    ],
)
def test_the_public_service_is_known_however_it_is_written(endpoint: str, public: bool) -> None:
    """Case, a dot at the end and the dots of other scripts make no other host of it (H17)."""
    assert is_public(endpoint) is public


def test_a_proxy_that_makes_no_sense_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable may hold a password, so the message does not repeat it."""
    monkeypatch.setenv("https_proxy", "socks5://user:hunter2@proxy.example")
    with pytest.raises(UsageError) as caught:
        parse_endpoint("https://kms.example")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
