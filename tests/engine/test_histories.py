"""Every history converges, and every row is true: crashes, kills, lost replies, restarts, other people."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support import virtual_clock
from support.histories import check
from support.history import History, histories
from support.world import Network, Trouble, World

from bulkseed.jobs.apply import APPLY
from bulkseed.ledger import Admission, Ledger
from bulkseed.model import NoReply
from bulkseed.policy.create import Creating, create
from bulkseed.policy.moments import CreationTime, Era, OurMoment, ServiceMoment
from bulkseed.policy.options import OnExists, Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import READ_VERSION, Aborted, Ending, Found, Subject
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.message import Request, Response

EXAMPLES = int(os.environ.get("BULKSEED_TEST_HISTORIES", "260"))
"""More for a soak: `benchmarks/soak_histories.py`."""


@settings(max_examples=EXAMPLES)
@given(histories)
def test_every_history_converges_and_every_row_is_true(history: History) -> None:
    """Run until done: the service is as the manifest says, nothing twice, all rows true (A1, A2, A4, H2)."""
    check(history)


AT_LAST = CreationTime(ServiceMoment(1e10), OurMoment(1e10, 1e10), OurMoment(0.0, 0.0))


class NoClaims(Ledger):
    """A ledger that does not know that an earlier run may have sent something."""

    def admit(self, *args: Any, **options: Any) -> Admission:
        """Take up a block, and forget its doubts."""
        admission = super().admit(*args, **options)
        admission.to_send = [claimed._replace(doubt_since=None) for claimed in admission.to_send]
        return admission


class NoNotes(Ledger):
    """A ledger that does not remember what was theirs before an update."""

    def mark_foreign(self, row_id: int) -> None:
        """Write nothing down."""


class NoServiceTime(Ledger):
    """A ledger that knows only by our clock when an earlier run claimed something."""

    def admit(self, *args: Any, **options: Any) -> Admission:
        """Take up a block, and forget the service's clock."""
        admission = super().admit(*args, **options)
        admission.to_send = [claimed._replace(doubt_service=None) for claimed in admission.to_send]
        return admission


class NoEra(Ledger):
    """A ledger that takes the clock of an earlier run to have gone as ours does."""

    def begin_run(self, *args: Any, **options: Any) -> float | None:
        """Begin, and forget what its times count from."""
        return super().begin_run(*args, **options | {"era": Era(None, 0.0)})


class Believes(Network):
    """A reply is taken to be about what was asked, whatever it says."""

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send, and let every reply name what was asked."""
        answer = await super().send(request, on_write)
        if not isinstance(answer, Response) or b'"SecretName"' not in answer.body:
            return answer
        asked = dict(parse_form(request.query) or [])
        told = json.loads(answer.body) | {
            key: asked[key] for key in ("SecretName", "VersionId") if key in asked
        }
        return Response(answer.status, answer.headers, json.dumps(told).encode())


class RowBeforeReply(Network):
    """Success is reported when a create is sent, not when it is answered."""

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send, and believe."""
        if request.headers["x-acs-action"] != "CreateSecret":
            return await super().send(request, on_write)
        on_write()
        self.world.sent.append(virtual_clock.now())
        self.world.travel(request, self.world.next_trouble())
        self.world.note_reply(request)
        self.world.step()
        await asyncio.sleep(0)
        return Response(200, {}, b'{"RequestId": "3bf02f7a-015b-4f23-be0f-c0bd5d3b0d7c"}')


def adopts_without_probing(rules: Rules, subject: Subject, retry: RetryState) -> Creating:
    """What exists after a doubt is taken for ours."""
    procedure = create(rules, subject, retry)
    answer: object = None
    while True:
        try:
            step = procedure.send(answer)
        except StopIteration as ended:
            end: Ending | Aborted = ended.value
            return end
        if step is READ_VERSION and retry.in_doubt:
            answer = Found(subject.version_id, same_value=True, created=AT_LAST)
        else:
            answer = yield step


def applies_the_policy_in_doubt(rules: Rules, subject: Subject, retry: RetryState) -> Creating:
    """What exists is somebody else's, also after a doubt."""
    return create(rules, subject._replace(foreign=True), retry)


def _ledger(kind: type[Ledger]) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.make_ledger = lambda good: kind(good.path, good.connection, good._lock, good._watch)  # type: ignore[arg-type]  # open

    return prepare


def _procedure(wrong: Callable[[Rules, Subject, RetryState], Creating]) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.job = APPLY._replace(procedure=wrong)

    return prepare


def _network(kind: type[Network]) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.make_transport = kind

    return prepare


def _with_updates(history: History) -> History:
    """Somebody creates a secret just before us, and the run that updates it is killed."""
    ends = [(step, "kill") for step, _ in history.ends[:1]]
    return replace(
        history, on_exists=OnExists.UPDATE, there={}, troubles=[], meanwhile=[(0, 0, "create")], ends=ends
    )


def _with_clocks(history: History) -> History:
    """A run is killed once it has heard of the service, and our clock is set before the next."""
    ends = [(step + 10, "kill") for step, _ in history.ends[:1]]
    return replace(
        history, count=8, qps=3.0, troubles=[], ends=ends, jumps=[], between=[-3600.0], generated=set()
    )


def _unheard(history: History) -> History:
    """A run is killed before it has heard of the service, and our clock is set before the next."""
    ends = [(step % 4, "kill") for step, _ in history.ends[:1]]
    there = dict.fromkeys(range(8), "same")
    return replace(
        history, count=8, there=there, troubles=[], ends=ends, jumps=[], between=[3600.0], generated=set()
    )


def _with_mixed_replies(history: History) -> History:
    """Replies are mixed up, as of a proxy that answers for another."""
    return replace(history, count=8, troubles=[Trouble("mixed", 0.02)] * 12, jumps=[], between=[])


WRONG_DESIGNS: dict[str, tuple[Callable[[World], None], st.SearchStrategy[History]]] = {
    "no claims": (_ledger(NoClaims), histories),
    "no note before an update": (_ledger(NoNotes), histories.map(_with_updates)),
    "adopt without probing": (_procedure(adopts_without_probing), histories),
    "policy while in doubt": (_procedure(applies_the_policy_in_doubt), histories),
    "no clock of the service": (_ledger(NoServiceTime), histories.map(_with_clocks)),
    "no clock that goes on": (_ledger(NoEra), histories.map(_unheard)),
    "any reply": (_network(Believes), histories.map(_with_mixed_replies)),
    "row before reply": (_network(RowBeforeReply), histories),
}


@pytest.mark.parametrize("design", WRONG_DESIGNS)
def test_the_property_catches_wrong_designs(design: str) -> None:
    """The histories are hard enough: each classic mistake makes one of them fail."""
    spoil, harder = WRONG_DESIGNS[design]

    @settings(
        max_examples=2000,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(harder)
    def law(history: History) -> None:
        check(history, spoil)

    with pytest.raises(AssertionError):
        law()
