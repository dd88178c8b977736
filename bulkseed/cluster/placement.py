"""Which worker serves which target, and when another one has to.

What became of a target is read from its ledger, never from its task: a task that failed, was lost or
cancelled is only a hint to look.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

import anyio

from bulkseed.cluster.hosted_ledger import HostedLedger, Placement
from bulkseed.cluster.lease import AGAIN, lease_clock
from bulkseed.cluster.progress import failure_from_json
from bulkseed.engine.stop import STOPPED_EARLY, Stop
from bulkseed.errors import BulkseedError, ServiceError
from bulkseed.targets.run_all import TargetEnd, TargetRun

LOOK_EVERY = 0.1
WORKER_WAIT = 60.0
"""Seconds that a target waits for a worker that may serve it."""

MOST_TRIES = 3
"""Tasks of a target in a row that may end before they begin."""

SEEN_WITHIN = 5.0
"""Seconds until the scheduler must have said which workers there are."""


@dataclass(slots=True, frozen=True)
class WorkerSeen:
    """A worker as the scheduler sees it; `last_seen` is by the scheduler's clock."""

    name: str
    last_seen: float


class Begun(Protocol):
    """A task that was given to a worker."""

    def done(self) -> bool:
        """Tell whether it has ended, however."""
        ...


class Workers(Protocol):
    """What placing needs of a cluster."""

    @property
    def is_lost(self) -> bool:
        """True if nothing can be placed any more."""
        ...

    async def seen(self) -> Mapping[str, WorkerSeen]:
        """Return the workers by address."""
        ...

    def begin(self, worker: str, key: str, task: bytes) -> Begun:
        """Have a worker work on a target."""
        ...


@dataclass(slots=True)
class _Seat:
    run: TargetRun
    hosted: HostedLedger
    begun: Begun | None = None
    ended: Mapping[str, Any] | None = None  # how its last run ended, if it is to go on
    waits_since: float = field(default_factory=lease_clock)
    tries: int = 0
    closed: bool = False


class Placer:
    """Places the targets of a run until all have ended.

    `task` makes what a worker is told of a target, `end_of` the end of one from what its last run has told.
    """

    def __init__(
        self,
        runs: Sequence[TargetRun],
        hosted: Mapping[str, HostedLedger],
        workers: Workers,
        task: Callable[[str, Placement], bytes],
        end_of: Callable[[HostedLedger, Mapping[str, Any]], TargetEnd],
        stop: Stop,
    ) -> None:
        self._seats = [_Seat(run, hosted[run.spec.name]) for run in runs]
        self._workers = workers
        self._task = task
        self._end_of = end_of
        self._stop = stop
        self._silent: dict[str, float] = {}  # workers that lost a lease, with when they were seen last
        self._unbegun: Counter[str] = Counter()  # tasks that ended before they began, by worker

    async def run(self) -> None:
        """Place and watch, until every target's run has ended or cannot be begun."""
        while True:
            if self._workers.is_lost:
                self._stop.request("the cluster's scheduler is gone: start it and run again", STOPPED_EARLY)
            waiting = [seat for seat in self._seats if not seat.closed and await self._look(seat)]
            if waiting:
                await self._place(waiting)
            if all(seat.closed for seat in self._seats):
                return
            await anyio.sleep(LOOK_EVERY)

    async def _look(self, seat: _Seat) -> bool:
        """See what became of a target; return True if it waits for a worker."""
        hosted = seat.hosted
        if self._stop.requested and hosted.stop is None:
            hosted.stop = self._stop.reason or "stopped", self._stop.exit_code
        placement = hosted.placement
        if placement is None:
            return True
        if placement.incarnation is not None:
            self._unbegun.pop(placement.worker, None)
        if hosted.ended is not None:
            return await self._conclude(seat, hosted.ended)
        if hosted.failed is not None:
            if await self._take_back(seat):
                self._fail(seat, failure_from_json(hosted.failed))
            return False
        if placement.incarnation is None and seat.begun is not None and seat.begun.done():
            if not await anyio.to_thread.run_sync(hosted.revoke_unbegun):
                return False  # it has begun at this moment
            self._note_unbegun(seat, placement.worker)
            return True
        return hosted.has_lapsed and await self._give_up(seat, placement)

    async def _conclude(self, seat: _Seat, ended: Mapping[str, Any]) -> bool:
        """Take note of the end of a run; return True if it goes on at another worker."""
        if not await self._take_back(seat):
            return False
        seat.tries = 0
        if ended["stopped_by"] in AGAIN and not self._stop.requested:
            seat.ended = ended
            return True
        seat.run.end = self._end_of(seat.hosted, ended)
        seat.closed = True
        return False

    async def _give_up(self, seat: _Seat, placement: Placement) -> bool:
        """Take back what a worker has lost; return True if another one may have it."""
        if placement.incarnation is None:
            self._note_unbegun(seat, placement.worker)
        seen = (await self._seen()).get(placement.worker)
        if seen is not None:
            self._silent[placement.worker] = seen.last_seen
        return await self._take_back(seat)

    def _note_unbegun(self, seat: _Seat, worker: str) -> None:
        seat.begun, seat.waits_since = None, lease_clock()
        seat.tries += 1
        self._unbegun[worker] += 1

    async def _take_back(self, seat: _Seat) -> bool:
        """Take the ticket back; False if the ledger cannot be written, which is this target's end alone."""
        seat.begun, seat.waits_since = None, lease_clock()
        try:
            await anyio.to_thread.run_sync(seat.hosted.revoke)
        except BulkseedError as error:
            self._fail(seat, error)
            return False
        return True

    async def _seen(self) -> Mapping[str, WorkerSeen]:
        """Return the workers; none while the scheduler does not say."""
        try:
            async with asyncio.timeout(SEEN_WITHIN):
                return await self._workers.seen()
        except TimeoutError:
            return {}

    def _fail(self, seat: _Seat, error: BulkseedError) -> None:
        seat.run.error = error
        seat.closed = True

    async def _place(self, waiting: Sequence[_Seat]) -> None:
        if self._stop.requested:
            for seat in waiting:  # not begun, or to go on in the next run
                if seat.ended is not None:
                    seat.run.end = self._end_of(seat.hosted, seat.ended)
                seat.run.stop.request(self._stop.reason or "stopped", self._stop.exit_code)
                seat.closed = True
            return
        workers = await self._seen()
        load = dict.fromkeys(workers, 0)
        for seat in self._seats:
            if seat.hosted.placement is not None and seat.hosted.placement.worker in load:
                load[seat.hosted.placement.worker] += 1
        for seat in waiting:
            spec = seat.run.spec
            if seat.tries >= MOST_TRIES:
                why = "is bulkseed installed there, too, and can they connect to this command?"
                self._fail(seat, ServiceError(f"workers could not begin: {why}"))
                continue
            fits = [
                address
                for address, worker in workers.items()
                if self._silent.get(address) != worker.last_seen
                and (not spec.workers or any(fnmatchcase(worker.name, glob) for glob in spec.workers))
            ]
            if fits:
                # Who cannot begin has nothing to do, and would get everything if only that counted.
                worker = min(fits, key=lambda address: (self._unbegun[address], load[address]))
                load[worker] += 1
                seat.ended = None
                placement = seat.hosted.place(worker)
                key = f"bulkseed-{spec.name}-{placement.ticket[:8]}"
                seat.begun = self._workers.begin(worker, key, self._task(spec.name, placement))
            elif lease_clock() - seat.waits_since > WORKER_WAIT:
                globs = f" whose name fits {', '.join(spec.workers)}" if spec.workers else ""
                self._fail(seat, ServiceError(f"the cluster has no worker{globs}"))
