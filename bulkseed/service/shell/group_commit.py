"""Between the shells and the sans-IO core: faults on demand, group commit, and what is due.

Requests of one turn of the event loop share a transaction, and no reply leaves before it is on disk. When the
commit fails, every request of the group is answered with InternalFailure, and nothing of it is stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from bulkseed.service.kms import TICK, Kms
from bulkseed.service.request_ids import refuse
from bulkseed.service.rotation import PasswordChange
from bulkseed.service.shell.databases import Databases
from bulkseed.service.shell.faults import Arrival, Hook
from bulkseed.service.shell.plain_request import read_plain
from bulkseed.service.straight.path import Made
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.fault import fault
from bulkseed.wire.message import Request, Response

log = logging.getLogger(__name__)

Note = Callable[[Request | bytes, Response | None, float, float], None]
"""Told of every request (a plain one as its bytes): its response, when it came, and how long it took.

When is in epoch seconds, how long in seconds.
"""


class Gate:
    """Serves requests for a shell.

    `clock` gives epoch seconds, `steady` the seconds of a clock that nobody sets. `note` is told of
    every request.
    """

    def __init__(
        self,
        kms: Kms,
        hook: Hook | None = None,
        databases: Databases | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        note: Note | None = None,
    ) -> None:
        self._kms = kms
        self._hook = hook
        self._databases = databases or Databases({})
        self._clock = clock
        self._steady = steady
        self._note = note
        self._group: list[Callable[[bool], None]] = []
        self._background: set[asyncio.Task[None]] = set()

    async def answer(self, request: Request) -> Response | None:
        """Return the response, or None when the connection is to be closed without one."""
        if self._note is None:
            return await self._answer(request)
        at, started = self._clock(), time.perf_counter()
        response = await self._answer(request)
        self._note(request, response, at, time.perf_counter() - started)
        return response

    def answer_soon(self, data: bytes, reply: Callable[[Response], None]) -> bool:
        """Answer `data`, if it is one plain request, and call `reply` once what was written is on disk.

        That takes no task. The replies of one turn of the event loop go out together, those that wrote
        nothing too: sent one by one, each would wake its client, and the next turn would serve a request or
        two. False: nothing was done, and the request is for `answer`.
        """
        if self._hook is not None:
            return False
        at, started = self._clock(), time.perf_counter()
        made = self._straight(data)
        if made is None:
            request = read_plain(data)
            if request is None:
                return False
            made = Made(self._handle(request))
            self._kms.learn(data, request, at)
        jobs = self._kms.take_jobs()

        def settle(stored: bool) -> None:  # as futures are settled
            answer = self._kms.final(made) if stored else _failure()
            if stored and jobs:
                self._start(self._run_then(jobs, lambda: reply(answer)))
            else:
                reply(answer)
            if self._note is not None:
                self._note(data, answer, at, time.perf_counter() - started)

        self._wait(settle)
        return True

    def _straight(self, data: bytes) -> Made | None:
        try:
            return self._kms.answer_straight(data, self._clock(), self._steady())
        except Exception as error:  # noqa: BLE001  # see _handle
            self._fail(error)
            return Made(_failure())

    async def _run_then(self, jobs: list[PasswordChange], reply: Callable[[], None]) -> None:
        await self._run(jobs)
        reply()

    async def _answer(self, request: Request) -> Response | None:
        disturbance = self._hook(_arrival(request)) if self._hook else None
        if disturbance is None:
            return await self._serve(request)
        if disturbance.delay:
            await asyncio.sleep(disturbance.delay)
        response = await self._serve(request) if disturbance.applied else Response(200, {}, b"")
        return disturbance.reply(response)

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Carry out what is due, also while nobody calls, for as long as the block runs."""
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            tasks = [ticker, *self._background]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            try:
                self._kms.tick(self._clock())
            except Exception as error:  # noqa: BLE001  # the clock must go on; see _fail
                self._fail(error)
            else:
                jobs = self._kms.take_jobs()
                if await self._stored():
                    await self._run(jobs)
            await asyncio.sleep(TICK)

    def _handle(self, request: Request) -> Response:
        try:
            return self._kms.handle(request, self._clock(), self._steady())
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may be told that something is stored
            self._fail(error)
            return _failure()

    async def _serve(self, request: Request) -> Response:
        response = self._handle(request)
        jobs = self._kms.take_jobs()
        if not await self._stored():
            return _failure()
        if jobs:
            await self._run(jobs)
        return response

    async def _stored(self) -> bool:
        """Wait until what was written so far is on disk; False when it could not be put there."""
        if not self._kms.dirty:
            return True
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._wait(lambda done: None if stored.done() else stored.set_result(done))
        return await stored

    def _wait(self, settle: Callable[[bool], None]) -> None:
        """Have `settle` told, at the end of this turn, whether what was written so far is on disk."""
        if not self._group:
            asyncio.get_running_loop().call_soon(self.commit)
        self._group.append(settle)

    async def _run(self, jobs: list[PasswordChange]) -> None:
        """Start the jobs, and wait for those that a caller waits for."""
        tasks = {self._start(self._change(job)): job for job in jobs}
        for task, job in tasks.items():
            if job.asked:
                await asyncio.wait([task])

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _change(self, job: PasswordChange) -> None:
        changed = await self._databases.change(job)
        try:
            self._kms.finish_job(job, self._clock(), changed=changed)
        except Exception as error:  # noqa: BLE001  # see _fail
            self._fail(error)
        else:
            await self._stored()

    def commit(self) -> None:
        """Put what this turn's requests wrote on disk, and let their replies go."""
        if not self._group:
            return  # the group has failed already
        try:
            self._kms.commit()
        except Exception as error:  # noqa: BLE001  # whatever it is, the whole group is told; see _fail
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
        for settle in group:
            settle(stored)


def _failure() -> Response:
    return refuse(fault("InternalFailure"))


def _arrival(request: Request) -> Arrival:
    parameters = dict((parse_form(request.query) or []) + (parse_form(request.body) or []))
    action = request.headers.get("x-acs-action") or parameters.get("Action", "")
    return Arrival(action, parameters.get("SecretName", ""))
