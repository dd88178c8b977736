"""A deletion is never repeated blindly: the service has no conditional delete, so each needs its own look.

The real walker, client and health under the virtual clock; the service is real, too, but the transport
between them loses what the test says.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import EPOCH, Trouble, World

from bulkseed.client.credentials import SignerCache
from bulkseed.client.operations import STEPS
from bulkseed.engine.client import Client
from bulkseed.engine.driver import Driver
from bulkseed.engine.outage import Health
from bulkseed.engine.recorder import Recorder
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.engine.work_item import WorkItem
from bulkseed.jobs.rollback import Deletion
from bulkseed.ledger import Claim, open_ledger
from bulkseed.model import Fault, NoReply, Origin, SecretDefinition, SecretValue
from bulkseed.pacing.quotas import pacers
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.retry import RetryState
from bulkseed.policy.rollback import Made, Removal, Undone, undo
from bulkseed.policy.steps import Described, Step
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

    async def send(self, request: Request, on_write: Callable[[], None]) -> Response | NoReply:
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
    """A secret at the service, and a walker on its way to delete it."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self.transport = Losing(world)
        self.stop = Stop()
        self.stats = Stats()
        clock = world.clock
        executor = stack.enter_context(ThreadPoolExecutor(1))
        self.recorder = Recorder(stack.enter_context(open_ledger(world.path, world.target)), executor)
        lanes = pacers({}, clock, paced=False)
        signers = SignerCache(world.target, clock)
        client = Client(self.transport, signers, lanes, clock, self.stats, self.recorder)
        self.health = Health(clock.monotonic, patience=600.0, stop_after=50)
        steps = {**STEPS, Step.DELETE: Deletion().exchange()}
        self.walker = Driver(client, self.health, self.stop, self.stats, steps)
        definition = SecretDefinition(NAME, SecretValue(""), "v1", Origin("m.jsonl", 1))
        self.errand = WorkItem(Claim(definition, 1))
        retry = RetryPolicy(max_attempts=8, budget=300.0)
        self.retry_state = RetryState(retry, None, clock.time, self.health.working_time, lambda: 0.5)
        world.foreign(create_secret.Request(NAME, "v1", SecretValue("value")))

    async def fail(self, times: int) -> None:
        """Let so many looks fail, after one that did not: with ten, and 6 s, it is an outage."""
        self.transport.lose = lambda _action, number: "request" if number > 1 else "nothing"
        for _ in range(times + 1):
            assert await self.walker.attempt(self.errand, Step.DESCRIBE, self.retry_state) is not None
            await asyncio.sleep(0.7)
        self.transport.sent.clear()


def in_a_scene(test: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a test under the virtual clock."""

    async def play() -> None:
        unlimited = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder, ExitStack() as stack:
            world = stack.enter_context(closing(World(Path(folder), options=unlimited)))
            await test(Scene(world, stack))

    virtual_clock.run(play)


@pytest.mark.parametrize("fate", ["request", "reply"])
@pytest.mark.parametrize("before", [0, 9], ids=["the service answers", "an outage begins with it"])
def test_a_deletion_that_is_lost_comes_back_after_one_attempt(before: int, fate: str) -> None:
    """Whether it was carried out is not known: the journey is told so, and nothing is sent again."""

    async def test(scene: Scene) -> None:
        await scene.fail(before)
        scene.transport.lose = lambda _action, _number: fate
        answer = await scene.walker.attempt(scene.errand, Step.DELETE, scene.retry_state)
        assert answer == NoReply("connection reset", maybe_applied=True)
        await asyncio.sleep(3600.0)
        assert scene.transport.sent == ["DeleteSecret"]
        assert scene.health.outage is (before == 9)

    in_a_scene(test)


@pytest.mark.parametrize("fate", ["request", "reply"])
def test_within_an_outage_a_deletion_is_attempted_once(fate: str) -> None:
    """It takes its turn to look whether the outage is over, and comes back whatever becomes of it."""

    async def test(scene: Scene) -> None:
        await scene.fail(9)
        scene.transport.lose = lambda _action, _number: fate
        await scene.walker.attempt(scene.errand, Step.DELETE, scene.retry_state)
        assert scene.health.outage
        scene.transport.sent.clear()
        began = virtual_clock.now()
        answer = await scene.walker.attempt(scene.errand, Step.DELETE, scene.retry_state)
        assert answer == NoReply("connection reset", maybe_applied=True)
        assert virtual_clock.now() - began > 5.0
        await asyncio.sleep(3600.0)
        assert scene.transport.sent == ["DeleteSecret"]

    in_a_scene(test)


def test_within_an_outage_a_refused_deletion_is_not_repeated_either() -> None:
    """Nor one that the service cannot carry out now."""

    async def test(scene: Scene) -> None:
        await scene.fail(9)
        scene.transport.lose = lambda _action, _number: "request"
        await scene.walker.attempt(scene.errand, Step.DELETE, scene.retry_state)
        scene.transport.sent.clear()
        scene.transport.lose = lambda _action, _number: "nothing"
        scene.world._rewrite = lambda _request, _response: Response(503, {}, b"")
        answer = await scene.walker.attempt(scene.errand, Step.DELETE, scene.retry_state)
        assert isinstance(answer, Fault)
        assert scene.health.outage
        assert scene.transport.sent == ["DeleteSecret"]

    in_a_scene(test)


def test_a_look_goes_on_until_the_outage_is_over() -> None:
    """What harms nothing is repeated: so it is the step, not the outage, that ends the attempts."""

    async def test(scene: Scene) -> None:
        await scene.fail(9)
        scene.transport.lose = lambda _action, number: "request" if number < 5 else "nothing"
        answer = await scene.walker.attempt(scene.errand, Step.DESCRIBE, scene.retry_state)
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
        me = RetryState(
            RetryPolicy(max_attempts=100, budget=3600.0),
            None,
            scene.world.clock.time,
            scene.health.working_time,
            lambda: 0.5,
        )
        now = EPOCH + virtual_clock.now()
        end = await scene.walker.walk(scene.errand, undo(Made("v1", now - 60, now), me), me)
        assert isinstance(end, Undone)
        assert end.removal is Removal.DELETED
        assert scene.transport.sent == [*LOOK, "DeleteSecret"] * (lost + 1)

    in_a_scene(test)


def test_a_deletion_that_was_carried_out_unheard_is_not_sent_again() -> None:
    """The look finds the secret in its delete window: it is deleted, by us, with one request."""

    async def test(scene: Scene) -> None:
        await scene.fail(9)
        scene.transport.lose = lambda action, _number: "reply" if action == "DeleteSecret" else "nothing"
        now = EPOCH + virtual_clock.now()
        journey = undo(Made("v1", now - 60, now), scene.retry_state)
        end = await scene.walker.walk(scene.errand, journey, scene.retry_state)
        assert isinstance(end, Undone)
        assert end.removal is Removal.DELETED
        assert scene.transport.sent == [*LOOK, "DeleteSecret", "DescribeSecret"]

    in_a_scene(test)
