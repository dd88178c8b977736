"""What an audit finds in ledgers that real runs wrote and somebody made untrue, covering the traces."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support import virtual_clock
from support.world import Network, Trouble, World

from bulkseed.engine.lane import Ports
from bulkseed.jobs.rollback import rollback
from bulkseed.ledger import open_ledger, read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.ledger.creations import expand_created
from bulkseed.model import Fault, InvalidLine, ManifestEntry, Origin, Outcome, SecretDefinition, SecretValue
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import OnExists, Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.actions import create_secret
from bulkseed.wire.encoding import parse_form
from bulkseed.wire.fault import respond
from bulkseed.wire.message import Request, Response

FORGERIES = [
    pytest.param(ledger, set(found.split("; ")), forgery, id=what)
    for ledger, what, found, forgery in re.findall(
        r"^-- (ended|killed|rolled back|as written): (.*)\n-- finds: (.*)\n((?:[^-\n].*\n)+)",
        (Path(__file__).parents[1] / "data" / "forgeries.sql").read_text(),
        re.MULTILINE,
    )
]
REFUSED, FAILING = "secret-9", "secret-8"


class _Manifest(list[ManifestEntry]):
    paths = ("m.jsonl",)


def manifest(count: int) -> _Manifest:
    """Return definitions, and a line that is none."""
    entries = _Manifest([InvalidLine(Origin("m.jsonl", 99), ("is no definition",))])
    for i in range(1, count + 1):
        entries.append(SecretDefinition(f"secret-{i}", SecretValue(f"value-{i}"), "v1", Origin("m.jsonl", i)))
    return entries


def answer(request: Request, response: Response) -> Response:
    """Refuse one name, and fail for another."""
    name = dict((parse_form(request.query) or []) + (parse_form(request.body) or [])).get("SecretName")
    if name == REFUSED:
        return respond(Fault("Rejected.ResourceInDeleteWindow", 409))
    return Response(500, {}, b"") if name == FAILING else response


def rules(on_exists: OnExists) -> Rules:
    """Return rules with few attempts."""
    return Rules(RetryPolicy(max_attempts=3, budget=100.0), on_exists)


async def _live(folder: Path) -> dict[str, Path]:
    """Live through three runs, the second of which is killed, and a rollback; keep the ledger each time."""
    unlimited = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    world = World(folder, options=unlimited, rewrite=answer, troubles=[Trouble("drop-after")])
    with closing(world):
        for name, version, value in (
            ("10", "v1", "theirs"),
            ("11", "v1", "value-11"),
            ("12", "v0", "theirs"),
        ):
            world.foreign(create_secret.Request(f"secret-{name}", version, SecretValue(value)))
        await world.live(manifest(14), qps=10, workers=1, rules=rules(OnExists.VERIFY))
        world.at_step(world.steps + 70, world.kill)
        await world.live(manifest(24), qps=10, workers=2, rules=rules(OnExists.VERIFY))
        kept = {"killed": shutil.copytree(world.path.parent, folder / "killed") / world.path.name}
        await world.live(manifest(24), qps=10, workers=2, rules=rules(OnExists.UPDATE))
        kept["ended"] = Path(shutil.copy(world.path, folder / "ended.db"))
        world._rewrite = None
        with open_ledger(world.path, world.target) as ledger:
            await rollback(world.target, ledger, ports=Ports(Network(world), world.clock))
        kept["rolled back"] = Path(shutil.copy(world.path, folder / "rolled-back.db"))
    return kept


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return ledgers that real runs wrote, none of them in use."""
    return virtual_clock.run(_live, tmp_path_factory.mktemp("lives"))


@pytest.fixture
def untouched(ledgers: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Return copies of them."""
    copies = {}
    for name, path in ledgers.items():
        copies[name] = tmp_path / f"{name}.db"
        for suffix in ("", "-wal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copy(f"{path}{suffix}", f"{copies[name]}{suffix}")
        with closing(sqlite3.connect(copies[name])) as connection, connection:
            expand_created(
                connection, [row_id for (row_id,) in connection.execute("SELECT id FROM creations")]
            )
    copies["as written"] = Path(shutil.copy(ledgers["ended"], tmp_path / "as written.db"))
    return copies


def broken(path: Path) -> dict[str, str]:
    """Return what does not hold, and why."""
    with read_ledger(path) as ledger:
        return {finding.name: finding.detail for finding in audit(ledger) if not finding.holds}


def test_they_are_true_and_have_everything(untouched: dict[str, Path]) -> None:
    """Nothing is found in them as they were written; and every outcome is there to be forged."""
    assert {name: broken(path) for name, path in untouched.items()} == {name: {} for name in untouched}
    with read_ledger(untouched["ended"]) as ledger:
        counts = ledger.counts()
        lost = ledger.one("SELECT count(*) FROM attempts WHERE status IS NULL")
        killed = ledger.one("SELECT count(*) FROM runs WHERE ended_at IS NULL")
    rare = {Outcome.PENDING, Outcome.EXISTING, Outcome.BEHIND, Outcome.VALUE_LOST}
    assert all(counts[o] for o in Outcome if o not in rare), counts
    assert len(FORGERIES) > 30
    assert lost
    assert killed == 1
    with read_ledger(untouched["killed"]) as ledger:
        assert ledger.one("SELECT count(*) FROM definitions WHERE doubt AND outcome = 'pending'")
    with read_ledger(untouched["rolled back"]) as ledger:
        assert ledger.one("SELECT count(*) FROM rollbacks WHERE result = 'deleted'")


@pytest.mark.parametrize(("ledger", "found", "forgery"), FORGERIES)
def test_a_forgery_is_found(untouched: dict[str, Path], ledger: str, found: set[str], forgery: str) -> None:
    """Each of the checks that are to find it does (H15)."""
    with closing(sqlite3.connect(untouched[ledger])) as connection:
        connection.executescript(forgery)
        assert connection.total_changes
    assert found <= set(broken(untouched[ledger]))
