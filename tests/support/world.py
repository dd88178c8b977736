"""A service, the network to it, its other users and a disk, under the virtual clock: what a run lives in.

The service is the real one, in this process; it keeps a record of who wrote what. What was sent arrives even
if its sender has died meanwhile. A life is one run on the ledger of the last one; it may be killed at any
step, and then only what was on disk at that moment is left.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import shutil
import sqlite3
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

from bulkseed.client.service_time import PROMPT
from bulkseed.engine.lane import Ports
from bulkseed.engine.stop import Stop
from bulkseed.jobs.apply import APPLY, seed
from bulkseed.ledger import Ledger, open_ledger
from bulkseed.model import (
    Created,
    Credentials,
    ManifestEntry,
    NoReply,
    Row,
    SecretValue,
    Summary,
    Target,
)
from bulkseed.pacing.clock import Clock
from bulkseed.service.build import build_kms
from bulkseed.service.kms import Kms
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import KINDS, Disturbance
from bulkseed.service.shell.group_commit import Gate
from bulkseed.wire.actions import create_secret, get_secret_value
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.message import Request, Response, Transport
from bulkseed.wire.signing.verify import SIGNATURES
from support import virtual_clock

EPOCH = 1_800_000_000.0
"""Wall-clock time at the virtual clock's zero."""

LATE = 40.0
"""Seconds after which a request that its sender has given up arrives."""

ACCESS_KEY_SECRET = "fake-access-key-secret-canary"


class WatchedKms(Kms):
    """The real service, with a record of what reached it and who wrote what is on its disk."""

    def __init__(self, kms: Kms) -> None:
        super().__init__(kms._service)
        self.dead = False
        self.writer = "ours"
        self.arrivals: list[tuple[float, str, str]] = []  # when, action, name
        self.creators: dict[str, str] = {}  # name -> who
        self.versions: dict[tuple[str, str], tuple[str, str]] = {}  # name and version -> who and value
        self._unwritten: list[tuple[str, str, str, str, str]] = []

    def handle(self, request: Request, now: float, steady: float | None = None) -> Response:
        """Answer one request."""
        response = super().handle(request, now, steady)
        parameters = dict((parse_form(request.query) or []) + (parse_form(request.body) or []))
        action, name = request.headers.get("x-acs-action", ""), parameters.get("SecretName", "")
        if self.writer == "ours":
            self.arrivals.append((now, action, name))
        if response.status == 200 and action in {"CreateSecret", "PutSecretValue"}:
            version, value = parameters["VersionId"], parameters["SecretData"]
            self._unwritten.append((action, self.writer, name, version, value))
        return response

    def commit(self) -> None:
        """Put on disk what was written, and remember by whom."""
        if self.dead:
            raise sqlite3.OperationalError("the service is dead")
        super().commit()
        for action, who, name, version, value in self._unwritten:
            self.versions.setdefault((name, version), (who, value))
            if action == "CreateSecret":
                assert name not in self.creators, f"{name} was created twice"
                self.creators[name] = who
        self._unwritten.clear()

    def rollback(self) -> None:
        """Undo what is not on disk."""
        if not self.dead:
            super().rollback()
            self._unwritten.clear()


@dataclass
class Trouble:
    """What happens to one request: a fault at the service, a refused connection, or a reply given up.

    mixed: it is answered with the success of the request before, if that was about another secret.
    """

    kind: str = "none"  # none, refused, late, mixed, or one of `bulkseed.service.shell.faults.KINDS`
    one_way: float = 0.01


class World:
    """Everything outside a run. `troubles` meet the requests in the order they are sent."""

    def __init__(
        self,
        folder: Path,
        *,
        options: ServiceOptions | None = None,
        troubles: Iterable[Trouble] = (),
        one_way: Callable[[], float] = lambda: 0.01,
        skew: float = 0.0,
        access_key_secret: str = ACCESS_KEY_SECRET,
        rewrite: Callable[[Request, Response], Response | None] | None = None,
    ) -> None:
        options = replace(options or ServiceOptions(), access_key_secret=SecretValue(ACCESS_KEY_SECRET))
        built, self.credentials = build_kms(options)
        self.kms = WatchedKms(built)
        self.gate = Gate(self.kms, clock=self.time, steady=self.time)
        self.sent: list[float] = []  # when each request was written
        self.replied: set[str] = set()  # names whose CreateSecret was answered with success, and read
        self.steps = 0
        self.path = folder / "0.ledger.db"
        self.skew, self.drift = skew, 0.0  # our wall clock is ahead of the service's; ours gain each second
        self.slept = self._steady = 0.0  # time that passed at the service, and on our steady clock, at once
        self.clock = self.new_clock()
        mine = Credentials(self.credentials.access_key_id, SecretValue(access_key_secret))
        self.target = Target("http://kms.test", "cn-hangzhou", mine)
        self.make_ledger: Callable[[Ledger], Ledger] = lambda ledger: ledger
        self.job = APPLY
        self.make_transport: Callable[[World], Transport] = Network
        self.rows: list[Row] = []
        self.unheard = 1  # successes until the service's clock is known, in this life
        self.last_date: str | None = None
        self.undated_sends: set[str] = set()  # of this life, while the service's clock was not known
        self.untold: set[str] = set()  # what is ours among them may stay in doubt: our clocks did not agree
        self._options = options
        self._troubles = iter(troubles)
        self._one_way = one_way
        self._rewrite = rewrite
        self._signer = SIGNATURES["acs3"]("kms.test", self.credentials)
        self._nonces = itertools.count()
        self._plans: dict[int, list[Callable[[], None]]] = {}
        self._task: asyncio.Task[Summary] | None = None
        self._copy: Path | None = None
        self._answered: tuple[str, Response | None] = ("", None)
        self._travels: set[asyncio.Task[Any]] = set()

    def clear_troubles(self) -> None:
        """Let nothing happen to further requests."""
        self._troubles = iter(())
        self._plans.clear()

    def time(self) -> float:
        """Return the epoch seconds of the service."""
        return EPOCH + virtual_clock.now() + self.slept

    def new_clock(self) -> Clock:
        """Return the clock of a run that begins now."""

        def gained() -> float:
            return self.drift * (virtual_clock.now() - virtual_clock.START)

        def steady() -> float:
            return virtual_clock.now() + self._steady + gained()

        def wall() -> float:
            return self.time() + self.skew + gained()

        return Clock(steady, wall, awake=virtual_clock.now, boot="the only one")

    def sleep(self, seconds: float, *, steady: bool = True, wall: bool = True) -> None:
        """Stop our machine, so to speak: time passes elsewhere, and on those of our clocks that count it."""
        self.slept += seconds
        self._steady += seconds if steady else 0.0
        self.skew -= 0.0 if wall else seconds

    def at_step(self, step: int, action: Callable[[], None]) -> None:
        """Do `action` at a step: a request leaves, arrives or is answered, or a row is decided."""
        self._plans.setdefault(step, []).append(action)

    def step(self) -> None:
        """Count a step."""
        for action in self._plans.pop(self.steps, []):
            action()
        self.steps += 1

    def foreign(self, request: Any) -> Any:
        """Let somebody else make a request."""
        call = request.encode()
        signed = self._signer.sign(call, self.time(), f"foreign-{next(self._nonces)}")
        self.kms.writer = "foreign"
        try:
            response = self.kms.handle(signed, self.time())
            self.kms.commit()
        finally:
            self.kms.writer = "ours"
        return ACTIONS[call.action].reply.read(response)

    def value(self, name: str, version: str | None = None) -> str | None:
        """Return what the service holds; by default the version in force."""
        reply = self.foreign(get_secret_value.Request(name, version_id=version))
        return reply.secret_data.reveal() if isinstance(reply, get_secret_value.Reply) else None

    def restart_service(self) -> None:
        """Kill the service and start it again on what is on its disk; needs a data directory."""
        old = self.kms
        old.rollback()
        old.close()
        old.dead = True
        built, _ = build_kms(self._options)
        self.kms = WatchedKms(built)
        self.kms.arrivals, self.kms.creators, self.kms.versions = old.arrivals, old.creators, old.versions
        self.gate = Gate(self.kms, clock=self.time, steady=self.time)

    def kill(self) -> None:
        """Kill the run: what is on disk now is all that is left of it."""
        assert self._task is not None
        if self._copy is not None:
            return
        number = int(self.path.name.split(".")[0]) + 1
        self._copy = self.path.with_name(f"{number}.ledger.db")
        for suffix in ("", "-wal"):
            source = Path(f"{self.path}{suffix}")
            if source.exists():
                shutil.copy(source, f"{self._copy}{suffix}")
        self._task.cancel()

    def cancel(self) -> None:
        """Cancel the run hard, as a caller of `seed` may."""
        assert self._task is not None
        self._task.cancel()

    @property
    def killed(self) -> bool:
        """True once the run of this life is dead."""
        return self._copy is not None

    def ports(self) -> Ports:
        """Return what stands for network, clocks and dice of a run; the same jitter in every run."""
        self.clock = self.new_clock()
        return Ports(self.make_transport(self), self.clock, random.Random(7).random)  # noqa: S311  # repeatable

    async def live(
        self,
        entries: Iterable[ManifestEntry] | AsyncIterable[ManifestEntry],
        *,
        stop: Stop | None = None,
        **options: Any,
    ) -> Summary | None:
        """Run until the end, and return the summary; None if the run was killed or cancelled."""
        ledger, self.rows = self.make_ledger(open_ledger(self.path, self.target)), []
        self.unheard, self.last_date = 1, None
        self.undated_sends.clear()

        def on_row(row: Row) -> None:
            if not self.killed:
                self.rows.append(row)
                self.step()

        self._task = asyncio.ensure_future(
            seed(
                entries,
                self.target,
                ledger,
                job=self.job,
                ports=self.ports(),
                on_row=on_row,
                stop=stop,
                **options,
            )
        )
        try:
            return await self._task
        except asyncio.CancelledError:
            return None
        finally:
            ledger.close()
            if self._copy is not None:
                self.path, self._copy = self._copy, None

    def next_trouble(self) -> Trouble:
        """Return what happens to the next request."""
        return next(self._troubles, None) or Trouble(one_way=self._one_way())

    def travel(self, request: Request, trouble: Trouble) -> asyncio.Task[Response | NoReply]:
        """Send a request on its way, which ends at the service whatever becomes of the sender."""
        task = asyncio.ensure_future(self._travel(request, trouble))
        self._travels.add(task)
        task.add_done_callback(self._travels.discard)
        return task

    async def _travel(self, request: Request, trouble: Trouble) -> Response | NoReply:
        await asyncio.sleep(LATE if trouble.kind == "late" else trouble.one_way)
        self.step()
        kms = self.kms
        disturbance = KINDS[trouble.kind](None) if trouble.kind in KINDS else Disturbance()
        response: Response | None = Response(200, {}, b"")
        if disturbance.applied:
            response = await self.gate.answer(request)
        if response is not None and kms.dead:
            response = None
        if response is not None:
            response = disturbance.reply(response)
        if response is not None:
            response = self._mixed(request, response, mixed=trouble.kind == "mixed")
        if response is not None and self._rewrite is not None:
            response = self._rewrite(request, response)
        self.step()
        await asyncio.sleep(trouble.one_way)
        if response is None:
            return NoReply("connection closed without a reply", maybe_applied=True)
        ahead = 3600.0 if trouble.kind == "html-502" else 0.0  # whoever sent that page has another clock
        date = formatdate(self.time() + ahead, usegmt=True)
        return Response(response.status, {"date": date, **response.headers}, response.body)

    def _mixed(self, request: Request, response: Response, *, mixed: bool) -> Response:
        """Return the success of the request before if it is to be mixed up, and was about another secret."""
        name = dict(parse_form(request.query) or []).get("SecretName", "")
        (before, other), self._answered = self._answered, (name, response)
        return other if mixed and other is not None and other.status == 200 and before != name else response

    def note_reply(self, request: Request) -> None:
        """Note that a client takes a request to have succeeded."""
        if not self.killed and request.headers["x-acs-action"] == "CreateSecret":
            self.replied.add(dict(parse_form(request.query) or [])["SecretName"])

    def is_reply(self, request: Request, answer: Response | NoReply) -> bool:
        """Tell whether it is a success, and about the secret that was asked for."""
        if not isinstance(answer, Response) or not isinstance(create_secret.decode(answer), Created):
            return False
        asked = dict(parse_form(request.query) or []).get("SecretName")
        told: dict[str, str | None] = json.loads(answer.body)
        return told.get("SecretName", asked) == asked

    async def settle(self) -> None:
        """Wait until everything that was sent has arrived."""
        while self._travels:
            await asyncio.wait(self._travels)

    def close(self) -> None:
        """Close the service."""
        self.kms.close()


@dataclass
class Network:
    """A transport to the world's service."""

    world: World
    patience: float = 30.0

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send a request, if it can be connected; a reply that takes too long is given up."""
        world = self.world
        world.step()
        if world.killed:
            await asyncio.Event().wait()
        trouble = world.next_trouble()
        if trouble.kind == "refused":
            return NoReply("no connection", maybe_applied=False)
        on_write()
        sent_at = virtual_clock.now()
        world.sent.append(sent_at)
        if world.unheard:
            world.undated_sends.add(dict(parse_form(request.query) or []).get("SecretName", ""))
        travel = world.travel(request, trouble)
        try:
            async with asyncio.timeout(self.patience):
                answer = await asyncio.shield(travel)
        except TimeoutError:
            return NoReply("no reply in time", maybe_applied=True)
        world.step()
        prompt = virtual_clock.now() - sent_at <= PROMPT
        if isinstance(answer, Response) and answer.status == 200 and prompt:
            date = answer.headers.get("date")
            if date != world.last_date:  # the same one again tells nothing new
                world.unheard = max(0, world.unheard - 1)
                world.last_date = None if world.unheard else date
        if world.unheard and request.headers["x-acs-action"] == "GetSecretValue":
            world.untold.add(dict(parse_form(request.query) or []).get("SecretName", ""))
        if world.is_reply(request, answer):
            world.note_reply(request)
        return answer
