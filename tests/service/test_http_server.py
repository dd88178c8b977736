"""The HTTP shell: sizes, bytes that are not HTTP, health, TLS, and that it ends when it is told to."""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from support.certificates import Authority
from support.kms import UNLIMITED
from yarl import URL

from bulkseed.errors import UsageError
from bulkseed.model import Credentials, SecretValue, Target
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import KINDS, Arrival, Disturbance
from bulkseed.service.shell.local import local_service
from bulkseed.wire.actions import create_secret, get_secret_value
from bulkseed.wire.fault import decode_fault
from bulkseed.wire.message import Call, Response
from bulkseed.wire.signing.verify import SIGNATURES

LARGEST = "é" * 15_360


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """A service in memory, on a real socket."""
    async with local_service(ServiceOptions(**UNLIMITED)) as target:
        yield target


class Http:
    """Sends signed calls with aiohttp."""

    def __init__(self, target: Target) -> None:
        assert isinstance(target.credentials, Credentials)
        self.endpoint = target.endpoint
        self._signer = SIGNATURES["acs3"](target.endpoint.partition("://")[2], target.credentials)
        self._count = 0

    async def send(self, call: Call, tls: ssl.SSLContext | None = None) -> Response:
        """Send one call."""
        self._count += 1
        request = self._signer.sign(call, time.time(), f"n{self._count}")
        url = URL(f"{self.endpoint}/?{request.query}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=request.body, headers=request.headers, ssl=tls or True) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status, headers, await response.read())


async def test_a_value_in_the_request_line(target: Target) -> None:
    """Clients before SDK 3.3.1 send 30,720 bytes percent-encoded in the URL: a line of 92 KB."""
    http = Http(target)
    whole = create_secret.Request("old", "v1", SecretValue(LARGEST)).encode()
    in_query = Call(whole.action, f"{whole.form}&{whole.query}")  # SecretData comes before SecretName
    assert len(in_query.query) > 92_000
    assert (await http.send(in_query)).status == 200
    read = get_secret_value.Reply.read(await http.send(get_secret_value.Request("old").encode()))
    assert isinstance(read, get_secret_value.Reply)
    assert read.secret_data == SecretValue(LARGEST)


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 8 << 20])
async def test_a_body_over_a_mebibyte_is_refused(target: Target, size: int) -> None:
    """With a code, whether the client says the size or not; one byte less is read."""
    for data in (io.BytesIO(b"x" * size), _chunks(size)):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(target.endpoint, data=data, headers=headers) as response,
        ):
            fault = decode_fault(Response(response.status, {}, await response.read()))
        too_large = size > 1 << 20
        assert fault.code == ("ParseRequestParameterException" if too_large else "IncompleteSignature")


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 65_536):
        yield b"x" * min(65_536, size - start)


async def test_health(target: Target) -> None:
    """GET /healthz answers 200 without a signature; other paths are no actions."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{target.endpoint}/healthz") as response:
            assert response.status == 200
        async with session.get(f"{target.endpoint}/other") as response:
            assert response.status == 404


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET /?a=%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /?canary=\u00e9 HTTP/1.1\r\nhost: x\r\n\r\n".encode("latin-1"),
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: nine\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nauthorization: \xff\xfe\r\ncontent-length: 0\r\n\r\n",
        b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://x/?a=b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"canary canary canary\r\n\r\n",
    ],
)
async def test_noise_is_a_client_error(
    target: Target, raw: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bytes that are no good request get a 4xx, leave no log and no traceback, and harm nobody else."""
    caplog.set_level(logging.DEBUG)
    host, _, port = target.endpoint.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    answer = await asyncio.wait_for(reader.read(8_000), 5)
    writer.close()
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:80]
    assert b"Traceback" not in answer
    assert "canary" not in caplog.text
    assert capfd.readouterr().err == ""
    assert (
        await Http(target).send(create_secret.Request("a", "v1", SecretValue("x")).encode())
    ).status == 200


async def test_a_dropped_connection_is_closed_without_a_byte() -> None:
    """A hook in Python decides; the client sees the connection end, and the secret is there or not."""

    def hook(arrival: Arrival) -> Disturbance | None:
        return KINDS[arrival.name](None) if arrival.action == "CreateSecret" else None

    async with local_service(ServiceOptions(**UNLIMITED), hook=hook) as target:
        http = Http(target)
        for name, there in (("drop-before", False), ("drop-after", True)):
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await http.send(create_secret.Request(name, "v1", SecretValue("x")).encode())
            assert ((await http.send(get_secret_value.Request(name).encode())).status == 200) is there


async def test_tls(tmp_path: Path) -> None:
    """With a certificate it speaks TLS and the target names the file to trust."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("127.0.0.1")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(certificate.read_bytes() + authority.ca_file.read_bytes())
    options = ServiceOptions(tls_cert=chain, tls_key=key)
    async with local_service(options) as target:
        assert target.endpoint.startswith("https://")
        assert target.ca_file == str(chain)
        trust = ssl.create_default_context(cafile=target.ca_file)
        call = create_secret.Request("a", "v1", SecretValue("x")).encode()
        assert (await Http(target).send(call, trust)).status == 200


async def test_addresses_and_certificates_that_cannot_be_used(tmp_path: Path, target: Target) -> None:
    """A taken port and a bad certificate are the caller's mistakes."""
    port = int(target.endpoint.rpartition(":")[2])
    (tmp_path / "bad.pem").write_text("no certificate")
    for options in (ServiceOptions(port=port), ServiceOptions(tls_cert=tmp_path / "bad.pem")):
        with pytest.raises(UsageError, match="cannot"):
            async with local_service(options):
                pass


async def talk(endpoint: str, *parts: bytes) -> bytes:
    """Send each part once the service has answered the one before; return all that it said."""
    host, _, port = endpoint.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    said = b""
    try:
        for part in parts:
            writer.write(part)
            said += await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
    return said


async def test_a_client_that_waits_before_its_body_is_told_to_go_on(target: Target) -> None:
    """Expect: 100-continue, as curl asks for large bodies."""
    head = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    said = await talk(target.endpoint, head, b"a=b")
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 ")


async def test_a_whole_url_is_a_request_target(target: Target) -> None:
    """As clients send it to a proxy, which may pass it on."""
    for url in (b"http://kms.test/healthz", b"http://kms.test:80/healthz"):
        said = await talk(target.endpoint, b"GET " + url + b" HTTP/1.1\r\nhost: kms.test\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200 ")
    said = await talk(target.endpoint, b"GET http://kms.test?Action=x HTTP/1.1\r\nhost: kms.test\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400 "), "it reaches the gate, which finds no signature"
