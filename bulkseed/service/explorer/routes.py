"""The explorer's addresses: one page, its style and script, and what they ask for."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from aiohttp import web

from bulkseed.model import Fault
from bulkseed.service.explorer.calls import Composer, open_refusal
from bulkseed.service.explorer.door import HEADERS, Door, guard
from bulkseed.service.explorer.journal import Journal, describe
from bulkseed.service.explorer.listing import Listing
from bulkseed.service.explorer.parameters import actions_table
from bulkseed.service.kms import Kms
from bulkseed.service.shell.group_commit import Gate

BATCH_SECONDS = 0.2
"""Between two batches of rows: many enough for the eye, few enough for the page."""
_FILES = {"/": "page.html", "/style.css": "style.css", "/script.js": "script.js"}
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


@asynccontextmanager
async def explorer(gate: Gate, kms: Kms, journal: Journal, composer: Composer) -> AsyncIterator[str]:
    """Serve the page on a free loopback port for as long as the block runs, and give its address."""
    door = Door()
    app = web.Application(middlewares=[guard(door)], client_max_size=1 << 20)
    views = _Views(gate, kms, journal, composer)
    app.add_routes(
        [
            *(web.get(path, _file(name)) for path, name in _FILES.items()),
            web.get("/api/actions", views.actions),
            web.post("/api/sign", views.sign),
            web.post("/api/send", views.send),
            web.get("/api/requests", views.requests),
            web.post("/api/refusal", views.refusal),
            web.post("/api/look", views.look),
            web.get("/api/quota", views.quota),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)  # the stream of requests never ends
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        door.port = runner.addresses[0][1]
        yield door.address
    finally:
        await runner.cleanup()


def _file(name: str) -> Callable[[web.Request], Any]:
    async def send(_request: web.Request) -> web.Response:
        kind = _TYPES[name.rpartition(".")[2]]
        return web.Response(body=_read(name), content_type=kind, charset="utf-8")

    return send


@cache
def _read(name: str) -> bytes:
    return (files("bulkseed.service.explorer") / name).read_bytes()


class _Views:
    """Answers the page's questions."""

    def __init__(self, gate: Gate, kms: Kms, journal: Journal, composer: Composer) -> None:
        self._gate = gate
        self._kms = kms
        self._journal = journal
        self._composer = composer

    async def actions(self, _request: web.Request) -> web.Response:
        """Give the table of actions, and where calls go."""
        return _json(
            {
                "actions": actions_table(),
                "endpoint": self._composer.endpoint,
                "region": self._composer.region,
                "access_key_id": self._composer.credentials.access_key_id,
            }
        )

    async def sign(self, request: web.Request) -> web.Response:
        """Give the layers and the samples of a call; nothing is sent."""
        return _json(self._composer.show(await _asked(request), time.time(), os.urandom(16).hex()))

    async def send(self, request: web.Request) -> web.Response:
        """Make a call, as a client does, and give the whole reply."""
        signed = self._composer.sign(await _asked(request), time.time(), os.urandom(16).hex())
        reply = await self._gate.answer(signed)
        if reply is None:
            return _json({"status": 0, "headers": {}, "body": "Dropped, as --faults says."})
        body = reply.body.decode(errors="replace")
        return _json({"status": reply.status, "headers": dict(reply.headers), "body": body})

    async def requests(self, request: web.Request) -> web.StreamResponse:
        """Send rows as requests come in, in batches (server-sent events)."""
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        listing = Listing(self._journal)
        with suppress(ConnectionResetError):  # the page was closed
            await response.prepare(request)
            while True:
                if rows := [describe(entry) for entry in listing.batch()]:
                    await response.write(b"data: " + orjson.dumps({"rows": rows}) + b"\n\n")
                await asyncio.sleep(BATCH_SECONDS)
        return response

    async def refusal(self, request: web.Request) -> web.Response:
        """Open a refused request; with ``values`` also what a value is in."""
        asked = await _asked(request)
        number = asked.get("number")
        entry = self._journal.find(number) if isinstance(number, int) else None
        if entry is None or not entry.refusal:
            raise web.HTTPNotFound
        return _json(open_refusal(entry, self._kms.secret_of, values=asked.get("values") is True))

    async def look(self, request: web.Request) -> web.Response:
        """Answer an action that only reads, for whoever sits in front of the service."""
        asked = await _asked(request)
        if asked.get("action") not in READS or not isinstance(asked.get("parameters"), dict):
            raise web.HTTPBadRequest
        found = self._kms.look(asked["action"], asked["parameters"], time.time())
        if isinstance(found, Fault):
            return _json({"fault": f"{found.code}: {found.message}"})
        return _json(found)

    async def quota(self, _request: web.Request) -> web.Response:
        """Give each quota group's use in each second of the last minute."""
        return _json(self._kms.usage(time.monotonic()))


READS = {
    *("ListSecrets", "DescribeSecret", "ListSecretVersionIds", "GetSecretValue"),
    *("ListKeys", "DescribeKey", "ListAliasesByKeyId", "ListResourceTags", "ListKeyVersions"),
}


async def _asked(request: web.Request) -> dict[str, Any]:
    try:
        asked = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise web.HTTPBadRequest from None
    if not isinstance(asked, dict):
        raise web.HTTPBadRequest
    return asked


def _json(document: object) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")
