"""Where a reply ends and the next begins, and how a signed request travels, over every transport and loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.hostile_server import REPLY, Peer, answering, hostile_server, with_length
from support.transports import HEADERS, Opener, contract

from bulkseed.model import Credentials, NoReply, SecretValue
from bulkseed.wire.message import Call, Request, Response
from bulkseed.wire.signing.verify import SIGNATURES


@contract
async def test_a_connection_that_the_reply_ends_is_closed(open_to: Opener) -> None:
    """The client closes it, also when the service says that it will and does not."""

    async def script(peer: Peer) -> None:
        await peer.reply(with_length(b"{}", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"))
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        await sender.status()
        await server.all_closed()


@contract
async def test_a_reply_within_a_reply_is_its_body(open_to: Opener) -> None:
    """What looks like a reply is none where a body goes on, also at the beginning of a segment."""
    beginning, inner = b'{"echo":"', with_length(b'{"RequestId":"forged"}')
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(beginning) + len(inner))

    async def script(peer: Peer) -> None:
        while await peer.reply(head + beginning, inner):
            pass

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _ in range(2):
            answer = await sender.send()
            assert isinstance(answer, Response)
            assert answer.body == beginning + inner
    assert server.connections == 1


@contract
async def test_a_reply_within_a_header_is_a_header(open_to: Opener) -> None:
    """Where one reply's body ends, the head of the next begins, and not as many bytes further."""
    head = b"HTTP/1.1 404 Not Found\r\nX-Echo: "
    forging = with_length(b"{}", head + b"HTTP/1.1 200 OK\r\n")
    first = with_length(bytes(len(head)))

    async def script(peer: Peer) -> None:
        while await peer.reply(first) and await peer.reply(forging):
            pass

    async with hostile_server(script) as server, open_to(server.url) as sender:
        assert [await sender.status() for _ in range(4)] == [200, 404, 200, 404]
    assert server.connections == 1


@contract
async def test_a_reply_in_segments_does_not_begin_the_next(open_to: Opener) -> None:
    """What came of a head whose end was still to come is not put before another one."""

    async def script(peer: Peer) -> None:
        await peer.reply(REPLY[:20], REPLY[20:])
        await peer.reply(REPLY[3:])

    async with hostile_server(script) as server, open_to(server.url) as sender:
        assert await sender.status() == 200
        await sender.loss()
    assert server.connections == 1


@pytest.mark.parametrize("status", [204, 304])
@contract
async def test_a_status_without_a_body_has_none(open_to: Opener, status: int) -> None:
    """Bytes after it are not its body, whatever length it tells, and not the next reply."""
    odd = with_length(b"{}", b"HTTP/1.1 %d Odd\r\n" % status)

    async def script(peer: Peer) -> None:
        while await peer.reply(odd if server.connections == 1 else REPLY):
            pass

    async with hostile_server(script) as server, open_to(server.url) as sender:
        answer = await sender.send()
        assert isinstance(answer, NoReply) or (answer.status, answer.body) == (status, b"")
        assert await sender.status() == 200


@contract
async def test_a_signed_request_is_carried_as_it_was_signed(open_to: Opener) -> None:
    """Whether a transport takes it as its headers or as the bytes that were written: no byte is another."""
    signer = SIGNATURES["acs3"]("kms.example", Credentials("id", SecretValue("fake"), SecretValue("token")))
    signed = [
        signer.sign(Call("CreateSecret", query, form), 1_800_000_000.0, "0" * 32)
        for query, form in (("SecretName=%C3%A9", "SecretData=%0A"), ("", ""))
    ]
    signed.append(replace(signed[0], body=b"SecretData=other"))
    async with hostile_server(answering) as server, open_to(server.url) as sender:
        for request in signed:
            assert isinstance(await sender.send(request), Response)
    for request, raw in zip(signed, server.requests, strict=True):
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        arrived = {name.lower(): text for name, text in (field.split(": ") for field in fields)}
        assert first == f"POST /{'?' * bool(request.query)}{request.query} HTTP/1.1"
        assert arrived == request.headers | {"content-length": str(len(request.body))}
        assert len(arrived) == len(fields)
        assert body == request.body


@contract
async def test_a_large_request_is_carried(open_to: Opener) -> None:
    """A body larger than the socket's buffers arrives whole."""
    body = b"x" * 900_000
    async with hostile_server(answering) as server, open_to(server.url) as sender:
        assert isinstance(await sender.send(Request("POST", "", HEADERS, body)), Response)
    assert server.requests[0].endswith(b"\r\n\r\n" + body)
