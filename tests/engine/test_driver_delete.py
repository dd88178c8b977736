"""A deletion is never repeated blindly: the service has no conditional delete, so each needs its own look.

The real driver, client and outage monitor under the virtual clock; the service is real, too, but the
transport between them loses what the test says.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import EPOCH, Trouble, World

from bulkseed.client.operations import Named
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.driver import Driver, requests
from bulkseed.engine.lane import Lane, Ports, open_lane
from bulkseed.engine.outage import OutageMonitor
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.jobs.load_test_cleanup import Name
from bulkseed.model import Fault, NoReply, QuotaGroup, SecretValue
from bulkseed.pacing.ceilings import limits
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.moments import OurMoment, of_earlier_run
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import OwnedSecret, RollbackEnd, RollbackOutcome, rollback
from bulkseed.policy.steps import DELETE, DESCRIBE, PUT_BACK, Described, Done, LedgerStep, Step
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_secret
from bulkseed.wire.message import Request, Response

NAME = "secret-1"
LOOK = ["DescribeSecret", "ListSecretVersionIds"]


class Losing:
    """Carries requests to the world's service; `lose` says what becomes of one, by its action and number.

    ``request``: it is lost on its way. ``reply``: the service does it, and nobody hears of it. ``nothing``.
    """

    def __init__(self, world: World) -> None:
        self.sent: list[str] = []
        self.lose: Callable[[str, int], str] = lambda _action, _number: "nothing"
        self._world = world

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send one request."""
        on_write()
        action = request.headers["x-acs-action"]
        self.sent.append(action)
        fate = self.lose(action, self.sent.count(action))
        if fate == "request":
            await asyncio.sleep(0.02)
        else:
            answer = await self._world.travel(request, Trouble())
            if fate == "nothing":
                return answer
        return NoReply("connection reset", maybe_applied=True)


class Scene:
    """A secret at the service, and a driver on its way to delete it."""

    def __init__(self, world: World, transport: Losing, lane: Lane) -> None:
        self.world = world
        self.transport = transport
        self.stop = Stop()
        self.claims = 0
        clock = world.clock
        self.outage = OutageMonitor(clock.monotonic, self.stop, Stats(), patience=600.0)
        self.driver = Driver(requests(lane.client()), self.outage, self.stop, on_disk=self.claim)
        self.work: WorkItem[Named] = WorkItem(Name(NAME), 1)
        retry = RetryPolicy(max_attempts=8, budget=300.0)
        self.retry = RetryState(
            retry, None, lambda: of_earlier_run(clock.time()), self.outage.working_time, lambda: 0.5
        )
        world.foreign(create_secret.Request(NAME, "v1", SecretValue("value")))

    async def claim(self, _work: WorkItem[Named], _step: LedgerStep) -> None:
        """Count claims."""
        self.claims += 1

    async def fail(self, times: int) -> None:
        """Let so many looks fail, after one that did not: with ten, and 6 s, it is an outage."""
        self.transport.lose = lambda _action, number: "request" if number > 1 else "nothing"
        for _ in range(times + 1):
            assert await self.driver.attempt(self.work, DESCRIBE, self.retry) is not None
            await asyncio.sleep(0.7)
        self.transport.sent.clear()


def in_a_scene(test: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a test under the virtual clock."""

    async def play() -> None:
        unlimited = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
        with (
            tempfile.TemporaryDirectory(dir=FOLDER) as folder,
            closing(World(Path(folder), options=unlimited)) as world,
        ):
            transport = Losing(world)
            ports = Ports(transport, world.clock)
            opening = open_lane(world.target, limits(QuotaGroup.CREATE, 0), connections=1, ports=ports)
            async with opening as lane:
                await test(Scene(world, transport, lane))

    virtual_clock.run(play)


@pytest.mark.parametrize("fate", ["request", "reply"])
@pytest.mark.parametrize("before", [0, 9], ids=["the service answers", "an outage begins with it"])
def test_a_deletion_that_is_lost_comes_back_after_one_attempt(before: int, fate: str) -> None:
    """Whether it was carried out is not known: the procedure is told so, and nothing is sent again."""

    async def test(scene: Scene) -> None:
        await scene.fail(before)
        scene.transport.lose = lambda _action, _number: fate
        answer = await scene.driver.attempt(scene.work, DELETE, scene.retry)
        assert answer == NoReply("connection reset", maybe_applied=True)
        await asyncio.sleep(3600.0)
        assert scene.transport.sent == ["DeleteSecret"]
        assert scene.outage.outage is (before == 9)

    in_a_scene(test)


class Updated(NamedTuple):
    """A secret in which a version took the place of another."""

    name: str = NAME
    superseded: str = "v0"
    last: str = "v1"


@pytest.mark.parametrize("fate", ["request", "reply"])
@pytest.mark.parametrize(
    ("step", "action"), [(DELETE, "DeleteSecret"), (PUT_BACK, "UpdateSecretVersionStage")]
)
def test_within_an_outage_what_needs_a_look_is_attempted_once(
    step: Step[Done], action: str, fate: str
) -> None:
    """It takes its turn to look whether the outage is over, and comes back whatever becomes of it."""

    async def test(scene: Scene) -> None:
        work = WorkItem(Updated(), 1)
        await scene.fail(9)
        scene.transport.lose = lambda _action, _number: fate
        await scene.driver.attempt(work, step, scene.retry)
        assert scene.outage.outage
        scene.transport.sent.clear()
        began = virtual_clock.now()
        answer = await scene.driver.attempt(work, step, scene.retry)
        assert answer == NoReply("connection reset", maybe_applied=True)
        assert virtual_clock.now() - began > 5.0
        await asyncio.sleep(3600.0)
        assert scene.transport.sent == [action]

    in_a_scene(test)


def test_within_an_outage_a_refused_deletion_is_not_repeated_either() -> None:
    """Nor one that the service cannot carry out now."""

    async def test(scene: Scene) -> None:
        await scene.fail(9)
        scene.transport.lose = lambda _action, _number: "request"
        await scene.driver.attempt(scene.work, DELETE, scene.retry)
        scene.transport.sent.clear()
        scene.transport.lose = lambda _action, _number: "nothing"
        scene.world._rewrite = lambda _request, _response: Response(503, {}, b"")
        answer = await scene.driver.attempt(scene.work, DELETE, scene.retry)
        assert isinstance(answer, Fault)
        assert scene.outage.outage
        assert scene.transport.sent == ["DeleteSecret"]

    in_a_scene(test)


def test_a_look_goes_on_until_the_outage_is_over() -> None:
    """What harms nothing is repeated: so it is the step, not the outage, that ends the attempts."""

    async def test(scene: Scene) -> None:
        await scene.fail(9)
        scene.transport.lose = lambda _action, number: "request" if number < 5 else "nothing"
        answer = await scene.driver.attempt(scene.work, DESCRIBE, scene.retry)
        assert isinstance(answer, Described)
        assert scene.transport.sent == ["DescribeSecret"] * 5

    in_a_scene(test)


@pytest.mark.parametrize("lost", [1, 3, 12])
def test_before_every_deletion_there_is_a_look(lost: int) -> None:
    """However many are lost on their way, in an outage or not: look, count versions, delete, and again."""

    async def test(scene: Scene) -> None:
        await scene.fail(9 if lost == 12 else 0)
        scene.transport.lose = lambda action, number: (
            "request" if number <= (lost if action == "DeleteSecret" else 0) else "nothing"
        )
        retry = RetryState(
            RetryPolicy(max_attempts=100, budget=3600.0),
            None,
            lambda: of_earlier_run(scene.world.clock.time()),
            scene.outage.working_time,
            lambda: 0.5,
        )
        now = OurMoment(EPOCH + virtual_clock.now(), EPOCH + virtual_clock.now())
        end = await scene.driver.drive(
            scene.work, rollback(OwnedSecret(("v1",), now + -60.0, now), retry), retry
        )
        assert isinstance(end, RollbackEnd)
        assert end.outcome is RollbackOutcome.DELETED
        assert scene.claims == 1
        assert scene.transport.sent == [*LOOK, "DeleteSecret"] * (lost + 1)

    in_a_scene(test)


def test_a_deletion_that_was_carried_out_unheard_is_not_sent_again() -> None:
    """The look finds the secret in its delete window: it is deleted, by us, with one request."""

    async def test(scene: Scene) -> None:
        await scene.fail(9)
        scene.transport.lose = lambda action, _number: "reply" if action == "DeleteSecret" else "nothing"
        now = OurMoment(EPOCH + virtual_clock.now(), EPOCH + virtual_clock.now())
        procedure = rollback(OwnedSecret(("v1",), now + -60.0, now), scene.retry)
        end = await scene.driver.drive(scene.work, procedure, scene.retry)
        assert isinstance(end, RollbackEnd)
        assert end.outcome is RollbackOutcome.DELETED
        assert scene.claims == 1
        assert scene.transport.sent == [*LOOK, "DeleteSecret", "DescribeSecret"]

    in_a_scene(test)
