"""Between the shells and the sans-IO core: faults on demand, and group commit.

Requests of one turn of the event loop share a transaction, and no reply leaves before it is on disk. When the
commit fails, every request of the group is answered with InternalFailure, and nothing of it is stored.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable

from bulkseed.service.faults import Arrival, Hook
from bulkseed.service.kms import Kms
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.fault import fault, respond
from bulkseed.wire.message import Request, Response

log = logging.getLogger(__name__)


class Gate:
    """Serves requests for a shell; `clock` gives epoch seconds."""

    def __init__(self, kms: Kms, hook: Hook | None = None, clock: Callable[[], float] = time.time) -> None:
        self._kms = kms
        self._hook = hook
        self._clock = clock
        self._group: list[asyncio.Future[bool]] = []

    async def answer(self, request: Request) -> Response | None:
        """Return the response, or None when the connection is to be closed without one."""
        disturbance = self._hook(_arrival(request)) if self._hook else None
        if disturbance is None:
            return await self._serve(request)
        if disturbance.delay:
            await asyncio.sleep(disturbance.delay)
        response = await self._serve(request) if disturbance.applied else Response(200, {}, b"")
        return disturbance.reply(response)

    async def _serve(self, request: Request) -> Response:
        try:
            response = self._kms.handle(request, self._clock())
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be told that something is stored
            self._fail(error)
            return respond(fault("InternalFailure"))
        if not self._kms.dirty:
            return response
        loop = asyncio.get_running_loop()
        if not self._group:
            loop.call_soon(self._commit)
        stored: asyncio.Future[bool] = loop.create_future()
        self._group.append(stored)
        return response if await stored else respond(fault("InternalFailure"))

    def _commit(self) -> None:
        if not self._group:
            return  # the group has failed already
        try:
            self._kms.commit()
        except sqlite3.Error as error:
            self._fail(error)
            return
        self._settle(stored=True)

    def _fail(self, error: Exception) -> None:
        # The type only: the text of an exception may hold a value.
        log.error("a request failed (%s): its group is rolled back", type(error).__name__)
        self._kms.rollback()
        self._settle(stored=False)

    def _settle(self, *, stored: bool) -> None:
        group, self._group = self._group, []
        for future in group:
            if not future.done():
                future.set_result(stored)


def _arrival(request: Request) -> Arrival:
    parameters = dict((parse_form(request.query) or []) + (parse_form(request.body) or []))
    action = request.headers.get("x-acs-action") or parameters.get("Action", "")
    return Arrival(action, parameters.get("SecretName", ""))
