"""Runs a test over both transports and both event loops, and sees that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bulkseed.model import NoReply
from bulkseed.transport.aiohttp_session import SessionTransport
from bulkseed.transport.endpoint import parse_endpoint
from bulkseed.transport.raw import RawTransport
from bulkseed.wire.message import Request, Response, Transport

KINDS: dict[str, type[RawTransport | SessionTransport]] = {
    "fast": RawTransport,
    "session": SessionTransport,
}
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
HEADERS = {"host": "kms.example", "x-acs-action": "CreateSecret"}
HANG = 60.0  # seconds; far beyond every timeout that a test sets
REQUEST = Request("POST", "A=%3A%2A%2F%7E", HEADERS, b"SecretData=v")


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
    _runner.run(asyncio.sleep(0))  # libuv opens a pipe for the whole process at first use


class Sender:
    """Sends through a transport and checks what holds for every attempt."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.writes = 0

    async def send(
        self, request: Request = REQUEST, on_write: Callable[[], object] = lambda: None
    ) -> Response | NoReply:
        """Send `request`. Written once if answered; lost before the write means not applied."""
        writes = 0

        def count() -> bool:
            nonlocal writes
            writes += 1
            on_write()
            return True

        async with asyncio.timeout(HANG):
            answer = await self.transport.send(request, count)
        self.writes += writes
        if isinstance(answer, NoReply):
            assert answer.maybe_applied == bool(writes)
            assert writes <= 1
        else:
            assert writes == 1
        return answer

    async def status(self) -> int:
        """Send, and return the status of the reply that must come."""
        answer = await self.send()
        assert isinstance(answer, Response), answer
        return answer.status

    async def loss(self) -> NoReply:
        """Send, and return the loss that must come."""
        answer = await self.send()
        assert isinstance(answer, NoReply), answer
        return answer


Opener = Callable[..., AbstractAsyncContextManager[Sender]]


def opener(kind: str) -> Opener:
    """Return what opens a transport of `kind`; no option but the URL is needed."""

    @asynccontextmanager
    async def open_to(
        url: str,
        *,
        connections: int = 4,
        patience: float = 60.0,
        connect_patience: float = 60.0,
        ca_file: str | None = None,
    ) -> AsyncIterator[Sender]:
        endpoint = parse_endpoint(url, ca_file)
        async with KINDS[kind](
            endpoint, connections=connections, timeout=patience, connect_timeout=connect_patience
        ) as transport:
            yield Sender(transport)

    return open_to


def open_files() -> int:
    """Count what this process has open, sockets above all."""
    return len(list(Path("/dev/fd").iterdir()))


def contract(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of ``test(open_to, **fixtures)`` for every transport on every event loop."""

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("kind", KINDS)
    def run(kind: str, loop: str, **fixtures: Any) -> None:
        errors: list[str] = []
        files = open_files()
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: errors.append(str(context)))
            runner.run(test(opener(kind), **fixtures))  # type: ignore[arg-type]  # it is a coroutine function
        assert not errors, errors
        assert open_files() == files, "a socket is left open"

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    own = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("kind", "loop")]
    fixtures = list(inspect.signature(test).parameters.values())[1:]
    as_keywords = [fixture.replace(kind=inspect.Parameter.KEYWORD_ONLY) for fixture in fixtures]
    run.__signature__ = inspect.Signature(own + as_keywords)
    made: Callable[..., None] = run
    return made
