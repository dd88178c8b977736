"""``rollback --restore-values``: what a ledger updated has the version before in force again (row G1)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import virtual_clock
from support.histories import FOLDER
from support.history_laws import outcomes
from support.world import Network, World

from bulkseed.jobs.rollback import restore_values, rollback
from bulkseed.ledger import open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.ledger.rollbacks import forecast
from bulkseed.model import NoReply, Origin, Outcome, SecretDefinition, SecretValue
from bulkseed.policy.rollback import RollbackOutcome
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import delete_secret, put_secret_value
from bulkseed.wire.message import Request, Response

UNLIMITED = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
RESTORED, DELETED, CHANGED = RollbackOutcome.RESTORED, RollbackOutcome.DELETED, RollbackOutcome.CHANGED


def run(test: Callable[[World], Awaitable[None]]) -> None:
    """Run a test in a world of its own; in the end its ledger proves itself."""

    async def live(folder: Path) -> None:
        world = World(folder, options=UNLIMITED)
        with closing(world):
            await test(world)
            with read_ledger(world.path) as ledger:
                broken = [finding for finding in audit(ledger) if not finding.holds]
        assert not broken, broken

    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        virtual_clock.run(live, Path(folder))


async def apply(world: World, *versions: str) -> dict[str, Outcome]:
    """Apply secrets at these versions, the first is secret-0; return the rows."""
    await world.live(
        SecretDefinition(f"secret-{i}", SecretValue(f"value-{v}"), v, Origin("m.jsonl", i + 1))
        for i, v in enumerate(versions)
    )
    return rows(world)


def rows(world: World) -> dict[str, Outcome]:
    """Return the rows of the ledger."""
    with read_ledger(world.path) as ledger:
        return outcomes(ledger.rows())


async def undo(world: World, how: Callable[..., Awaitable[object]] = restore_values) -> dict[str, int]:
    """Put values back, or delete; return what became of the secrets."""
    await asyncio.sleep(2.0)
    with closing(open_ledger(world.path, world.target)) as ledger:
        task = asyncio.ensure_future(how(world.target, ledger, ports=world.ports()))
        world._task = task  # type: ignore[assignment]  # killed as a run is
        try:
            results = (await task).results  # type: ignore[attr-defined]  # of both
        except asyncio.CancelledError:
            results = {}
    if world._copy is not None:
        world.path, world._copy = world._copy, None
    return {outcome: count for outcome, count in results.items() if count}


def values(world: World, count: int) -> list[str | None]:
    """Return the values in force."""
    return [world.value(f"secret-{i}") for i in range(count)]


def deletions(world: World) -> int:
    """Count the deletions that arrived."""
    return sum(action == "DeleteSecret" for _, action, _ in world.kms.arrivals)


def test_what_was_updated_has_its_value_before_and_nothing_is_deleted() -> None:
    """The one that was never updated is left alone; a second call sends nothing; apply and rollback go on.

    (A5, G1)
    """

    async def test(world: World) -> None:
        await apply(world, "v1", "v1", "v1")
        await apply(world, "v2", "v1", "v2")
        assert await undo(world) == {RESTORED: 2}
        assert values(world, 3) == ["value-v1"] * 3
        assert rows(world) == {
            "secret-0": Outcome.UPDATED,
            "secret-1": Outcome.CREATED,
            "secret-2": Outcome.UPDATED,
        }
        sent = len(world.sent)
        assert await undo(world) == {}
        assert (await apply(world, "v1", "v1", "v1"))["secret-0"] is Outcome.UPDATED
        assert len(world.sent) == sent
        assert (await apply(world, "v3", "v1", "v1"))["secret-0"] is Outcome.UPDATED
        assert await undo(world) == {RESTORED: 1}
        assert values(world, 3) == ["value-v1"] * 3
        assert deletions(world) == 0
        assert await undo(world, rollback) == {DELETED: 3}

    run(test)


def test_each_time_the_version_before_the_last_one_is_put_back() -> None:
    """After two updates it is the second version; a version that is out of force cannot be put again (G1)."""

    async def test(world: World) -> None:
        for version in ("v1", "v2", "v3"):
            await apply(world, version)
        assert await undo(world) == {RESTORED: 1}
        assert values(world, 1) == ["value-v2"]
        assert await apply(world, "v3") == {"secret-0": Outcome.CONFLICT}
        assert values(world, 1) == ["value-v2"]
        assert await undo(world) == {}, "what conflicts was not updated"

    run(test)


@pytest.mark.parametrize("somebody", ["puts", "deletes", "plans"])
def test_what_somebody_changed_since_is_left_alone(somebody: str) -> None:
    """Another version in force, or no secret at all: `changed`, and the row is as before (G1)."""

    async def test(world: World) -> None:
        await apply(world, "v1")
        before = await apply(world, "v2")
        request: object = {
            "puts": put_secret_value.Request("secret-0", "w1", SecretValue("theirs")),
            "deletes": delete_secret.Request("secret-0", force_delete_without_recovery=True),
            "plans": delete_secret.Request("secret-0"),
        }[somebody]
        world.foreign(request)
        assert await undo(world) == {CHANGED: 1}
        assert rows(world) == before
        assert somebody != "puts" or values(world, 1) == ["theirs"]

    run(test)


@dataclass
class Interrupted(Network):
    """Something happens as the version is put back: the run is killed before, or its answer is lost."""

    how: str = "lost"

    async def send(self, request: Request, on_write: Callable[[], bool]) -> Response | NoReply:
        """Send a request."""
        world = self.world
        if request.headers["x-acs-action"] != "UpdateSecretVersionStage" or not self.how:
            return await super().send(request, on_write)
        how, self.how = self.how, ""
        if how == "killed before":
            world.kill()
            await asyncio.Event().wait()
        await super().send(request, on_write)
        if how == "killed after":
            world.kill()
            await asyncio.Event().wait()
        return NoReply("reply lost", maybe_applied=True)


@pytest.mark.parametrize("how", ["killed before", "killed after", "lost"])
@pytest.mark.parametrize("then", ["values", "apply", "delete"])
def test_a_version_whose_way_back_was_cut_off_is_looked_for(how: str, then: str) -> None:
    """Whoever comes next, a further call, an apply or a rollback, finds out what is in force."""

    async def test(world: World) -> None:
        await apply(world, "v1")
        await apply(world, "v2")
        network = Interrupted(world, how=how)
        world.make_transport = lambda _world: network
        results = await undo(world)
        assert results == ({RESTORED: 1} if how == "lost" else {})
        if how != "lost":
            assert rows(world) == {"secret-0": Outcome.PENDING}, "its row would not be true"
            with read_ledger(world.path) as ledger:
                assert forecast(ledger, 9, restore_values=True)[:2] == (1, 1)
        if then == "delete":
            assert await undo(world, rollback) == {DELETED: 1}
        elif then == "apply":
            outcome = (await apply(world, "v2"))["secret-0"]
            assert outcome is (Outcome.UPDATED if how == "killed before" else Outcome.CONFLICT)
        elif how != "lost":
            assert await undo(world) == {RESTORED: 1}
        in_force = "value-v2" if (how, then) == ("killed before", "apply") else "value-v1"
        assert then == "delete" or values(world, 1) == [in_force]

    run(test)
