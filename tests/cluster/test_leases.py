"""The law of leases: one sends at a time, and nobody right after another; each guard with a control.

Coordinator and workers step in any order, with clocks that have nothing but their pace in common. Messages
are late, lost and repeated; workers freeze between a look at the clock and the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledgers import new_ledger
from support.remote_ledgers import over_json

from bulkseed.cluster.hosted_ledger import HostedLedger
from bulkseed.cluster.lease import MARGIN, Lease
from bulkseed.ledger import Ledger

LEASE = 5.0
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pass", "look", "place", "renew", "ask", "deliver", "repeat", "answer", "send"]),
        st.integers(0, 3),
        st.sampled_from([0.1, 0.5, 1.0, 2.5, 6.0]),
    ),
    max_size=60,
)


class Worker:
    """One execution of the task of a ticket: what it has asked, what is on its way, and when it sends."""

    def __init__(self, world: World, ticket: str, number: int) -> None:
        self.lease = world.lease_kind(LEASE, world.clock_of(number))
        self._world = world
        self._clock = world.clock_of(number)
        self._head = {"target": "t", "ticket": ticket, "incarnation": f"{number}"}
        self.number = number
        self.asked: list[tuple[float, dict[str, Any]]] = []  # with the time by its own clock
        self.replies: list[tuple[float, dict[str, Any]]] = []

    def ask(self) -> None:
        """Put a renewal on its way."""
        self.asked.append((self._clock(), {**self._head, "number": None}))

    def deliver(self, *, again: bool) -> None:
        """Let the oldest message arrive; the reply is on its way. `again`: it arrives another time, too."""
        if self.asked:
            asked_at, call = self.asked[0] if again else self.asked.pop(0)
            self.replies.append((asked_at, over_json(self._world.hosted, call)))

    def answer(self) -> None:
        """Let the oldest reply arrive."""
        if self.replies:
            asked_at, reply = self.replies.pop(0)
            if "refused" in reply:
                self.lease.end()
            else:
                self.lease.renewed(asked_at)

    def send(self) -> None:
        """Write a request, if the lease lasts at this moment."""
        if self.lease.lasts():
            self._world.sent.append((self._world.now, self.number))

    def renew(self) -> None:
        """Ask and be answered at once."""
        self.ask()
        self.deliver(again=False)
        self.answer()


class World:
    """A coordinator, up to three executions, and what was sent when by the clock of the service."""

    def __init__(self, hosted: HostedLedger, lease_kind: Callable[..., Lease]) -> None:
        self.now = 0.0
        self.hosted = hosted
        self.lease_kind = lease_kind
        self.workers: list[Worker] = []
        self.sent: list[tuple[float, int]] = []
        self._seen_lapsed = False

    def clock_of(self, number: int) -> Callable[[], float]:
        """Return a machine's clock: it began at another time."""
        return lambda: self.now + 1000.0 * (number + 1)

    def place(self) -> None:
        """Do as the coordinator: place what nobody has, or what had lapsed at its last look.

        Between that and now it has asked the scheduler, which may take its time. A task may run twice.
        """
        if self._seen_lapsed:
            self.hosted.revoke()
            self._seen_lapsed = False
        if self.hosted.placement is None:
            ticket = self.hosted.place("w").ticket
            number = len(self.workers)
            self.workers += [Worker(self, ticket, number), Worker(self, ticket, number + 1)]

    def step(self, what: str, which: int, seconds: float) -> None:
        """Take a step."""
        if what == "pass":
            self.now += seconds
        elif what == "look":
            self._seen_lapsed = self.hosted.has_lapsed
        elif what == "place":
            self.place()
        elif self.workers:
            worker = self.workers[-1 - which % len(self.workers)]
            steps = {
                "renew": worker.renew,
                "ask": worker.ask,
                "deliver": lambda: worker.deliver(again=False),
                "repeat": lambda: worker.deliver(again=True),
                "answer": worker.answer,
                "send": worker.send,
            }
            steps[what]()

    @property
    def too_close(self) -> list[tuple[float, float]]:
        """Sends of different executions that are less than the margin apart."""
        return [
            (one, two)
            for one, mine in self.sent
            for two, theirs in self.sent
            if mine != theirs and 0 <= two - one < MARGIN
        ]


Steps = list[tuple[str, int, float]]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Open a ledger that nothing is recorded in."""
    with new_ledger(tmp_path_factory.mktemp("leases")) as found:
        yield found


def played(
    ledger: Ledger,
    steps: Steps,
    lease_kind: type[Lease] = Lease,
    host_kind: type[HostedLedger] = HostedLedger,
) -> World:
    """Return the world after some steps."""
    world = World(host_kind(ledger, LEASE, clock=lambda: world.now), lease_kind)
    for step in steps:
        world.step(*step)
    return world


@given(steps=STEPS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_sends_close_to_another(ledger: Ledger, steps: Steps) -> None:
    """Whatever is late, lost, repeated or frozen: a margin lies between the sends of two executions."""
    assert played(ledger, steps).too_close == []


NEW, OLD = 0, 2
"""The executions that came last, and those of the placement before."""

TAKEN_FOR_DEAD: Steps = [
    *(("place", 0, 0), ("renew", NEW, 0), ("send", NEW, 0)),
    *(("pass", 0, 6.0), ("pass", 0, 0.5), ("look", 0, 0), ("place", 0, 0)),
    *(("renew", NEW, 0), ("send", NEW, 0)),
    *(("renew", OLD, 0), ("send", OLD, 0)),
]
LATE_REPLY: Steps = [
    *(("place", 0, 0), ("ask", NEW, 0), ("deliver", NEW, 0), ("pass", 0, 2.5), ("answer", NEW, 0)),
    *(("pass", 0, 2.5), ("pass", 0, 1.0), ("pass", 0, 0.5), ("look", 0, 0)),
    *(("place", 0, 0), ("renew", NEW, 0)),
    *(("send", NEW, 0), ("send", OLD, 0)),
]
WOKEN_AT_THE_LOOK: Steps = [
    *(("place", 0, 0), ("renew", NEW, 0), ("pass", 0, 6.0), ("pass", 0, 0.5), ("look", 0, 0)),
    *(("renew", NEW, 0), ("place", 0, 0), ("renew", NEW, 0), ("send", NEW, 0), ("send", OLD, 0)),
]
TWICE: Steps = [
    *(("place", 0, 0), ("renew", NEW, 0), ("send", NEW, 0)),
    *(("renew", NEW + 1, 0), ("send", NEW + 1, 0)),
]


class Endless(Lease):
    """A lease whose end nobody looks at."""

    def lasts(self) -> bool:
        """Return True."""
        return True


class FromTheReply(Lease):
    """A lease that is counted from the reply, which may have been under way for long."""

    def renewed(self, asked_at: float) -> None:
        """Count from now."""
        super().renewed(max(asked_at, self._clock()))


class RenewsWhatLapsed(HostedLedger):
    """A coordinator that renews a lease which it has seen lapse."""

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """Make as if the lease had not lapsed."""
        if self.placement is not None:
            self.placement.until = max(self.placement.until, self._clock())
        return super().answer(call)


class HearsAll(HostedLedger):
    """A coordinator that hears every ticket and every execution."""

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """Take the call for one of the execution that is on record."""
        assert self.placement is not None
        return super().answer(
            {**call, "ticket": self.placement.ticket, "incarnation": self.placement.incarnation or "any"}
        )


@pytest.mark.parametrize(
    ("steps", "lease_kind", "host_kind"),
    [
        pytest.param(TAKEN_FOR_DEAD, Endless, HostedLedger, id="no look at the lease"),
        pytest.param(TAKEN_FOR_DEAD, Lease, HearsAll, id="no fence for old tickets"),
        pytest.param(WOKEN_AT_THE_LOOK, Lease, RenewsWhatLapsed, id="renewed after it had lapsed"),
        pytest.param(TWICE, Lease, HearsAll, id="no fence for second executions"),
        pytest.param(LATE_REPLY, FromTheReply, HostedLedger, id="counted from the reply"),
    ],
)
def test_without_a_guard_two_send(
    ledger: Ledger, steps: Steps, lease_kind: type[Lease], host_kind: type[HostedLedger]
) -> None:
    """Each guard is needed: the same steps, with all of them and with one taken away."""
    assert played(ledger, steps).too_close == []
    assert played(ledger, steps, lease_kind, host_kind).too_close


def test_a_lease_that_was_never_given_ends_too() -> None:
    """A coordinator that does not answer from the start is given up after the same time."""
    now = 0.0
    lease = Lease(LEASE, lambda: now)
    assert not lease.lasts()
    assert not lease.is_over
    now = LEASE
    assert lease.is_over
