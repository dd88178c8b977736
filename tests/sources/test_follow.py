"""Following changes: what changed at a store since the last run, and what a killed run left open."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread
import pytest
from alibabacloud_kms20160120 import models
from support.command import environment, start
from support.kms import sdk
from support.openbao import ROOT_TOKEN, Bao, openbao

import bulkseed
from bulkseed.engine.options import RunOptions
from bulkseed.jobs.verify import verify
from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.model import Credentials, Outcome, Summary, Target, Verified
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.faults import Arrival, Disturbance, drop
from bulkseed.service.shell.local import local_service
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_url

FREE = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)


@pytest.fixture(scope="module")
def server() -> Iterator[Bao]:
    """A server for the tests of this module."""
    with openbao() as running:
        yield running


@pytest.fixture
def bao(server: Bao, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bao]:
    """The server with ten secrets in the engine "kv"."""
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    server.mount("kv")
    for number in range(10):
        server.put("kv", f"s{number}", {"k": "first"})
    yield server
    server.ask("DELETE", "sys/mounts/kv")


def listing(bao: Bao) -> SourceManifest:
    """List the engine."""
    return SourceManifest([from_url(f"vault+http://{bao.host}/kv?rate=0")])


async def apply(bao: Bao, target: Target, path: Path, rules: Rules | None = None) -> Summary:
    """Carry over what the engine has now."""
    with listing(bao) as source, bulkseed.open_ledger(path, target) as ledger:
        return await bulkseed.seed(source, target, ledger, qps=0, rules=rules)


async def identical(bao: Bao, target: Target, path: Path) -> int:
    """Return how many of the engine's secrets the service has with the same value."""
    with listing(bao) as source, bulkseed.open_ledger(path, target) as ledger:
        found = await verify(source, target, ledger, options=RunOptions(qps=0))
    return found.results[Verified.IDENTICAL]


def findings(path: Path) -> list[object]:
    """Return what the audit of a ledger finds wrong."""
    with read_ledger(path) as ledger:
        return [finding for finding in audit(ledger) if not finding.holds]


async def test_what_changed_is_put_and_nothing_else_is_touched(bao: Bao, tmp_path: Path) -> None:
    """Three of ten: three looks, three reads of versions in force, three puts, no creation."""
    seen: list[str] = []

    def note(arrival: Arrival) -> None:
        seen.append(arrival.action)

    async with local_service(FREE, hook=note) as target:
        await apply(bao, target, tmp_path / "l.db")
        for number in (1, 4, 7):
            bao.put("kv", f"s{number}", {"k": "second"})
        seen.clear()
        again = await apply(bao, target, tmp_path / "l.db")
        assert sorted(seen) == ["DescribeSecret"] * 3 + ["GetSecretValue"] * 3 + ["PutSecretValue"] * 3
        assert again.outcomes[Outcome.UPDATED] == 3
        assert again.outcomes[Outcome.CREATED] == 7
        assert await identical(bao, target, tmp_path / "v.db") == 10
        seen.clear()
        assert (await apply(bao, target, tmp_path / "l.db")).attempts == 0
    assert findings(tmp_path / "l.db") == []


async def test_changed_at_both_sides_is_a_conflict_and_nothing_is_overwritten(
    bao: Bao, tmp_path: Path
) -> None:
    """Somebody has put another version at the service: both stay as they are, night after night."""
    async with local_service(FREE) as target:
        await apply(bao, target, tmp_path / "l.db")
        theirs = models.PutSecretValueRequest(secret_name="s1", version_id="other", secret_data="rotated")
        await sdk(target).put_secret_value_async(theirs)
        bao.put("kv", "s1", {"k": "second"})
        for _ in range(2):
            again = await apply(bao, target, tmp_path / "l.db")
            assert again.outcomes[Outcome.CONFLICT] == 1
        with read_ledger(tmp_path / "l.db") as ledger:
            [row] = ledger.rows([Outcome.CONFLICT])
        assert row.message == "changed at both sides: the current version is other, ours was v1"
        wanted = models.GetSecretValueRequest(secret_name="s1")
        found = await sdk(target).get_secret_value_async(wanted)
        assert found.body.secret_data == "rotated"
    assert findings(tmp_path / "l.db") == []


async def test_without_following_what_changed_is_left_behind(bao: Bao, tmp_path: Path) -> None:
    """No request is made for it, and it is counted (A5)."""
    async with local_service(FREE) as target:
        await apply(bao, target, tmp_path / "l.db")
        bao.put("kv", "s1", {"k": "second"})
        again = await apply(bao, target, tmp_path / "l.db", Rules(follow=False))
        assert again.outcomes[Outcome.BEHIND] == 1
        assert again.attempts == 0
        assert again.exit_code == 0
        later = await apply(bao, target, tmp_path / "l.db")
        assert later.outcomes[Outcome.UPDATED] == 1


def lose(action: str, arrival: Arrival) -> Disturbance | None:
    """Carry out a request and lose its answer."""
    return Disturbance(reply=drop) if arrival.action == action else None


async def test_one_in_doubt_that_changed_meanwhile_is_found_to_be_ours_and_updated(
    bao: Bao, tmp_path: Path
) -> None:
    """Its creation had no recorded answer, then it changed: the version that was sent is looked for first."""
    lost = True

    def hook(arrival: Arrival) -> Disturbance | None:
        return lose("CreateSecret", arrival) if lost else None

    async with local_service(FREE, hook=hook) as target:
        once = Rules(RetryPolicy(max_attempts=1))
        gone = await apply(bao, target, tmp_path / "l.db", once)
        assert gone.outcomes[Outcome.EXHAUSTED] == 10
        lost = False
        for number in range(10):
            bao.put("kv", f"s{number}", {"k": "second"})
        again = await apply(bao, target, tmp_path / "l.db")
        assert again.outcomes[Outcome.UPDATED] == 10
        assert await identical(bao, target, tmp_path / "v.db") == 10
    assert findings(tmp_path / "l.db") == []


async def test_a_run_killed_between_taking_up_and_its_put_still_knows_what_the_service_has(
    bao: Bao, tmp_path: Path
) -> None:
    """The claim of the new version is on disk and nothing was sent: the next run puts it."""
    async with local_service(FREE) as target:
        await apply(bao, target, tmp_path / "l.db")
        bao.put("kv", "s1", {"k": "second"})
        with listing(bao) as source, bulkseed.open_ledger(tmp_path / "l.db", target) as ledger:
            ledger.begin_run("killed", source.paths, {}, 1_800_000_000.0)
            claims = ledger.admit(list(source), 1_800_000_000.0).to_send
            assert [claim.definition.name for claim in claims] == ["s1"]
        again = await apply(bao, target, tmp_path / "l.db")
        assert again.outcomes[Outcome.UPDATED] == 1
        assert Outcome.EXISTING not in again.outcomes
        assert await identical(bao, target, tmp_path / "v.db") == 10


@pytest.mark.parametrize("action", ["GetSecretValue", "PutSecretValue"])
async def test_a_run_that_is_killed_while_it_follows_and_changes_at_both_sides_since(
    bao: Bao, tmp_path: Path, action: str
) -> None:
    """A real kill between taking up and the put, or when puts were carried out and nobody has heard of it.

    One changes again at the store, and somebody puts a version of another at the service: that is a conflict
    every night, and all others end in the newest version.
    """
    running: list[subprocess.Popen[str]] = []
    seen: list[str] = []

    def kill(arrival: Arrival) -> Disturbance | None:
        if not running:
            return None
        seen.append(arrival.action)
        if arrival.action != action:
            return None
        running[0].kill()
        return Disturbance(reply=drop)

    async with local_service(FREE, hook=kill) as target:
        ledger = tmp_path / "l.db"
        await apply(bao, target, ledger)
        for number in range(10):
            bao.put("kv", f"s{number}", {"k": "second"})
        assert isinstance(target.credentials, Credentials)
        env = environment(
            VAULT_TOKEN=ROOT_TOKEN,
            ALIBABA_CLOUD_ACCESS_KEY_ID=target.credentials.access_key_id,
            ALIBABA_CLOUD_ACCESS_KEY_SECRET=target.credentials.access_key_secret.reveal(),
        )
        wishes = ("--qps", "0", "--ledger", ledger, "--endpoint", target.endpoint, "--region", target.region)
        address = f"vault+http://{bao.host}/kv?rate=0"
        running.append(start("apply", address, *wishes, cwd=tmp_path, env=env))
        told = await anyio.to_thread.run_sync(running[0].communicate)
        assert running.pop().returncode == -signal.SIGKILL, told
        assert ("PutSecretValue" in seen) == (action == "PutSecretValue")
        bao.put("kv", "s0", {"k": "third"})
        theirs = models.PutSecretValueRequest(secret_name="s1", version_id="other", secret_data="rotated")
        await sdk(target).put_secret_value_async(theirs)
        for _ in range(2):
            again = await apply(bao, target, ledger)
            ends = {end: count for end, count in again.outcomes.items() if count}
            assert ends == {Outcome.UPDATED: 9, Outcome.CONFLICT: 1}
        assert await identical(bao, target, tmp_path / "v.db") == 9
    assert findings(ledger) == []


async def test_a_put_whose_answer_was_lost_is_found_done(bao: Bao, tmp_path: Path) -> None:
    """Putting it had its effect: the next run finds the version in force and its value the same."""
    lost = False

    def hook(arrival: Arrival) -> Disturbance | None:
        return lose("PutSecretValue", arrival) if lost else None

    async with local_service(FREE, hook=hook) as target:
        await apply(bao, target, tmp_path / "l.db")
        bao.put("kv", "s1", {"k": "second"})
        lost = True
        gone = await apply(bao, target, tmp_path / "l.db", Rules(RetryPolicy(max_attempts=2)))
        assert gone.outcomes[Outcome.EXHAUSTED] == 1
        lost = False
        bao.put("kv", "s1", {"k": "third"})
        again = await apply(bao, target, tmp_path / "l.db")
        assert again.outcomes[Outcome.UPDATED] == 1
        assert await identical(bao, target, tmp_path / "v.db") == 10
    assert findings(tmp_path / "l.db") == []
