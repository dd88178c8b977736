"""Whole plain requests are answered at once, the others by way of aiohttp: nobody sees which."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.kms import UNLIMITED, create

from bulkseed.model import Credentials, Target
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service
from bulkseed.service.shell.plain_request import read_plain
from bulkseed.wire.actions import get_secret_value
from bulkseed.wire.message import Call
from bulkseed.wire.signing.verify import SIGNATURES

HEAD = b"POST /?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """A service in memory, on a real socket."""
    async with local_service(ServiceOptions(**UNLIMITED)) as target:
        yield target


def signed(target: Target, call: Call, nonce: str, first: str = "") -> bytes:
    """Return a signed request as bytes, with `first` in front of the path."""
    assert isinstance(target.credentials, Credentials)
    request = SIGNATURES["acs3"](host(target), target.credentials).sign(call, time.time(), nonce)
    headers = request.headers | {"content-length": str(len(request.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {first}/?{request.query} HTTP/1.1\r\n{lines}\r\n".encode() + request.body


def host(target: Target) -> str:
    """Return host and port."""
    return target.endpoint.partition("://")[2]


async def talk(target: Target, pieces: list[bytes], replies: int) -> list[bytes]:
    """Send pieces over one connection, each on its own, and return the replies' bodies."""
    name, _, port = host(target).rpartition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    with closing(writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that they arrive on their own
        return [await reply(reader) for _ in range(replies)]


async def reply(reader: asyncio.StreamReader) -> bytes:
    """Read a reply, and return its status and body."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return head[9:12] + b" " + await reader.readexactly(length)


def creates(target: Target, count: int) -> list[bytes]:
    """Return requests that create different secrets."""
    return [signed(target, create(f"s{number}").encode(), f"n{number}") for number in range(count)]


@pytest.mark.parametrize("cut", [0, 5, 300, -1])
async def test_requests_in_any_pieces_get_the_same_replies(target: Target, cut: int) -> None:
    """Whole, split or run together: each request of a connection gets its reply, in the order sent."""
    bytes_ = creates(target, 6)
    pieces = bytes_ if cut == 0 else [b"".join(bytes_)] if cut < 0 else [
        bytes_[0], bytes_[1], bytes_[2][:cut], bytes_[2][cut:], *bytes_[3:]
    ]  # fmt: skip
    replies = await talk(target, pieces, 6)
    assert [text[:3] for text in replies] == [b"200"] * 6
    assert [f'"SecretName":"s{number}"'.encode() in text for number, text in enumerate(replies)] == [True] * 6


async def test_a_request_sent_ahead_of_a_reply_waits_for_it(target: Target) -> None:
    """Two at once, then a read of what the first made: the replies come in that order."""
    first, second = creates(target, 2)
    read = signed(target, get_secret_value.Request("s0").encode(), "r")
    replies = await talk(target, [first, second + read, b""], 3)
    assert b"SecretData" in replies[2]
    assert b"SecretData" not in replies[1]


async def test_a_proxys_form_of_the_address_is_read(target: Target) -> None:
    """RFC 9112: a target may be the whole address; the signature is over the path in it."""
    call = create("absolute").encode()
    assert (await talk(target, [signed(target, call, "n", target.endpoint)], 1))[0].startswith(b"200")


async def test_expect_is_answered_before_the_body(target: Target) -> None:
    """A client that asks first is told to go on; it need not wait for its own timeout (RFC 9110)."""
    head, _, body = signed(target, create("asked").encode(), "n").partition(b"\r\n\r\n")
    name, _, port = host(target).rpartition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    with closing(writer):
        writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
        told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        assert told.startswith(b"HTTP/1.1 100 ")
        writer.write(body)
        assert (await reply(reader)).startswith(b"200")
        writer.write(head.replace(b"asked", b"other") + b"\r\nExpect: something\r\n\r\n")
        assert (await reply(reader)).startswith(b"417")


@pytest.mark.parametrize(
    "raw",
    [
        HEAD,
        HEAD + b"xx",
        HEAD + b"xxxx",
        HEAD.replace(b"1.1", b"1.0") + b"xxx",
        HEAD.replace(b"POST", b"PUT") + b"xxx",
        HEAD.replace(b"/?", b"/other?") + b"xxx",
        HEAD.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost") + b"xxx",
        HEAD.replace(b"Host", b"Expect: 100-continue\r\nHost") + b"xxx",
        HEAD.replace(b"Host", b"Connection: close\r\nHost") + b"xxx",
        HEAD.replace(b"Host", b"host: y\r\nHost") + b"xxx",
        HEAD.replace(b"Host: x", b"Host: x\r\n folded") + b"xxx",
        HEAD.replace(b"Host: x\r\n", b"") + b"xxx",
        HEAD.replace(b"Host: x", b"Host : x") + b"xxx",
        HEAD.replace(b"Host: x", b"Host: \xff") + b"xxx",
        HEAD.replace(b"\r\n", b"\n") + b"xxx",
        HEAD.replace(b": 3", b": +3") + b"xxx",
        HEAD.replace(b"a=b", b"a=\xff") + b"xxx",
    ],
)
def test_what_is_not_plain_is_left_to_aiohttp(raw: bytes) -> None:
    """Anything that is not exactly one request in the plainest form."""
    assert read_plain(raw) is None


@given(st.binary())
def test_any_bytes_can_be_looked_at(raw: bytes) -> None:
    """Reading never raises, and keeps to its length."""
    for data in (raw, HEAD + raw, HEAD.replace(b"Host: x", b"Host: x\r\nA: " + raw) + b"xxx"):
        request = read_plain(data)
        assert request is None or len(request.body) in (0, 3)


def test_a_plain_request_is_read_as_it_is() -> None:
    """Names in lower case, values without the blanks around them."""
    request = read_plain(HEAD.replace(b"x\r\n", b" \t x y \r\nX-Empty:\r\n") + b"a=1")
    assert request is not None
    assert (request.method, request.path, request.query, request.body) == ("POST", "/", "a=b", b"a=1")
    assert request.headers == {"host": "x y", "x-empty": "", "content-length": "3"}
