"""One attempt is one attempt, whoever makes it: questions and load tests heed what runs heed."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import Network, Trouble, World

from bulkseed.client.nonce import nonces
from bulkseed.client.operations import CREATE, question
from bulkseed.client.work_item import WorkItem
from bulkseed.engine.ask import Questioner
from bulkseed.engine.lane import Lane, open_lane
from bulkseed.engine.stop import Stop
from bulkseed.errors import ServiceError
from bulkseed.jobs.load_test import LoadTest, synthetic
from bulkseed.model import Created, Fault, NoReply, Origin, QuotaGroup, SecretDefinition, SecretValue
from bulkseed.pacing.ceilings import limits
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import describe_secret
from bulkseed.wire.fault import respond
from bulkseed.wire.message import Request, Response

UNLIMITED = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
DESCRIBE = question(describe_secret.GROUP, describe_secret.Request, describe_secret.Reply.read)
DEFINITION = SecretDefinition("secret-1", SecretValue("fake-canary-value"), "v1", Origin("m.jsonl", 1))


def on_a_lane(
    test: Callable[[World, Lane], Awaitable[None]], *, adapts: bool = True, **world_options: Any
) -> None:
    """Run a test with a world and a lane to it, under the virtual clock."""

    async def play() -> None:
        with (
            tempfile.TemporaryDirectory(dir=FOLDER) as folder,
            closing(World(Path(folder), options=UNLIMITED, **world_options)) as world,
        ):
            opening = open_lane(
                world.target,
                limits(QuotaGroup.CREATE, 0),
                connections=8,
                adapts=adapts,
                ports=world.ports(),
            )
            async with opening as lane:
                await test(world, lane)

    virtual_clock.run(play)


@pytest.mark.parametrize("skew", [3600.0, -3600.0])
def test_a_question_corrects_a_wrong_clock_once(skew: float) -> None:
    """The service refuses our time and tells its own: the next attempt is understood, and all later ones."""

    async def test(world: World, lane: Lane) -> None:
        service = Questioner(lane)
        for attempts in (2, 3):
            answer = await service.ask(DESCRIBE, describe_secret.Request("nobody"))
            assert isinstance(answer, Fault)
            assert answer.code == "Forbidden.ResourceNotFound"
            assert len(world.sent) == attempts
        assert lane.time.correction == pytest.approx(-skew, abs=2.0)

    on_a_lane(test, skew=skew)


def test_a_load_test_corrects_a_wrong_clock_and_goes_on() -> None:
    """What was sent before the correction is refused; all that is due after it is created."""

    async def test(_world: World, lane: Lane) -> None:
        stop = Stop()
        load = LoadTest(lane, stop)
        await load.climb(synthetic("bench", 8), [(100.0, 100)], 1.0)
        (step,) = load.rungs
        assert not stop.requested
        assert 0 < step.problems.total() <= 5
        assert step.created == step.due - step.problems.total()

    on_a_lane(test, adapts=False, skew=3600.0)


def test_a_load_test_stops_where_the_clock_cannot_be_corrected() -> None:
    """A service that refuses our time without telling its own would refuse every later request."""

    async def test(_world: World, lane: Lane) -> None:
        stop = Stop()
        load = LoadTest(lane, stop)
        await load.climb(synthetic("bench", 8), [(100.0, 1000)], 1.0)
        assert stop.exit_code == 3
        assert stop.reason is not None
        assert stop.reason.startswith("IllegalTimestamp: ")
        assert load.rungs[0].arrivals < 20

    def refuse(_request: Request, _response: Response) -> Response:
        refusal = respond(Fault("IllegalTimestamp", 400))
        return Response(refusal.status, {"date": "no date", **refusal.headers}, refusal.body)

    on_a_lane(test, adapts=False, rewrite=refuse)


def test_a_load_that_is_throttled_is_not_slowed_down() -> None:
    """Requests leave when they are due, whatever the service says: that is what an open loop is."""

    async def test(world: World, lane: Lane) -> None:
        load = LoadTest(lane, Stop())
        began = virtual_clock.now()
        await load.climb(synthetic("bench", 8), [(50.0, 200)], 1.0)
        assert load.rungs[0].throttled == 200
        assert max(world.sent) - began < 4.5

    throttled = respond(Fault("Rejected.Throttling", 429, retry_after=2.0))
    on_a_lane(test, adapts=False, rewrite=lambda _request, _response: throttled)


@pytest.mark.parametrize("code", ["fake-canary-value", "Not A Code!", "canary"])
def test_no_answer_carries_what_is_no_code_or_echoes_the_value(code: str) -> None:
    """Whoever asks gets the status in its place, and never the service's own message."""

    async def test(_world: World, lane: Lane) -> None:
        answers = [
            await Questioner(lane).ask(DESCRIBE, describe_secret.Request("nobody")),
            await lane.client().call(CREATE, WorkItem(DEFINITION)),
        ]
        for answer in answers:
            assert isinstance(answer, Fault)
            assert (answer.code, answer.message) == ("HTTP418", "")

    refusal = respond(Fault(code, 418, "says fake-canary-value"))
    on_a_lane(test, rewrite=lambda _request, _response: refusal)


def test_a_stop_ends_a_question_that_waits_to_be_repeated() -> None:
    """It is not asked again, and whoever asked is told why."""

    async def test(world: World, lane: Lane) -> None:
        stop = Stop()
        asyncio.get_running_loop().call_later(0.1, stop.request, "enough")
        with pytest.raises(ServiceError, match="enough"):
            await Questioner(lane, stop=stop).ask(DESCRIBE, describe_secret.Request("nobody"))
        sent = len(world.sent)
        await asyncio.sleep(600.0)
        assert len(world.sent) == sent

    on_a_lane(test, troubles=[Trouble("500-before")] * 1000)


def test_a_closed_lane_sends_nothing() -> None:
    """The answer is None, nobody hears of an attempt, and the item has none."""

    async def test(world: World, lane: Lane) -> None:
        heard: list[object] = []
        client = lane.client(lambda *attempt: heard.append(attempt))
        lane.close()
        work = WorkItem(DEFINITION)
        assert await client.call(CREATE, work) is None
        assert (work.attempts, heard, world.sent) == (0, [], [])

    on_a_lane(test)


def test_observers_hear_of_every_attempt_that_was_sent() -> None:
    """Answered, lost or cancelled on its way; not of one whose connection did not come about."""

    class Silent(Network):
        """Answers nothing after its second request."""

        async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
            """Send a request."""
            if len(self.world.sent) < 2:
                return await super().send(request, on_write)
            on_write()
            await asyncio.Event().wait()
            raise AssertionError

    async def test(world: World, _lane: Lane) -> None:
        world.make_transport = Silent
        heard: list[tuple[int | None, Any]] = []
        opening = open_lane(world.target, limits(QuotaGroup.CREATE, 0), connections=1, ports=world.ports())
        async with opening as lane:
            client = lane.client(lambda _work, _operation, status, answer: heard.append((status, answer)))
            work = WorkItem(DEFINITION, 7)
            assert isinstance(await client.call(CREATE, work), NoReply)
            assert heard == []
            assert isinstance(await client.call(CREATE, work), NoReply)
            assert isinstance(await client.call(CREATE, work), Created)
            cancelled = asyncio.create_task(client.call(CREATE, work))
            await asyncio.sleep(1.0)
            cancelled.cancel()
            await asyncio.wait([cancelled])
        assert [status for status, _ in heard] == [None, 200, None]
        assert [type(answer) for _, answer in heard] == [NoReply, Created, NoReply]
        assert (work.attempts, work.repeated) == (3, True)

    on_a_lane(test, troubles=[Trouble("refused"), Trouble("drop-before")])


def test_nonces_of_many_clients_differ() -> None:
    """Each has its own generator, so that threads cannot meet in one; all are 32 hexadecimal digits."""
    with ThreadPoolExecutor(4) as threads:
        drawn = [
            nonce for some in threads.map(lambda _: list(islice(nonces(), 1000)), range(4)) for nonce in some
        ]
    assert len(set(drawn)) == 4000
    assert all(len(nonce) == 32 and set(nonce) <= set("0123456789abcdef") for nonce in drawn)
