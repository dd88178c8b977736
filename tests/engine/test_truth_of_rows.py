"""Rows are true even if a run ends in an odd moment, or something between us and the service speaks."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import orjson
import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import Network, Trouble, World

from bulkseed.engine.stop import Stop
from bulkseed.jobs.apply import seed
from bulkseed.ledger import AttemptRecord, open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import NoReply, Origin, Outcome, Row, SecretDefinition, SecretValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.transport.results import CancelledAfterReplyError
from bulkseed.wire.message import Request, Response

UNLIMITED = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)


def definitions(count: int) -> list[SecretDefinition]:
    """Return `count` definitions."""
    return [
        SecretDefinition(f"secret-{i}", SecretValue(f"value-{i}"), "v1", Origin("m.jsonl", i + 1))
        for i in range(count)
    ]


def run(test: Callable[[Path], Awaitable[None]]) -> None:
    """Run a test with a folder of its own."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(test, Path(folder))  # type: ignore[arg-type]  # a coroutine function


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.parametrize("ahead", [-3600.0, 3.0, 3600.0])
def test_a_page_of_a_proxy_says_nothing_of_the_clock_of_the_service(ahead: float, status: int) -> None:
    """It hides that a secret was created, and has a clock of its own: the secret is found to be ours."""

    async def test(folder: Path) -> None:
        pages = iter([b"<html>try again</html>"])

        def proxy(_request: Request, response: Response) -> Response:
            page = next(pages, None)
            if page is None:
                return response
            date = formatdate(world.time() + ahead, usegmt=True)
            return Response(status, {"content-type": "text/html", "date": date}, page)

        world = World(folder, options=UNLIMITED, rewrite=proxy)
        with closing(world):
            summary = await world.live(definitions(1))
        assert summary is not None
        assert (summary.outcomes[Outcome.ADOPTED], summary.exit_code) == (1, 0), summary.outcomes

    run(test)


@pytest.mark.parametrize("qps", [0.0, 400.0])
def test_a_run_that_is_cancelled_as_it_reads_an_answer_records_it(qps: float) -> None:
    """What the service said to us is on record, and so is every attempt, answered or not."""

    class Last(Network):
        """The run is cancelled in the turn of the loop in which the tenth answer is read."""

        async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
            answer = await super().send(request, on_write)
            if len(self.world.replied) == 10:
                self.world.cancel()
            return answer

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        world.make_transport = Last
        with closing(world):
            assert await world.live(definitions(200), qps=qps) is None
        with read_ledger(world.path) as ledger:
            created = {row.name for row in ledger.rows([Outcome.CREATED])}
            attempts = list(ledger.attempts())
            run = ledger.last_run()
        assert run is not None
        assert run.ended_at is not None
        assert created == world.replied
        assert len(attempts) == len(world.sent)
        assert sum(attempt.status == 200 for attempt in attempts) == len(created) >= 10

    run(test)


def test_a_reply_in_the_turn_of_a_cancellation_is_recorded() -> None:
    """The transport hands it over with the cancellation: the secret is created, and its row says so (H23)."""

    class Both(Network):
        """The tenth answer and the cancellation come together."""

        async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
            answer = await super().send(request, on_write)
            if len(self.world.replied) == 10:
                self.world.cancel()
                raise CancelledAfterReplyError(answer)
            return answer

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        world.make_transport = Both
        with closing(world):
            assert await world.live(definitions(200), qps=400.0) is None
        with read_ledger(world.path) as ledger:
            created = {row.name for row in ledger.rows([Outcome.CREATED])}
        assert created == world.replied

    run(test)


def test_a_run_that_is_stopped_before_it_sends_keeps_the_doubt_of_the_run_before() -> None:
    """Killed with all created and nothing heard, then stopped at once: the third run finds what is ours."""

    async def test(folder: Path) -> None:
        arrived: list[Request] = []

        def die(request: Request, response: Response) -> Response:
            arrived.append(request)
            if len(arrived) == 8:
                world.kill()
            return response

        world = World(folder, options=UNLIMITED, rewrite=die, one_way=lambda: 0.2)
        with closing(world):
            await world.live(definitions(8), qps=400)
            assert len(world.kms.creators) == 8
            stop = Stop()
            asyncio.get_running_loop().call_later(0.1, stop.request, "enough")
            summary = await world.live(definitions(8), qps=400, workers=1, stop=stop)
            assert summary is not None
            assert (summary.attempts, summary.outcomes[Outcome.PENDING]) == (0, 8)
            summary = await world.live(definitions(8), qps=400)
        assert summary is not None
        assert (summary.outcomes[Outcome.ADOPTED], summary.exit_code) == (8, 0), summary.outcomes

    run(test)


def test_what_is_created_unheard_in_an_outage_is_ours() -> None:
    """Half a minute in which requests arrive and no reply comes back: what was created then is adopted."""

    async def test(folder: Path) -> None:
        def swallow(_request: Request, response: Response) -> Response | None:
            return None if 26.0 <= virtual_clock.now() - virtual_clock.START < 60.0 else response

        # So long a way that first attempts are under way when it is found that nothing gets through.
        world = World(folder, options=UNLIMITED, rewrite=swallow, one_way=lambda: 4.0)
        with closing(world):
            summary = await world.live(definitions(100), qps=10)
        assert summary is not None
        outcomes = {outcome: count for outcome, count in summary.outcomes.items() if count}
        assert set(outcomes) == {Outcome.CREATED, Outcome.ADOPTED}
        assert outcomes[Outcome.ADOPTED] >= 10  # as many may be unanswered at a time
        assert summary.exit_code == 0

    run(test)


def test_the_first_attempt_uses_up_the_budget_too() -> None:
    """Attempts of eight seconds and a budget of nine: two of them, the second begun within the budget."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, troubles=[Trouble("500-before", 4.0)] * 5)
        with closing(world):
            summary = await world.live(definitions(1), rules=Rules(RetryPolicy(budget=9.0)))
        assert summary is not None
        assert (summary.outcomes[Outcome.EXHAUSTED], summary.attempts) == (1, 2)

    run(test)


def test_who_watches_attempts_hears_of_each_once() -> None:
    """Created, refused or lost: what is told, what the ledger has and what the summary counts agree."""

    async def test(folder: Path) -> None:
        told: list[AttemptRecord] = []
        troubles = [Trouble("drop-after"), Trouble("500-before"), Trouble("429"), Trouble("truncate")]
        world = World(folder, options=UNLIMITED, troubles=troubles)
        with closing(world):
            summary = await world.live(definitions(20), qps=400, observers=[told.append])
        with read_ledger(world.path) as ledger:
            on_record = [(a.group, a.status, a.code) for a in ledger.attempts()]
            assert all(finding.holds for finding in audit(ledger))
        assert sorted((a.group.value, a.status or 0, a.code or "") for a in told) == sorted(
            (lane, status or 0, code or "") for lane, status, code in on_record
        )
        assert summary is not None
        assert len(told) == len(world.sent) == summary.attempts == 20 + 4 + 2  # two of them read back
        assert (summary.retried, summary.throttled) == (4, 1)
        assert summary.exit_code == 0

    run(test)


def test_an_answer_is_on_disk_within_a_second() -> None:
    """Also while nothing else happens: the next reply takes its time."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED, troubles=[Trouble(one_way=0.01), Trouble(one_way=5.0)])

        def look() -> None:
            with read_ledger(world.path) as ledger:
                seen.append(ledger.counts()[Outcome.CREATED])

        seen: list[int] = []
        with closing(world):
            asyncio.get_running_loop().call_later(0.02 + 1.0, look)
            await world.live(definitions(2), qps=400, workers=1)
        assert seen == [1]

    run(test)


def test_a_row_is_told_once_it_is_taken_down() -> None:
    """Whoever is told of rows raises at each: what the service said is on record all the same."""

    async def test(folder: Path) -> None:
        class Told(World):
            def step(self) -> None:
                if self.rows:
                    raise ValueError("told")

        world = Told(folder, options=UNLIMITED)
        with closing(world), pytest.raises(ValueError, match="told"):
            await world.live(definitions(20), qps=400, workers=1)
        with read_ledger(world.path) as ledger:
            created = {row.name for row in ledger.rows([Outcome.CREATED])}
        assert created == world.replied == {"secret-0"}

    run(test)


def test_what_a_callback_raises_is_raised_and_told_to_nobody() -> None:
    """Its text may hold a value: the ledger names the kind of the error only."""

    async def test(folder: Path) -> None:
        def explode(_attempt: AttemptRecord) -> None:
            raise ValueError("a-canary")

        world = World(folder, options=UNLIMITED)
        with closing(world), pytest.raises(ValueError, match="a-canary"):
            await world.live(definitions(20), qps=400, observers=[explode])
        with read_ledger(world.path) as ledger:
            run = ledger.last_run()
            assert run is not None
            assert (run.stopped_by, run.exit_code) == ("unexpected ValueError", 1)
            created = [row.name for row in ledger.rows([Outcome.CREATED])]
            assert len(created) == len(list(ledger.attempts())) == len(world.sent) > 0

    run(test)


def test_what_a_callback_raises_for_what_was_not_sent_is_raised_as_it_is() -> None:
    """Claims that a stop leaves are reported, too, and an error there ends the run like any other."""

    async def test(folder: Path) -> None:
        stop = Stop()

        def explode(row: Row) -> None:
            stop.request("enough")
            if row.outcome is Outcome.PENDING:
                raise ValueError("a-canary")

        world = World(folder, options=UNLIMITED)
        with closing(world), closing(open_ledger(world.path, world.target)) as ledger:
            going = seed(
                definitions(50),
                world.target,
                ledger,
                qps=400,
                on_row=explode,
                stop=stop,
                ports=world.ports(),
            )
            with pytest.raises(ValueError, match="a-canary"):
                await going
            assert ledger.counts()[Outcome.PENDING] > 0

    run(test)


@pytest.mark.parametrize(
    "arn",
    [
        "acs:kms:cn-hangzhou:1234:secret/secret-1",
        "acs:kms:cn-hangzhou:1234:secret/not-secret-0",
        "acs:kms:cn-hangzhou:1234:secret/secret-0/value",
        "acs:kms:value-0-in-here:1234:secret/secret-0",
        "acs:kms:cn-hangzhou:nobody:secret/secret-0",
        "acs:kms:cn-hangzhou:1234:key/secret-0",
        "secret-0",
        "",
    ],
)
def test_an_arn_that_is_not_of_this_secret_is_not_kept(arn: str) -> None:
    """Whatever else a reply names, or hides in a name, the row has only what it can be."""

    async def test(folder: Path) -> None:
        def odd(_request: Request, _response: Response) -> Response:
            return Response(200, {}, orjson.dumps({"RequestId": "0a1b2c3d4e5f", "Arn": arn}))

        world = World(folder, options=UNLIMITED, rewrite=odd)
        with closing(world):
            await world.live(definitions(1))
        with read_ledger(world.path) as ledger:
            (row,) = ledger.rows()
        assert (row.outcome, row.request_id, row.arn) == (Outcome.CREATED, "0a1b2c3d4e5f", None)
        assert [told.arn for told in world.rows] == [None]

    run(test)


def test_the_arn_of_this_secret_is_kept() -> None:
    """As the service says it."""

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        with closing(world):
            await world.live(definitions(1))
        with read_ledger(world.path) as ledger:
            (row,) = ledger.rows()
        assert row.arn is not None
        assert row.arn.endswith(":secret/secret-0")

    run(test)


def test_g22_a_name_that_does_not_resolve_ends_a_run_with_its_reason() -> None:
    """Exit 3, and why, whatever the number of definitions; they are left for the next run (G22)."""
    reason = "the name nothing.invalid cannot be resolved"

    class Nowhere(Network):
        """A host that nobody knows."""

        async def send(self, _request: Request, _on_write: Callable[[], bool]) -> Response | NoReply:
            return NoReply(reason, maybe_applied=False)

    async def test(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        world.make_transport = Nowhere
        with closing(world):
            summary = await world.live(definitions(1))
        assert summary is not None
        assert (summary.exit_code, summary.outcomes[Outcome.PENDING]) == (3, 1)
        assert reason in (summary.stopped_by or "")

    run(test)
