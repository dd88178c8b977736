"""Faults on demand, group commit and the in-process shell, under the virtual clock."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from support.kms import NOW, UNLIMITED
from support.virtual_clock import now, run

from bulkseed.errors import UsageError
from bulkseed.model import Created, Fault, NoReply, SecretValue
from bulkseed.service.build import build_kms
from bulkseed.service.kms import Kms
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import KINDS, Arrival, Disturbance, Rule, ScriptedFaults, read_faults
from bulkseed.service.shell.group_commit import Gate
from bulkseed.service.shell.loopback import LoopbackTransport
from bulkseed.wire.actions import create_secret, describe_secret
from bulkseed.wire.message import Request, Response
from bulkseed.wire.signing.verify import SIGNATURES


class Wire:
    """A client on a loopback transport whose gate may disturb it."""

    def __init__(
        self, *rules: Rule, kms_of: Callable[[Kms], Kms] = lambda kms: kms, latency: float = 0.0
    ) -> None:
        self._kms, credentials = build_kms(ServiceOptions(**UNLIMITED))
        self.written: list[float] = []
        gate = Gate(
            kms_of(self._kms), ScriptedFaults(list(rules)) if rules else None, clock=lambda: NOW + now()
        )
        self._transport = LoopbackTransport(gate, lambda: latency)
        self._signer = SIGNATURES["acs3"]("kms.test", credentials)
        self._count = 0

    def __del__(self) -> None:
        self._kms.close()

    def sign(self, call_of: create_secret.Request | describe_secret.Request) -> Request:
        """Return a signed request."""
        self._count += 1
        return self._signer.sign(call_of.encode(), NOW + now(), f"n{self._count}")

    async def send(self, asked: create_secret.Request | describe_secret.Request) -> Response | NoReply:
        """Send a request."""

        def wrote() -> bool:
            self.written.append(now())
            return True

        return await self._transport.send(self.sign(asked), wrote)

    async def create(self, name: str = "name") -> Created | Fault | NoReply:
        """Create a secret and read the answer as the client does."""
        response = await self.send(create_secret.Request(name, "v1", SecretValue("value")))
        return response if isinstance(response, NoReply) else create_secret.decode(response)

    async def is_there(self, name: str = "name") -> bool:
        """Tell whether the service has a secret."""
        response = await self.send(describe_secret.Request(name))
        assert isinstance(response, Response)
        return response.status == 200


EXPECTED = {  # kind → what the client sees, and whether the secret is there
    "delay": ("Created", True),
    "drop-before": ("NoReply", False),
    "drop-after": ("NoReply", True),
    "500-before": ("InternalFailure", False),
    "500-after": ("InternalFailure", True),
    "429": ("Rejected.Throttling", False),
    "truncate": ("NoReply", True),
    "html-502": ("HTTP502", False),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_fault(kind: str) -> None:
    """What the client sees and what the service has afterwards."""

    async def scenario() -> tuple[str, bool]:
        wire = Wire(Rule(KINDS[kind](1.5), action="CreateSecret"))
        answer = await wire.create()
        if isinstance(answer, NoReply):
            assert answer.maybe_applied
        if kind == "429":
            assert isinstance(answer, Fault)
            assert answer.retry_after == 1.5
        return answer.code if isinstance(answer, Fault) else type(answer).__name__, await wire.is_there()

    assert run(scenario) == EXPECTED[kind]


def test_latency_and_delay_take_time() -> None:
    """Each way takes its latency, a delayed request its delay; the write is at the start."""

    async def scenario() -> None:
        wire = Wire(Rule(Disturbance(delay=5.0), action="CreateSecret"), latency=0.25)
        start = now()
        await wire.create()
        assert now() - start == pytest.approx(5.5, abs=0.01)
        assert wire.written == [pytest.approx(start, abs=0.01)]

    run(scenario)


def test_rules_match_by_action_name_number_and_probability() -> None:
    """Numbers count the requests that match; the first rule that strikes wins."""
    dropped, delayed = KINDS["drop-after"](None), Disturbance(delay=1.0)
    faults = ScriptedFaults(
        [
            Rule(dropped, "CreateSecret", "prod/*", frozenset({2})),
            Rule(delayed, "CreateSecret", requests=frozenset({3})),
        ]
    )
    arrivals = [
        ("CreateSecret", "prod/a"),
        ("CreateSecret", "dev/b"),
        ("CreateSecret", "prod/c"),
        ("Other", "prod/d"),
    ]
    assert [faults(Arrival(*arrival)) for arrival in arrivals] == [None, None, dropped, None]
    always, never = Rule(dropped, probability=1.0), Rule(dropped, probability=0.0)
    assert ScriptedFaults([always])(Arrival("a", "n")) is dropped
    assert ScriptedFaults([never])(Arrival("a", "n")) is None


def test_one_seed_gives_one_history() -> None:
    """The same seed strikes the same requests, as often as the probability says; another does not."""

    def history(seed: int) -> list[bool]:
        faults = ScriptedFaults([Rule(Disturbance(), probability=0.3)], seed)
        return [faults(Arrival("a", "n")) is not None for _ in range(500)]

    assert history(7) == history(7) != history(8)
    assert 100 < sum(history(7)) < 200


def test_a_faults_file_is_read(tmp_path: Path) -> None:
    """Every field has its effect; what has no meaning is refused with a word on why."""
    path = tmp_path / "faults.json"
    rule = {"action": "CreateSecret", "name": "p*", "requests": [1], "fault": "429", "retry_after_ms": 250}
    path.write_bytes(orjson.dumps({"seed": 3, "rules": [rule | {"delay_ms": 40, "probability": 1}]}))
    faults = read_faults(path)
    assert faults(Arrival("CreateSecret", "other")) is None
    struck = faults(Arrival("CreateSecret", "p1"))
    assert struck is not None
    assert (struck.delay, struck.applied) == (0.04, False)
    reply = struck.reply(Response(200, {}, b""))
    assert reply is not None
    assert reply.headers["x-acs-retry-after"] == "250"
    assert faults(Arrival("CreateSecret", "p1")) is None
    for bad in (
        "[",
        "[]",
        '{"rules":[{"fault":"melt"}]}',
        '{"rules":[{"fault":"429","colour":1}]}',
        '{"rules":[7]}',
    ):
        path.write_text(bad)
        with pytest.raises(UsageError, match="not a faults file"):
            read_faults(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_faults(tmp_path / "none.json")


class CountingKms(Kms):
    """Counts commits."""

    commits = 0

    @classmethod
    def of(cls, kms: Kms) -> CountingKms:
        """Wrap a service."""
        return cls(kms._service)

    def commit(self) -> None:
        """Commit."""
        super().commit()
        self.commits += 1


class BrokenKms(CountingKms):
    """Its disk is full at the second commit."""

    error: type[Exception] = sqlite3.OperationalError

    def commit(self) -> None:
        """Fail once."""
        if self.commits == 1:
            self.commits += 1
            raise self.error("disk full: the secret value is hunter2")
        super().commit()


class OddKms(BrokenKms):
    """It fails with an error that is none of the database's."""

    error = RuntimeError


def test_requests_of_one_turn_share_a_commit() -> None:
    """A hundred creates at once take one transaction; reads wait for what they may have seen."""

    async def scenario() -> None:
        built: list[CountingKms] = []

        def counting(kms: Kms) -> Kms:
            built.append(CountingKms.of(kms))
            return built[0]

        wire = Wire(kms_of=counting)
        answers = await asyncio.gather(*(wire.create(f"n{number}") for number in range(100)))
        assert all(isinstance(answer, Created) for answer in answers)
        assert built[0].commits == 1

    run(scenario)


@pytest.mark.parametrize("kind", [BrokenKms, OddKms])
def test_a_commit_that_fails_is_told_to_everyone(
    kind: type[BrokenKms], caplog: pytest.LogCaptureFixture
) -> None:
    """The whole group gets InternalFailure and nothing of it is stored; the next group works (H19)."""

    async def scenario() -> None:
        wire = Wire(kms_of=kind.of)
        assert isinstance(await wire.create("before"), Created)
        answers = await asyncio.gather(*(wire.create(f"n{number}") for number in range(5)))
        assert {answer.code for answer in answers if isinstance(answer, Fault)} == {"InternalFailure"}
        assert len([answer for answer in answers if isinstance(answer, Fault)]) == 5
        for number in range(5):
            assert not await wire.is_there(f"n{number}")
        assert isinstance(await wire.create("n0"), Created)
        assert await wire.is_there("before")

    run(scenario)
    assert "hunter2" not in caplog.text
    assert kind.error.__name__ in caplog.text
