"""A run that meets a wall stops within seconds and says why; one that meets an outage waits.

Every test is one run against the real service in this process, under the virtual clock.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import Network, World

from bulkseed.engine.outage import OUTAGE_AFTER
from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Fault, NoReply, Origin, Outcome, Row, SecretDefinition, SecretValue, Summary
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnExists, Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_secret
from bulkseed.wire.fault import respond
from bulkseed.wire.message import Request, Response

COUNT = 400
UNLIMITED = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)


def definitions(count: int = COUNT) -> list[SecretDefinition]:
    """Return definitions of a manifest."""
    return [
        SecretDefinition(f"secret-{i}", SecretValue(f"value-{i}"), "v1", Origin("m.jsonl", i + 1))
        for i in range(count)
    ]


def under_virtual_clock(test: Callable[[Path], Awaitable[None]]) -> None:
    """Run a test with a folder of its own."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(test, Path(folder))  # type: ignore[arg-type]  # a coroutine function


def refusing(code: str, status: int) -> Callable[[Request, Response], Response]:
    """Return what makes every answer this refusal."""
    return lambda _request, _response: respond(Fault(code, status))


WALLS = {
    "InvalidAccessKeyId.NotFound": 404,
    "SignatureDoesNotMatch": 400,
    "InvalidSecurityToken.Expired": 400,
    "Forbidden.KmsServiceNotEnabled": 403,
    "Forbidden.InDebt": 400,
    "Rejected.LimitExceeded": 400,
    "UnsupportedOperation": 400,
}


@pytest.mark.parametrize("code", WALLS)
def test_a_wall_stops_the_run_at_once(code: str) -> None:
    """What would hit every later call: a handful of attempts, exit 3, what to do, and all is pending."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, rewrite=refusing(code, WALLS[code]))
        summary = await _stopped(world)
        assert summary.attempts <= 10
        assert summary.stopped_by is not None
        assert summary.stopped_by.startswith(f"{code}: ")
        assert summary.stopped_by.count(";") >= 1, "it says nothing of what to do"
        assert summary.outcomes[Outcome.PENDING] == COUNT

    under_virtual_clock(test)


def test_a_wrong_secret_key_stops_the_run() -> None:
    """The real service refuses the signature of a wrong key; the run ends after the requests in flight."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, access_key_secret="fake-and-wrong")
        summary = await _stopped(world)
        assert summary.stopped_by is not None
        assert "ALIBABA_CLOUD_ACCESS_KEY_SECRET" in summary.stopped_by
        assert world.kms.creators == {}

    under_virtual_clock(test)


def test_a_full_quota_of_secrets_stops_the_run_and_keeps_what_was_created() -> None:
    """The service takes 25 secrets: those are created, the rest is pending, nothing is rejected."""

    async def test(folder: Path) -> None:
        options = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0, secret_quota=25)
        summary = await _stopped(World(folder, options=options))
        assert summary.outcomes[Outcome.CREATED] == 25
        assert summary.outcomes[Outcome.PENDING] == COUNT - 25
        assert summary.attempts <= 40

    under_virtual_clock(test)


@pytest.mark.parametrize(("code", "status"), [("Forbidden.NoPermission", 403), ("Odd.Code", 418)])
def test_the_same_rejection_too_often_stops_the_run(code: str, status: int) -> None:
    """`stop_after` equal rejections in a row: exit 3; those are rejected, the rest is pending."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, rewrite=refusing(code, status))
        summary = await _stopped(world, stop_after=20)
        assert 20 <= summary.outcomes[Outcome.REJECTED] <= 30
        assert summary.stopped_by is not None
        assert summary.stopped_by.startswith("20 definitions in a row were rejected")
        assert code in summary.stopped_by

    under_virtual_clock(test)


def test_conflicts_are_findings_and_stop_nothing() -> None:
    """A verify of a hundred secrets that all differ tells all of them."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        with closing(world):
            for definition in definitions(100):
                world.foreign(create_secret.Request(definition.name, "v1", SecretValue("theirs")))
            rules = Rules(on_exists=OnExists.VERIFY)
            summary = await world.live(definitions(100), qps=0, rules=rules, stop_after=10)
            assert summary is not None
            assert (summary.outcomes[Outcome.CONFLICT], summary.exit_code) == (100, 1)

    under_virtual_clock(test)


class Nobody(Network):
    """No connection comes about."""

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Fail to connect."""
        del request, on_write
        await asyncio.sleep(0.001)
        return NoReply("no connection to 127.0.0.1:1: Connection refused", maybe_applied=False)


def test_a_service_that_cannot_be_reached_stops_the_run() -> None:
    """Nothing listens for a minute: the run says so; nothing was sent, so nothing is in doubt (D2)."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        world.make_transport = Nobody
        summary = await _stopped(world)
        assert summary.attempts == 0
        assert summary.stopped_by is not None
        assert "the service never answered" in summary.stopped_by
        with read_ledger(world.path) as ledger:
            assert ledger.status().in_doubt == 0

    under_virtual_clock(test)


@pytest.mark.parametrize("heard", [False, True])
def test_a_name_without_an_address_is_a_wrong_one_unless_the_service_was_there(heard: bool) -> None:
    """A run that never had an answer ends in seconds; one that had is in an outage, and waits (G22)."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        loop = asyncio.get_running_loop()
        began = loop.time()

        class Nameless(Network):
            """The name has no address, for a minute and a half, once the first was answered."""

            async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
                """Fail to find the host."""
                if loop.time() - began > 90 or (heard and not self.world.sent):
                    return await super().send(request, on_write)
                return NoReply("the name is not known", maybe_applied=False, no_such_host=True)

        world.make_transport = Nameless
        with closing(world):
            summary = await world.live(definitions(3), qps=1)
        assert summary is not None
        if heard:
            assert (summary.exit_code, summary.outcomes[Outcome.CREATED]) == (0, 3), summary.stopped_by
        else:
            assert (summary.exit_code, summary.attempts) == (3, 0)
            assert OUTAGE_AFTER < summary.elapsed_s < 20
            assert "the name is not known" in (summary.stopped_by or "")

    under_virtual_clock(test)


@pytest.mark.parametrize("count", [1, 3, 30, 500])
def test_a_service_that_comes_up_late_is_waited_for(count: int) -> None:
    """Half a minute after the run began it is there, and all is created, however many there are (D2)."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        loop = asyncio.get_running_loop()
        up_at = loop.time() + 30.0

        class Late(Nobody):
            """Nobody listens, and then the service does."""

            async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
                """Fail to connect, or travel."""
                if loop.time() < up_at:
                    return await super().send(request, on_write)
                return await Network.send(self, request, on_write)

        world.make_transport = Late
        with closing(world):
            summary = await world.live(definitions(count), qps=100)
        assert summary is not None
        assert (summary.outcomes[Outcome.CREATED], summary.exit_code) == (count, 0), summary.stopped_by

    under_virtual_clock(test)


async def _stopped(world: World, stop_after: int = 50) -> Summary:
    """Run into the wall and check what holds for each: seconds, exit 3, the identity, and a sound ledger."""
    with closing(world):
        summary = await world.live(definitions(), qps=100, stop_after=stop_after)
        assert summary is not None
        assert summary.exit_code == 3
        assert summary.elapsed_s < 80
        assert sum(summary.outcomes.values()) == summary.definitions == COUNT
        with read_ledger(world.path) as ledger:
            assert all(finding.holds for finding in audit(ledger))
        return summary


@pytest.mark.parametrize("skew", [3600.0, -3600.0, 86_400.0])
def test_a_wrong_clock_is_corrected_once_from_the_service(skew: float) -> None:
    """An hour off: the first refusal's Date corrects it, and the run succeeds; also adoption still works."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, skew=skew)
        with closing(world):
            summary = await world.live(definitions(50), qps=100, workers=1)
            assert summary is not None
            assert (summary.exit_code, summary.outcomes[Outcome.CREATED]) == (0, 50)
            assert summary.attempts == 51

    under_virtual_clock(test)


def test_a_clock_that_is_put_right_in_a_run_does_not_end_it() -> None:
    """Twenty minutes off and corrected for, then set: the next refusal corrects for it again (D3)."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, skew=1200.0)
        with closing(world):
            world.at_step(50, lambda: setattr(world, "skew", 0.0))
            summary = await world.live(definitions(50), qps=10, workers=1)
            assert summary is not None
            assert (summary.exit_code, summary.outcomes[Outcome.CREATED]) == (0, 50), summary.stopped_by
            assert summary.attempts == 52

    under_virtual_clock(test)


class Outage(Network):
    """The service is away for a while: no connection, no answer, or errors."""

    def __init__(self, world: World, kind: str, begins: float, lasts: float) -> None:
        super().__init__(world)
        self._kind = kind
        self._began = virtual_clock.now() + begins
        self._ends = self._began + lasts

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send, if there is anybody."""
        if not self._began <= virtual_clock.now() < self._ends:
            return await super().send(request, on_write)
        if self._kind == "refused":
            await asyncio.sleep(0.001)
            return NoReply("no connection", maybe_applied=False)
        on_write()
        self.world.sent.append(virtual_clock.now())
        if self._kind == "silent":
            await asyncio.sleep(30.0)
            return NoReply("no reply in time", maybe_applied=True)
        await asyncio.sleep(0.02)
        return Response(503, {"content-type": "text/html"}, b"<html>down</html>")


@pytest.mark.parametrize("qps", [10.0, 100.0])
@pytest.mark.parametrize("kind", ["refused", "silent", "errors"])
def test_an_outage_exhausts_nothing_and_ends_without_a_stampede(kind: str, qps: float) -> None:
    """Five minutes away: few attempts meanwhile, then the pace is as before, and everything is created."""
    begins, lasts = 5.0, 300.0
    count = int(40 * qps)

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        world.make_transport = lambda world: Outage(world, kind, begins, lasts)
        with closing(world):
            rules = Rules(RetryPolicy(max_attempts=8, budget=120.0))
            summary = await world.live(definitions(count), qps=qps, rules=rules)
            assert summary is not None
            assert summary.exit_code == 0, summary.outcomes
            over = virtual_clock.START + begins + lasts
            meanwhile = [at for at in world.sent if begins + 30 < at - virtual_clock.START < begins + lasts]
            assert len(meanwhile) <= 100
            # The next try to see whether it is over is at most 5 s away, or in the air for 30.
            slack = 5.0 + 30.0 * (kind == "silent")
            fair = begins + lasts + slack + 1.3 * count / qps + 25.0
            assert summary.elapsed_s <= fair
            assert summary.max_in_one_second <= qps
            after = [at for at in world.sent if over <= at < over + slack + 10]
            assert len(after) <= (slack + 10) * qps + 1

    under_virtual_clock(test)


def test_what_the_run_tells_is_what_the_rows_say() -> None:
    """A stop reports every definition that was taken up, once."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, rewrite=refusing("Forbidden.InDebt", 400))
        with closing(world):
            await world.live(definitions(), qps=100)
            told: list[Row] = world.rows
            assert len({row.name for row in told}) == len(told)

    under_virtual_clock(test)
