"""Any bytes from the service give a response or a loss, in time, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_server import Peer, hostile_server
from support.transports import KINDS, LOOPS, open_files, opener

from bulkseed.model import NoReply
from bulkseed.wire.message import Response

PATIENCE = 0.05

# Pieces that make sense somewhere in a reply, so that the parser gets deep.
_PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n",
        b"HTTP/1.0 204 \r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n",
        b"Content-Length: 2\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 99\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Encoding: br\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\n",
        b"Sec-WebSocket-Key1: x\r\n",
        b"Set-Cookie: a=\xff; Domain=.\r\n",
        b"Location: //\r\n",
        b"\r\n",
        b"\n",
        b"{}",
        b"2\r\n{}\r\n",
        b"0\r\n",
        b"\x1f\x8b\x08\x00",
        b"\x00",
    ]
)
_REPLIES = st.lists(st.one_of(_PIECES, _PIECES, _PIECES, st.binary(max_size=8)), max_size=12)
_ENDS = st.sampled_from(["close", "close", "reset", "half close", "hold"])


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_bytes_give_an_answer(kind: str, loop: str) -> None:
    """Two requests on one transport: each is answered or lost within the timeout; nothing raises or leaks."""
    files = open_files()

    @settings(max_examples=100)
    @given(replies=st.lists(_REPLIES, min_size=1, max_size=2), together=st.booleans(), end=_ENDS)
    def check(replies: list[list[bytes]], together: bool, end: str) -> None:
        async def script(peer: Peer) -> None:
            for reply in replies:
                await peer.reply(*([b"".join(reply)] if together else reply))
            if end == "reset":
                peer.reset()
            elif end == "half close":
                peer.half_close()
            if end in ("half close", "hold"):
                await peer.until_closed()

        async def run() -> None:
            async with (
                hostile_server(script) as server,
                opener(kind)(server.url, patience=PATIENCE) as sender,
            ):
                for _ in range(2):
                    assert isinstance(await sender.send(), Response | NoReply)

        errors: list[str] = []
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: errors.append(str(context)))
            runner.run(run())
        assert not errors

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check()
        gc.collect()
    assert not caught, [str(warning.message) for warning in caught]
    assert open_files() == files
