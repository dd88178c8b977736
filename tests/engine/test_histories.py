"""Every history converges, and every row is true: crashes, kills, lost replies, restarts, other people."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support import virtual_clock
from support.histories import History, check, histories
from support.world import Network, World

from bulkseed.engine.job import APPLY
from bulkseed.ledger import Admission, Ledger
from bulkseed.model import ManifestEntry, NoReply
from bulkseed.policy.create import Creating, create
from bulkseed.policy.moments import CreationTime, OurMoment, ServiceMoment
from bulkseed.policy.options import OnExists, Rules
from bulkseed.policy.retry import RetryState
from bulkseed.policy.steps import READ_VERSION, Aborted, Ending, Found, Subject
from bulkseed.wire.message import Request, Response

EXAMPLES = int(os.environ.get("BULKSEED_TEST_HISTORIES", "300"))
"""More for a soak: `benchmarks/soak_histories.py`."""


@settings(max_examples=EXAMPLES)
@given(histories)
def test_every_history_converges_and_every_row_is_true(history: History) -> None:
    """Run until done: the service is as the manifest says, nothing twice, all rows true."""
    check(history)


AT_LAST = CreationTime(ServiceMoment(1e10), OurMoment(1e10, 1e10), OurMoment(0.0, 0.0))


class NoClaims(Ledger):
    """A ledger that does not know that an earlier run may have sent something."""

    def admit(
        self, entries: Sequence[ManifestEntry], now: float, *, claim: bool = True, last: bool = False
    ) -> Admission:
        """Take up a block, and forget its doubts."""
        admission = super().admit(entries, now, claim=claim, last=last)
        admission.to_send = [claimed._replace(doubt_since=None) for claimed in admission.to_send]
        return admission


class NoNotes(Ledger):
    """A ledger that does not remember what was theirs before an update."""

    def mark_foreign(self, row_id: int) -> None:
        """Write nothing down."""


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


def _row_before_reply(world: World) -> None:
    world.make_transport = RowBeforeReply


def _with_updates(history: History) -> History:
    """Somebody creates a secret just before us, and the run that updates it is killed."""
    ends = [(step, "kill") for step, _ in history.ends[:1]]
    return replace(
        history, on_exists=OnExists.UPDATE, there={}, troubles=[], meanwhile=[(0, 0, "create")], ends=ends
    )


WRONG_DESIGNS: dict[str, tuple[Callable[[World], None], st.SearchStrategy[History]]] = {
    "no claims": (_ledger(NoClaims), histories),
    "no note before an update": (_ledger(NoNotes), histories.map(_with_updates)),
    "adopt without probing": (_procedure(adopts_without_probing), histories),
    "policy while in doubt": (_procedure(applies_the_policy_in_doubt), histories),
    "row before reply": (_row_before_reply, histories),
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
