"""TLS: what is trusted, what is refused, and that nothing is written before it is known."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import time
import warnings
import weakref
from pathlib import Path

import pytest
from support.certificates import Authority
from support.hostile_server import REPLY, HostileServer, Peer, answering, hostile_server, turns
from support.transports import HEADERS, Opener, contract

from bulkseed.errors import UsageError
from bulkseed.transport.endpoint import parse_endpoint
from bulkseed.wire.message import Request, Response


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make one authority for all tests here."""
    return Authority(tmp_path_factory.mktemp("authority"))


def _https(server: HostileServer) -> str:
    return f"https://127.0.0.1:{server.port}"


@contract
async def test_a_ca_file_is_trusted(open_to: Opener, authority: Authority) -> None:
    """With the CA's file, requests large and small share a verified connection."""
    context = authority.server_context("127.0.0.1")
    async with (
        hostile_server(answering, context) as server,
        open_to(_https(server), ca_file=str(authority.ca_file)) as sender,
    ):
        assert [await sender.status() for _ in range(3)] == [200] * 3
        assert isinstance(await sender.send(Request("POST", "", HEADERS, b"x" * 300_000)), Response)
    assert (server.connections, len(server.requests)) == (1, 4)


def test_the_keys_of_connections_are_not_written(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE, which debugging tools leave behind, is not honoured: whoever reads it reads values.

    (H24)
    """
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for ca_file in (None, str(authority.ca_file)):
        context = parse_endpoint("https://kms.example", ca_file).tls
        assert context is not None
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert not context.keylog_filename
    assert not (tmp_path / "keys").exists()


@contract
async def test_an_unknown_ca_is_fatal(open_to: Opener, authority: Authority) -> None:
    """A certificate of a CA that the system does not know: one clear error, nothing written."""
    context = authority.server_context("127.0.0.1")
    async with hostile_server(answering, context) as server, open_to(_https(server)) as sender:
        loss = await sender.loss()
    assert loss.reason.startswith("the certificate of 127.0.0.1 does not verify: ")
    assert "certificate" in loss.reason.partition(": ")[2]
    assert (loss.fatal, loss.maybe_applied, server.requests) == (True, False, [])


@contract
async def test_a_certificate_for_another_host_is_fatal(open_to: Opener, authority: Authority) -> None:
    """A certificate that is in order but not this host's."""
    context = authority.server_context("kms.example")
    async with (
        hostile_server(answering, context) as server,
        open_to(_https(server), ca_file=str(authority.ca_file)) as sender,
    ):
        loss = await sender.loss()
    assert "not valid for '127.0.0.1'" in loss.reason
    assert (loss.fatal, loss.maybe_applied, server.requests) == (True, False, [])


def _only_tls_1_1(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that 1.1 is outdated is the point
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@contract
async def test_tls_before_1_2_is_refused(open_to: Opener, authority: Authority) -> None:
    """A service that speaks 1.1 at most gets no request, though others may reach it; not fatal."""
    ca_file = str(authority.ca_file)
    old = _only_tls_1_1(authority.server_context("127.0.0.1"))
    async with hostile_server(answering, old) as server, open_to(_https(server), ca_file=ca_file) as sender:
        loss = await sender.loss()
        lax = _only_tls_1_1(ssl.create_default_context(cafile=ca_file))
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=lax)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.1"
        writer.transport.abort()
        await turns()
    assert (loss.fatal, loss.maybe_applied, server.requests) == (False, False, [])


def test_every_context_verifies_and_asks_for_1_2(authority: Authority) -> None:
    """Whatever the CA, host name and chain are checked, and 1.2 is the minimum."""
    for ca_file in (None, str(authority.ca_file)):
        context = parse_endpoint("https://kms.example", ca_file).tls
        assert context is not None
        assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_ca_file_that_is_none_is_the_callers_mistake(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty or senseless CA file is a usage error that names it."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"ca\.pem"):
        parse_endpoint("https://kms.example", str(file))


@contract
async def test_a_service_without_tls_gets_no_request(open_to: Opener, authority: Authority) -> None:
    """HTTPS to a plain HTTP service: lost before the write, with the reason."""

    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.until_closed()

    async with (
        hostile_server(script) as server,
        open_to(_https(server), ca_file=str(authority.ca_file)) as sender,
    ):
        loss = await sender.loss()
    assert loss.reason.startswith(f"TLS with 127.0.0.1:{server.port} failed: ")
    assert not loss.fatal


@contract
async def test_plain_http_to_a_tls_service_is_lost(open_to: Opener, authority: Authority) -> None:
    """The service closes or sends an alert: neither is a reply."""
    context = authority.server_context("127.0.0.1")
    async with hostile_server(answering, context) as server, open_to(server.url) as sender:
        await sender.loss()
    assert server.requests == []


@contract
async def test_a_handshake_that_hangs_ends_with_the_connect_timeout(open_to: Opener) -> None:
    """A service that accepts and says nothing: given up after the connect timeout, unwritten."""

    async def script(peer: Peer) -> None:
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(_https(server), connect_patience=0.2) as sender:
        started = time.monotonic()
        loss = await sender.loss()
        assert time.monotonic() - started > 0.18
    assert loss.reason == f"no connection to 127.0.0.1:{server.port} within 0.2 s"
    assert not loss.maybe_applied


@pytest.mark.parametrize("end", ["reset", "close"])
@contract
async def test_a_handshake_that_breaks_off_is_not_a_write(open_to: Opener, end: str) -> None:
    """The connection dies in the handshake: not written, not applied, not fatal."""

    async def script(peer: Peer) -> None:
        if end == "reset":
            peer.reset()

    async with hostile_server(script) as server, open_to(_https(server)) as sender:
        loss = await sender.loss()
    assert (loss.fatal, loss.maybe_applied) == (False, False)


@contract
async def test_a_reply_that_breaks_off_under_tls_is_lost(open_to: Opener, authority: Authority) -> None:
    """Half a reply and then nothing, also through TLS."""

    async def script(peer: Peer) -> None:
        await peer.reply(REPLY[:-1])

    context = authority.server_context("127.0.0.1")
    async with (
        hostile_server(script, context) as server,
        open_to(_https(server), ca_file=str(authority.ca_file)) as sender,
    ):
        assert (await sender.loss()).maybe_applied


def test_endpoints_share_what_certificates_say_as_long_as_they_live(authority: Authority) -> None:
    """A hundred targets read the system's CAs once; what is made later, or was changed, is read anew."""

    def contexts(*endpoints: str) -> list[weakref.ref[ssl.SSLContext]]:
        made = [parse_endpoint(endpoint, str(authority.ca_file)) for endpoint in endpoints]
        made.append(parse_endpoint(endpoints[0]))
        kept.extend(made)
        return [weakref.ref(endpoint.tls) for endpoint in made if endpoint.tls is not None]

    kept: list[object] = []
    first, second, of_the_system = contexts("https://kms-a.example", "https://kms-b.example")
    same, other = first() is second(), first() is of_the_system()
    os.utime(authority.ca_file, ns=(0, 0))
    assert contexts("https://kms-a.example", "https://kms-b.example")[0]() is not first()
    kept.clear()  # and what earlier tests have left in cycles
    gc.collect()
    assert (same, other, first()) == (True, False, None)
