"""Where a reply ends and the next begins, over every transport on every event loop."""

from __future__ import annotations

import pytest
from support.hostile_server import REPLY, Peer, hostile_server, with_length
from support.transports import Opener, contract

from bulkseed.model import NoReply
from bulkseed.wire.message import Response


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
