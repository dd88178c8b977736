"""What holds for every transport on every event loop: what is carried, kept, written and ended."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import zlib
from dataclasses import replace

import pytest
from support.hostile_server import REPLY, Peer, answering, hostile_server, silent, turns, with_length
from support.transports import HEADERS, REQUEST, Opener, contract

from bulkseed.model import NoReply
from bulkseed.wire.message import Request, Response

# What is carried


@contract
async def test_the_request_is_carried_byte_for_byte(open_to: Opener) -> None:
    """Target, headers and body arrive as signed: %3A and %7E stay, nothing is added but the length."""
    async with hostile_server(answering) as server, open_to(server.url) as sender:
        await sender.send()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert first == b"POST /?A=%3A%2A%2F%7E HTTP/1.1"
    assert [field.lower() for field in fields] == [
        b"host: kms.example",
        b"x-acs-action: createsecret",
        b"content-length: 12",
    ]
    assert body == b"SecretData=v"


@contract
async def test_a_request_without_query_and_body_is_carried(open_to: Opener) -> None:
    """No query means no question mark, no body a length of 0; `on_write` is called all the same."""
    async with hostile_server(answering) as server, open_to(server.url) as sender:
        assert isinstance(await sender.send(Request("POST", "", HEADERS, b"")), Response)
    assert server.requests[0].startswith(b"POST / HTTP/1.1\r\n")
    assert b"content-length: 0\r\n" in server.requests[0].lower()


@contract
async def test_the_reply_is_given_as_it_came(open_to: Opener) -> None:
    """Status, lower-case header names and the exact body, whatever they are."""
    replies = [
        (404, b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n", b'{"Code":"Forbidden.Res'),
        (502, b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n", b"<html>\xff\xfe</html>"),
        (200, b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n", b""),
        (599, b"HTTP/1.1 599 \r\nX-Acs-Retry-After: 1200\r\n", b"\x00"),
    ]

    async def script(peer: Peer) -> None:
        for _, head, body in replies:
            await peer.reply(with_length(body, head))

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for status, _, body in replies:
            answer = await sender.send()
            assert isinstance(answer, Response)
            assert (answer.status, answer.body) == (status, body)
            assert answer.headers["content-length"] == str(len(body))
            assert answer.headers.get("x-acs-retry-after") == ("1200" if status == 599 else None)


@contract
async def test_a_redirect_is_a_reply_and_a_cookie_stays_where_it_is(open_to: Opener) -> None:
    """Nothing is followed, nothing is sent that was not signed."""
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"

    async def script(peer: Peer) -> None:
        while await peer.reply(redirect):
            pass

    async with hostile_server(script) as server, open_to(server.url) as sender:
        assert [await sender.status(), await sender.status()] == [302, 302]
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]


@contract
async def test_a_compressed_reply_is_unpacked(open_to: Opener) -> None:
    """Compression that nobody asked for is understood; what is neither, or a bomb, is lost."""
    packed = [
        (b"gzip", gzip.compress(b"{}"), b"{}"),
        (b"deflate", zlib.compress(b"{}"), b"{}"),
        (b"gzip", b"not gzip", None),
        (b"gzip", gzip.compress(bytes(3 << 20)), None),
    ]

    async def script(peer: Peer) -> None:
        for coding, body, _ in packed:
            head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n" % coding
            await peer.reply(with_length(body, head))

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _, _, expected in packed:
            answer = await sender.send()
            assert (answer.body if isinstance(answer, Response) else None) == expected


# Connections


@contract
async def test_a_connection_is_kept(open_to: Opener) -> None:
    """Requests one after the other share a connection."""
    async with hostile_server(answering) as server, open_to(server.url) as sender:
        for _ in range(5):
            await sender.status()
    assert (len(server.requests), server.connections) == (5, 1)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
@contract
async def test_a_connection_that_the_reply_ends_is_not_used_again(open_to: Opener, reply: bytes) -> None:
    """`Connection: close`, HTTP/1.0 and a reply without a length: read to the end, then a new connection."""

    async def script(peer: Peer) -> None:
        await peer.reply(reply)

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _ in range(2):
            answer = await sender.send()
            assert isinstance(answer, Response)
            assert answer.body == b"{}"
    assert server.connections == 2


@contract
async def test_a_chunked_reply_is_joined_and_the_connection_kept(open_to: Opener) -> None:
    """Chunks with extensions and trailers, in any segments."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nTrailer: t\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.reply(whole)
        await peer.reply(*[whole[at : at + 8] for at in range(0, len(whole), 8)])
        await answering(peer)

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _ in range(3):
            answer = await sender.send()
            assert isinstance(answer, Response)
            assert answer.body == b"{}"
    assert server.connections == 1


@contract
async def test_a_reply_in_many_segments_is_joined(open_to: Opener) -> None:
    """Byte by byte is the same as at once."""

    async def script(peer: Peer) -> None:
        whole = with_length(bytes(range(256)))
        await peer.reply(*[whole[at : at + 1] for at in range(len(whole))])

    async with hostile_server(script) as server, open_to(server.url) as sender:
        answer = await sender.send()
    assert isinstance(answer, Response)
    assert answer.body == bytes(range(256))


@contract
async def test_a_long_reply_keeps_its_connection(open_to: Opener) -> None:
    """A body over many segments arrives whole, and the connection is used again."""
    body = bytes(range(256)) * 1000

    async def script(peer: Peer) -> None:
        while await peer.reply(with_length(body)):
            pass

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _ in range(3):
            answer = await sender.send()
            assert isinstance(answer, Response)
            assert answer.body == body
    assert server.connections == 1


@contract
async def test_interim_replies_are_passed_over(open_to: Opener) -> None:
    """100 and 103 announce a reply; the reply is what follows, in the same segment or later."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.reply(interim, REPLY)
        await peer.reply(interim + REPLY)

    async with hostile_server(script) as server, open_to(server.url) as sender:
        assert [await sender.status(), await sender.status()] == [200, 200]


@contract
async def test_a_connection_closed_while_idle_is_not_used(open_to: Opener) -> None:
    """The service may close a kept connection at any time: nothing is lost."""

    async def script(peer: Peer) -> None:
        await peer.reply(REPLY)
        if peer.number == 2:
            peer.reset()

    async with hostile_server(script) as server, open_to(server.url) as sender:
        for _ in range(4):
            assert await sender.status() == 200
            await server.all_closed()
    assert server.connections == 4


@contract
async def test_bytes_that_nobody_asked_for_are_not_a_reply(open_to: Opener) -> None:
    """What arrives while no request is under way, or behind a reply, never answers the next request."""
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    late = [(REPLY, forged), (REPLY + forged,), (REPLY + forged[:20], forged[20:]), (REPLY + b"\r\n", forged)]

    async def script(peer: Peer) -> None:
        await peer.reply(*late.pop() if late else (REPLY,))
        await answering(peer)

    async with hostile_server(script) as server, open_to(server.url) as sender:
        while late:
            await sender.send()
            await turns(24)
            answer = await sender.send()
            assert isinstance(answer, NoReply) or answer.body == b"{}"


@contract
async def test_no_more_connections_than_allowed(open_to: Opener) -> None:
    """More senders than connections wait for their turn, and all are served."""
    async with hostile_server(answering) as server, open_to(server.url, connections=3) as sender:
        statuses = await asyncio.gather(*[sender.status() for _ in range(40)])
    assert statuses == [200] * 40
    assert server.most_open <= 3


# When it is written


@contract
async def test_on_write_comes_right_before_the_bytes(open_to: Opener) -> None:
    """A turn of the loop after `on_write`, the bytes are at the service."""
    seen: list[bytes] = []

    def look() -> None:
        connection, _ = listener.accept()
        connection.setblocking(False)
        seen.append(connection.recv(1 << 16)[:4])
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with open_to(f"http://127.0.0.1:{listener.getsockname()[1]}") as sender:
            await sender.send(on_write=lambda: asyncio.get_running_loop().call_soon(look))
    assert seen == [b"POST"]


@contract
async def test_what_may_not_be_sent_is_not_written(open_to: Opener) -> None:
    """`on_write` says no: no byte leaves, and nothing can have been applied."""
    asked: list[None] = []

    def no() -> bool:
        asked.append(None)
        return False

    received: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server, open_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as sender:
        for body in (REQUEST.body, b""):
            answer = await sender.transport.send(replace(REQUEST, body=body), no)
            assert answer == NoReply("the right to send had ended", maybe_applied=False)
        async with asyncio.timeout(60):
            while len(received) < 2:
                await turns()
    assert received == [b"", b""]
    assert len(asked) == 2


@contract
async def test_a_refused_connection_is_not_a_write(open_to: Opener) -> None:
    """Nobody listens: not written, not applied, and the reason says where."""
    async with hostile_server(answering) as server:
        pass
    async with open_to(server.url) as sender:
        loss = await sender.loss()
    assert loss == NoReply(
        f"no connection to 127.0.0.1:{server.port}: Connection refused", maybe_applied=False
    )
    assert sender.writes == 0


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.1"])
@contract
async def test_an_impossible_name_is_not_a_write(open_to: Opener, host: str) -> None:
    """A name without an address: not written, not applied, and the reason names it."""
    async with open_to(f"http://{host}:9", patience=2.0) as sender:
        loss = await sender.loss()
    assert host in loss.reason
    assert (loss.maybe_applied, sender.writes) == (False, 0)


@contract
async def test_a_line_break_in_a_header_is_the_callers_mistake(open_to: Opener) -> None:
    """It is refused before anything is written, and the connection slot is free again."""
    smuggled = Request("POST", "", {"host": "a\r\nx: y"}, b"")
    async with hostile_server(answering) as server, open_to(server.url, connections=1) as sender:
        for _ in range(2):
            with pytest.raises(ValueError, match="header"):
                await sender.send(smuggled)
        assert await sender.status() == 200
    assert len(server.requests) == 1


# Ends


@contract
async def test_a_cancelled_attempt_leaves_no_trace(open_to: Opener) -> None:
    """Cancellation passes, the connection with the reply to come is closed, and its slot is free."""

    async def script(peer: Peer) -> None:
        await (silent if peer.number == 1 else answering)(peer)

    async with hostile_server(script) as server, open_to(server.url, connections=1) as sender:
        attempt = asyncio.create_task(sender.send())
        await server.asked()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await server.all_closed()
        assert await sender.status() == 200
    assert server.connections == 2


@contract
async def test_cancelling_one_that_waits_for_a_connection_keeps_the_slot(open_to: Opener) -> None:
    """A slot that a cancelled sender waited for goes to the next."""
    async with hostile_server(answering) as server, open_to(server.url, connections=1) as sender:
        attempts = [asyncio.create_task(sender.status()) for _ in range(4)]
        await asyncio.sleep(0)
        attempts[1].cancel()
        attempts[2].cancel()
        await asyncio.wait(attempts)
        assert attempts[0].result() == attempts[3].result() == await sender.status() == 200


@contract
async def test_closing_ends_what_is_under_way(open_to: Opener) -> None:
    """An attempt that is under way when the transport closes is lost, not left hanging."""
    async with hostile_server(silent) as server:
        async with open_to(server.url) as sender:
            attempt = asyncio.create_task(sender.loss())
            await server.asked()
        assert (await attempt).maybe_applied


@contract
async def test_nothing_that_is_carried_is_logged(open_to: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """No canary in any log record at debug level, nor in a reason, whatever goes wrong."""
    canary = "c4n4ry"
    request = Request("POST", f"A={canary}", {"host": "kms", "x-acs-security-token": canary}, canary.encode())
    echo = canary.encode()
    replies = [
        b"HTTP/1.1 200 OK\r\nX: " + echo + b"\r\nContent-Length: 9\r\n\r\n" + echo,
        b"HTTP/1.1 " + echo + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + echo + b"\r\n\r\n",
        echo,
    ]

    async def script(peer: Peer) -> None:
        await peer.reply(replies[peer.number - 1])

    reasons = []
    with caplog.at_level(logging.DEBUG):
        async with hostile_server(script) as server, open_to(server.url) as sender:
            for _ in replies:
                answer = await sender.send(request)
                assert isinstance(answer, NoReply)
                reasons.append(answer.reason)
    assert canary not in caplog.text
    assert canary not in "".join(reasons)
