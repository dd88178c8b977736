"""Credentials that a target's ledger has not seen: of another account, they are refused (A11)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import orjson
import pytest

import bulkseed.targets.apply
import bulkseed.targets.rollback
from bulkseed.cluster.hosted_ledger import HostedLedger
from bulkseed.cluster.runner import CoordinatorLink, Runner
from bulkseed.cluster.task import CoordinatorAddress, RunWork, Task
from bulkseed.engine.stop import Stop
from bulkseed.jobs.rollback import RollbackRules
from bulkseed.ledger import Ledger, open_ledger, read_ledger
from bulkseed.model import Credentials, Outcome, SecretValue, Target
from bulkseed.policy.options import Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service
from bulkseed.targets.apply import ApplyOptions, apply_to_all
from bulkseed.targets.manifests import Manifests
from bulkseed.targets.rollback import roll_back_all
from bulkseed.targets.run_folder import RunFolder, make_run_folder
from bulkseed.targets.spec import TargetSpec

FIRST, SECOND, SECRET = "fake-first-id", "fake-second-id", "fake-access-key-secret"
NAMES = {"a": ["a/1", "a/2"], "b": ["b/1", "b/2"]}
OPTIONS, LEASE = ApplyOptions(Rules()), 6.0

Told = dict[str, tuple[int, str]]
"""Of each target: the exit code, and what is in the way."""


class Folder:
    """A run over two targets, applied once with the first key; since then ``a`` is of another account."""

    def __init__(self, run: RunFolder, specs: Sequence[TargetSpec], inputs: Manifests) -> None:
        self.run = run
        self.specs = specs
        self.inputs = inputs

    def counts(self, name: str) -> dict[Outcome, int]:
        """Return what a target's ledger says."""
        with read_ledger(self.run.ledger(name)) as ledger:
            return {
                word: count for word, count in ledger.counts().items() if isinstance(word, Outcome) and count
            }


@asynccontextmanager
async def two_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Folder]:
    """Apply with one key, and go on with another one, which at ``b`` alone is of the same account."""
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", FIRST)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
    users = tmp_path / "users.json"
    allow = {"allow": [{"action": "kms:*", "resource": "*"}]}
    users.write_text(
        json.dumps(
            {"users": [allow | {"name": "second", "access_key_id": SECOND, "access_key_secret": SECRET}]}
        )
    )
    manifest = tmp_path / "m.jsonl"
    lines = [{"SecretName": name, "SecretData": "fake"} for names in NAMES.values() for name in names]
    manifest.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    async with AsyncExitStack() as stack:

        async def serve(account: int, key: str) -> Target:
            options = ServiceOptions(
                account_id=str(account),
                access_key_id=key,
                access_key_secret=SecretValue(SECRET),
                create_qps=0,
                policies=users if key == FIRST else None,
            )
            return await stack.enter_async_context(local_service(options))

        a, b, elsewhere = [
            await serve(number, key)
            for number, key in ((10**15, FIRST), (10**15 + 1, FIRST), (10**15 + 2, SECOND))
        ]
        specs = [
            TargetSpec(name, there.region, there.endpoint, qps=0, match=(f"{name}/*",))
            for name, there in (("a", a), ("b", b))
        ]
        folder = Folder(make_run_folder(tmp_path / "x.run", specs), specs, Manifests((str(manifest),)))
        with folder.run.locked():
            assert (await apply_to_all(specs, folder.inputs, folder.run, OPTIONS, Stop())).exit_code == 0
            with sqlite3.connect(
                folder.run.ledger("a")
            ) as ledger:  # what answers at its address is another account
                ledger.execute("UPDATE meta SET value = replace(value, ?, ?)", (host(a), host(elsewhere)))
            ledger.close()
            folder.specs = [TargetSpec("a", a.region, elsewhere.endpoint, qps=0, match=("a/*",)), specs[1]]
            monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", SECOND)
            yield folder


def host(target: Target) -> str:
    """Return where it answers."""
    return target.endpoint.removeprefix("http://")


async def in_one_process(folder: Folder, rules: RollbackRules | None) -> Told:
    """Apply again or roll back, in this process."""
    if rules is None:
        done = await apply_to_all(folder.specs, folder.inputs, folder.run, OPTIONS, Stop())
    else:
        done = await roll_back_all(RunFolder(folder.run.path, tuple(folder.specs)), rules, OPTIONS, Stop())
    return {run.spec.name: (run.exit_code, str(run.error or "")) for run in done.runs}


async def on_a_worker(folder: Folder, rules: RollbackRules | None) -> Told:
    """Do the same at a worker, whose ledgers are here."""
    work = RunWork(OPTIONS, folder.specs, None if rules else folder.inputs, rollback=rules)
    ledgers: dict[str, Ledger] = {
        spec.name: open_ledger(
            folder.run.ledger(spec.name),
            Target(spec.endpoint or "", spec.region, Credentials(SECOND, SecretValue(SECRET))),
        )
        for spec in folder.specs
    }
    hosted = {name: HostedLedger(ledger, LEASE) for name, ledger in ledgers.items()}

    async def send(message: bytes) -> bytes:
        calls = orjson.loads(message)
        return orjson.dumps([await asyncio.to_thread(hosted[call["target"]].answer, call) for call in calls])

    async def what() -> bytes:
        return work.to_bytes()

    @asynccontextmanager
    async def line() -> AsyncIterator[CoordinatorLink]:
        yield CoordinatorLink(send, what)

    def run() -> None:
        runner, us = Runner(line, LEASE), CoordinatorAddress("a line in this process", "token")
        tasks = [
            Task(us, name, there.place("it").ticket, str(there.ledger.path), LEASE)
            for name, there in hosted.items()
        ]
        for ended in [runner.start(task) for task in tasks]:
            ended.result()
        runner.close()

    await asyncio.to_thread(run)
    for ledger in ledgers.values():
        ledger.close()
    failed = {name: there.failed or {"exit_code": 0, "message": ""} for name, there in hosted.items()}
    return {name: (found["exit_code"], found["message"]) for name, found in failed.items()}


@pytest.mark.parametrize("way", [in_one_process, on_a_worker])
async def test_a_target_of_another_account_is_refused_and_the_others_go_on(
    way: Callable[[Folder, RollbackRules | None], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new key finds none of ours at one target: 4, before an apply or a rollback; the other goes on."""
    async with two_accounts(tmp_path, monkeypatch) as folder:
        for rules in (None, RollbackRules()):
            told = await way(folder, rules)  # type: ignore[misc]  # one of two functions
            code, why = told["a"]
            assert code == 4
            assert "belongs to account 1000000000000000, and these credentials are new to it" in why
            assert "(a/2, a/1)" in why
            assert told["b"] == (0, "")
            assert folder.counts("a") == {Outcome.CREATED: 2}


@pytest.mark.parametrize("way", [in_one_process, on_a_worker])
async def test_without_that_look_another_accounts_target_is_called_settled(
    way: Callable[[Folder, RollbackRules | None], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard's control."""

    async def unseen(*_: object) -> None:
        """Look at nothing."""

    monkeypatch.setattr(bulkseed.targets.apply, "check_account", unseen)
    async with two_accounts(tmp_path, monkeypatch) as folder:
        told = await way(folder, None)  # type: ignore[misc]  # one of two functions
    assert told == {"a": (0, ""), "b": (0, "")}
