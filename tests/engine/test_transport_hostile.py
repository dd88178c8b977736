"""What a hostile network or service can do: a loss in time, never a hang, never somebody else's reply."""

from __future__ import annotations

import asyncio
import time

import pytest
from support.hostile_server import REPLY, STUCK, Peer, answering, answering_unless_stuck, hostile_server
from support.transports import Opener, contract

from bulkseed.model import NoReply

PATIENCE = 0.2
LONGER = 1.0  # where others are answered meanwhile


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
@pytest.mark.parametrize("end", ["close", "reset", "half close"])
@contract
async def test_a_reply_that_breaks_off_is_lost(open_to: Opener, sent: bytes, end: str) -> None:
    """Early end or reset, before and within head and body: it may have been applied, and nothing hangs."""

    async def script(peer: Peer) -> None:
        await peer.reply(sent)
        if end == "reset":
            peer.reset()
        elif end == "half close":
            peer.half_close()
            await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        assert f"127.0.0.1:{server.port}" in (await sender.loss()).reason


@contract
async def test_a_half_closed_service_still_answers(open_to: Opener) -> None:
    """A reply followed by FIN is a reply, with and without a length."""

    async def script(peer: Peer) -> None:
        await peer.reply(REPLY if peer.number == 1 else b"HTTP/1.1 200 OK\r\n\r\n{}")
        peer.half_close()
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _ in range(2):
            assert await sender.status() == 200
            await server.all_closed()
    assert server.connections == 2


@contract
async def test_a_post_is_never_sent_twice(open_to: Opener) -> None:
    """When a kept connection dies under a request, the request is lost and not repeated behind our back."""

    async def script(peer: Peer) -> None:
        await peer.reply(REPLY)
        await peer.read_request()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        await sender.status()
        await sender.loss()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"HTTP/1.1 200 OK\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}",),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
    ],
)
@contract
async def test_silence_ends_with_the_timeout(open_to: Opener, parts: tuple[bytes, ...]) -> None:
    """A service that stops in the middle is given up in time."""

    async def script(peer: Peer) -> None:
        await peer.reply(*parts)
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url, patience=PATIENCE) as sender:
        started = time.monotonic()
        assert (await sender.loss()).reason.endswith(f"within {PATIENCE} s")
        assert time.monotonic() - started > PATIENCE * 0.9


@contract
async def test_a_slow_drip_does_not_extend_the_timeout(open_to: Opener) -> None:
    """The timeout is for the whole attempt, however lively the service looks."""

    async def script(peer: Peer) -> None:
        await peer.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while await peer.drip():
            pass

    async with hostile_server(script) as server, open_to(server.url, patience=PATIENCE) as sender:
        assert (await sender.loss()).reason.endswith(f"within {PATIENCE} s")


@contract
async def test_each_attempt_has_its_own_timeout(open_to: Opener) -> None:
    """Attempts that hang end one after the other, each in time, while others are answered."""
    ended: list[str] = []

    async def hang(name: str) -> None:
        started = time.monotonic()
        assert isinstance(await sender.send(STUCK), NoReply)
        assert time.monotonic() - started > LONGER * 0.9
        ended.append(name)

    async with (
        hostile_server(answering_unless_stuck) as server,
        open_to(server.url, patience=LONGER) as sender,
    ):
        started = time.monotonic()
        first = asyncio.create_task(hang("first"))
        while time.monotonic() < started + LONGER / 2:
            assert await sender.status() == 200
        await asyncio.gather(first, hang("second"))
    assert ended == ["first", "second"]


@contract
async def test_waiting_for_a_connection_counts(open_to: Opener) -> None:
    """Attempts that never get a connection end in time, unwritten."""
    async with (
        hostile_server(answering_unless_stuck) as server,
        open_to(server.url, patience=LONGER, connections=1) as sender,
    ):
        answers = await asyncio.gather(*[sender.send(STUCK) for _ in range(10)])
        # The first to end may leave its connection to one that has a moment left.
        assert 1 <= sum(isinstance(answer, NoReply) and answer.maybe_applied for answer in answers) <= 3
        await server.all_closed()
        server.most_open = 0
        assert await asyncio.gather(*[sender.status() for _ in range(10)]) == [200] * 10
    assert server.most_open == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
@contract
async def test_a_gigantic_reply_is_lost(open_to: Opener, head: bytes) -> None:
    """More than 1 MiB is not read to its end."""

    async def script(peer: Peer) -> None:
        await peer.reply(head, *[bytes(100_000)] * 30)

    async with hostile_server(script) as server, open_to(server.url) as sender:
        assert (await sender.loss()).reason == "reply larger than 1 MiB"


@contract
async def test_gigantic_chunked_replies_and_heads_are_lost(open_to: Opener) -> None:
    """Endless chunks, header lines and headers."""
    head = b"HTTP/1.1 200 OK\r\n"
    replies = [
        (head + b"Transfer-Encoding: chunked\r\n\r\n", *[b"10000\r\n%s\r\n" % bytes(1 << 16)] * 40),
        (head + b"X: " + b"x" * 100_000 + b"\r\n\r\n",),
        (head + b"X: x\r\n" * 5_000 + b"\r\n",),
        (b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",),
    ]

    async def script(peer: Peer) -> None:
        await peer.reply(*replies[peer.number - 1])
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _ in replies:
            await sender.loss()
    assert server.connections == len(replies)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe garbage",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\n\r\n\r\n12345",
    ],
)
@contract
async def test_what_is_not_http_is_lost(open_to: Opener, garbage: bytes) -> None:
    """Garbage and lengths that contradict: lost at once, and the connection is not used again."""

    async def script(peer: Peer) -> None:
        if peer.number > 1:
            await answering(peer)
        await peer.reply(garbage)
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        assert "not HTTP" in (await sender.loss()).reason
        await server.all_closed()
        assert await sender.status() == 200


@contract
async def test_a_greeting_is_not_a_reply(open_to: Opener) -> None:
    """A service that speaks first, like SMTP, is not HTTP."""

    async def script(peer: Peer) -> None:
        await peer.send(b"220 smtp.example ready\r\n")
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        await sender.loss()
    assert server.connections == 1


@contract
async def test_a_reply_before_the_request_does_not_count_as_written(open_to: Opener) -> None:
    """A reply that is there before its request is written is a loss; after the write, nobody can tell."""

    async def script(peer: Peer) -> None:
        await peer.send(REPLY)
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url, patience=PATIENCE) as sender:
        await sender.send()


@contract
async def test_switching_protocols_ends_the_connection(open_to: Opener) -> None:
    """101 is an answer that nobody can use, not a wait."""
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x00"

    async def script(peer: Peer) -> None:
        await peer.reply(upgrade)
        await peer.until_closed()

    async with hostile_server(script) as server, open_to(server.url, patience=PATIENCE) as sender:
        assert [await sender.status(), await sender.status()] == [101, 101]
    assert server.connections == 2
