"""What the raw transport does better than the contract asks, and when it steps back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp.connector import Connection
from support.hostile_server import REPLY, Peer, answering, hostile_server, turns
from support.transports import Sender

from bulkseed.model import NoReply
from bulkseed.pacing.pacer import always
from bulkseed.transport.aiohttp_internals import incompatibility
from bulkseed.transport.connection import RawConnection
from bulkseed.transport.endpoint import KEEP_ALIVE, parse_endpoint
from bulkseed.transport.raw import RawTransport
from bulkseed.transport.results import CancelledAfterReplyError
from bulkseed.wire.message import Response


@pytest.mark.parametrize("version", ["3.10.11", "3.99.0", "4.0.0a1"])
async def test_an_aiohttp_that_was_not_tried_is_an_obstacle(version: str) -> None:
    """Outside the range the raw transport is not used; the one installed is inside."""
    assert version in (incompatibility(version) or "")
    assert incompatibility() is None


async def test_a_connection_that_idled_long_is_not_used() -> None:
    """Load balancers forget idle connections without a word, so they are not trusted for long."""
    async with (
        hostile_server(answering) as server,
        RawTransport(parse_endpoint(server.url), connections=2) as transport,
    ):
        await Sender(transport).status()
        (connection,) = transport.connections
        connection.idle_since -= KEEP_ALIVE
        await Sender(transport).status()
        await turns()
        assert connection not in transport.connections
    assert server.connections == 2


async def test_a_reset_does_not_end_a_reply_without_a_length() -> None:
    """Only an orderly end says that the body is complete."""

    async def script(peer: Peer) -> None:
        await peer.reply(b"HTTP/1.1 200 OK\r\n\r\n{}")
        peer.reset()

    async with (
        hostile_server(script) as server,
        RawTransport(parse_endpoint(server.url), connections=1) as transport,
    ):
        await Sender(transport).loss()


async def test_a_connection_that_speaks_unasked_is_closed() -> None:
    """Bytes between two requests: the next request has a connection of its own, and nothing is lost."""

    async def script(peer: Peer) -> None:
        await peer.reply(REPLY, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.until_closed()

    async with (
        hostile_server(script) as server,
        RawTransport(parse_endpoint(server.url), connections=1) as transport,
    ):
        for _ in range(2):
            assert await Sender(transport).status() == 200
            await server.all_closed()
    assert server.connections == 2


async def test_an_attempt_that_connected_late_still_ends_in_time() -> None:
    """The one timer follows the earliest deadline, not the attempt that was written first."""

    async def script(peer: Peer) -> None:
        await peer.until_closed()

    async with (
        hostile_server(script) as server,
        RawTransport(parse_endpoint(server.url), connections=2) as transport,
    ):
        now = asyncio.get_running_loop().time()
        early, late = [await transport._new_connection(now + 90.0) for _ in range(2)]
        pending = early.exchange(b"x", now + 90.0, always)
        async with asyncio.timeout(60):
            assert isinstance(await late.exchange(b"x", now + 0.1, always), NoReply)
        assert not pending.done()


async def test_a_connection_that_ends_before_the_write_leaves_no_doubt() -> None:
    """Requests leave at the end of a turn of the loop: one whose connection ends in it was not sent."""
    written: list[bool] = []

    def wrote() -> bool:
        written.append(True)
        return True

    async with (
        hostile_server(answering) as server,
        RawTransport(parse_endpoint(server.url), connections=1) as transport,
    ):
        await Sender(transport).status()
        (connection,) = transport.connections
        pending = connection.exchange(b"x", asyncio.get_running_loop().time() + 5.0, wrote)
        connection.close()
        answer = await pending
    assert isinstance(answer, NoReply)
    assert not answer.maybe_applied
    assert not written
    assert len(server.requests) == 1


async def test_a_reply_that_comes_before_its_request_is_not_believed() -> None:
    """Bytes that arrive in the turn in which a request waits to be written answer nothing."""
    async with (
        hostile_server(answering) as server,
        RawTransport(parse_endpoint(server.url), connections=1) as transport,
    ):
        await Sender(transport).status()
        (connection,) = transport.connections
        pending = connection.exchange(b"x", asyncio.get_running_loop().time() + 5.0, always)
        connection.data_received(REPLY)
        answer = await pending
    assert isinstance(answer, NoReply)
    assert not answer.maybe_applied


async def test_a_slot_that_comes_as_its_waiter_is_cancelled_is_not_lost() -> None:
    """The one connection is given back in the turn in which who waits for it gives up: the next has it."""
    async with (
        hostile_server(answering) as server,
        RawTransport(parse_endpoint(server.url), connections=1) as transport,
        asyncio.timeout(60),
    ):
        transport._free_slots -= 1
        waiting = asyncio.ensure_future(Sender(transport).status())
        await turns()
        transport._give_back_slot()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await Sender(transport).status() == 200


async def test_a_reply_in_the_turn_of_a_cancellation_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cancellation goes on, and carries the reply: what it created would be nobody's otherwise (H23)."""
    cancelling: list[asyncio.Task[object]] = []
    receive = RawConnection.data_received

    def cancel_too(connection: RawConnection, data: bytes) -> None:
        receive(connection, data)
        cancelling[0].cancel()

    monkeypatch.setattr(RawConnection, "data_received", cancel_too)
    async with (
        hostile_server(answering) as server,
        RawTransport(parse_endpoint(server.url), connections=1) as transport,
    ):
        cancelling.append(asyncio.create_task(Sender(transport).send()))
        with pytest.raises(CancelledAfterReplyError) as caught:
            await cancelling[0]
        assert isinstance(caught.value.reply, Response)
        assert caught.value.reply.status == 200
        assert not transport.connections


async def test_what_was_said_before_the_request_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A greeting that came while aiohttp still had the connection is no reason to wait for the timeout."""

    async def greet(peer: Peer) -> None:
        await peer.send(b"220 smtp.example ready\r\n")
        await peer.until_closed()

    async with (
        hostile_server(greet) as server,
        RawTransport(parse_endpoint(server.url), connections=1, timeout=1.0) as transport,
    ):
        connect = transport._connector.connect

        async def connect_and_hear(*args: Any) -> Connection:
            connected = await connect(*args)
            while connected.protocol is not None and not connected.protocol.should_close:  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0)
            return connected

        monkeypatch.setattr(transport._connector, "connect", connect_and_hear)
        assert not (await Sender(transport).loss()).maybe_applied
