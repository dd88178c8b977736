"""Rows are true even if a run ends in an odd moment, or something between us and the service speaks."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.world import Network, World

from bulkseed.ledger import read_ledger
from bulkseed.model import Lost, Origin, Outcome, SecretDefinition, SecretValue
from bulkseed.service.options import ServiceOptions
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

        async def send(self, request: Request, on_write: Callable[[], None]) -> Response | Lost:
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
