"""One run over many targets: real local services on loopback, real ledgers, one folder."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest

from bulkseed.engine.stop import Stop
from bulkseed.errors import ManifestError, UsageError
from bulkseed.jobs.rollback import RollbackRules
from bulkseed.ledger import read_ledger
from bulkseed.model import Credentials, Outcome, Row, SecretValue, Target
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.options import Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service
from bulkseed.targets.apply import ApplyOptions, apply_to_all
from bulkseed.targets.ledgers import ledger_at
from bulkseed.targets.manifests import Manifests
from bulkseed.targets.rollback import roll_back_all
from bulkseed.targets.run_all import AllRuns
from bulkseed.targets.run_folder import make_run_folder
from bulkseed.targets.spec import TargetSpec

KEY, SECRET = "fake-access-key-id", "fake-access-key-secret"
OPTIONS = ApplyOptions(Rules())


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every target the same obviously fake key."""
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)


def manifest(path: Path, *lines: Mapping[str, object]) -> Path:
    """Write definitions with obviously fake values."""
    path.write_bytes(b"".join(orjson.dumps({"SecretData": "fake", **line}) + b"\n" for line in lines))
    return path


async def services(stack: AsyncExitStack, **accounts: str) -> list[TargetSpec]:
    """Serve a local KMS for each account (name → account id); targets take lines by ``name/*``."""
    specs = []
    for name, account in accounts.items():
        options = ServiceOptions(
            account_id=account, access_key_id=KEY, access_key_secret=SecretValue(SECRET), create_qps=0
        )
        target = await stack.enter_async_context(local_service(options))
        specs.append(
            TargetSpec(name, target.region, target.endpoint, qps=500, match=(f"{name}/*", "everywhere/*"))
        )
    return specs


async def applied(
    specs: list[TargetSpec],
    path: Path,
    folder: Path,
    stop: Stop | None = None,
    on_row: Callable[[str, Row], None] | None = None,
    options: ApplyOptions = OPTIONS,
) -> AllRuns:
    """Apply a manifest to targets."""
    made = make_run_folder(folder, specs)
    with made.locked():
        return await apply_to_all(
            specs, Manifests((str(path),)), made, options, stop or Stop(), on_row=on_row
        )


async def test_every_line_reaches_its_targets_and_the_sums_agree(tmp_path: Path) -> None:
    """Routed by name, by the line's own word, and to several; what fits none is told, and exit is 1."""
    path = manifest(
        tmp_path / "m.jsonl",
        *({"SecretName": f"a/{n}"} for n in range(20)),
        *({"SecretName": f"b/{n}"} for n in range(10)),
        {"SecretName": "everywhere/1"},
        {"SecretName": "elsewhere", "Target": "b"},
        {"SecretName": "nowhere"},
        {"SecretName": "a/bad name"},
    )
    async with AsyncExitStack() as stack:
        specs = await services(stack, a="1000000000000001", b="1000000000000002")
        first = await applied(specs, path, tmp_path / "x.run")
        again = await applied(specs, path, tmp_path / "x.run")
    assert (first.lines, first.unrouted, first.definitions, first.missing) == (34, 1, 34, 0)
    assert first.results["created"] == 33
    assert first.results["invalid"] == 1
    assert first.exit_code == 1
    shape = first.as_dict()
    assert set(shape) == {"run", "definitions", "outcomes", "unrouted", "targets", "exit_code"}
    assert {name: found["definitions"] for name, found in shape["targets"].items()} == {"a": 22, "b": 12}
    assert [run.summary.attempts for run in again.runs if run.summary] == [0, 0]
    assert (tmp_path / "x.run" / "unrouted.jsonl").read_text() == (
        f'{{"manifest":"{path}","line":33,"reason":"no target\'s match fits the name"}}\n'
    )
    with read_ledger(tmp_path / "x.run" / "a.ledger.db") as ledger:
        arns = {row.arn for row in ledger.rows([Outcome.CREATED])}
    assert all(arn and ":1000000000000001:secret/" in arn for arn in arns)


async def test_what_stops_one_target_leaves_the_others_alone(tmp_path: Path) -> None:
    """A target that does not answer, and one whose ledger is another's: each says so, the third is done."""
    path = manifest(
        tmp_path / "m.jsonl", *({"SecretName": f"{t}/{n}"} for n in range(60) for t in ("good", "dead"))
    )
    async with AsyncExitStack() as stack:
        specs = await services(stack, good="1000000000000001")
        specs.append(TargetSpec("dead", "cn-beijing", "http://127.0.0.1:9", qps=500, match=("dead/*",)))
        specs.append(TargetSpec("broken", "cn-beijing", "http://127.0.0.1:10", match=("x",)))
        folder = make_run_folder(tmp_path / "x.run", specs)
        folder.ledger("broken").write_text("no ledger")
        short = ApplyOptions(Rules(RetryPolicy(budget=0.4)), stop_after=5)
        with folder.locked():
            done = await apply_to_all(specs, Manifests((str(path),)), folder, short, Stop())
    good, dead, broken = done.runs
    assert good.summary is not None
    assert good.summary.outcomes[Outcome.CREATED] == 60
    assert dead.summary is not None
    assert (dead.exit_code, dead.summary.definitions) == (3, 60)
    assert "5 definitions in a row were exhausted" in str(dead.summary.stopped_by)
    assert (broken.exit_code, broken.summary) == (4, None)
    assert done.exit_code == 4
    assert done.missing == 0


async def test_two_targets_of_one_account_are_found_out(tmp_path: Path) -> None:
    """They would share one quota and exceed it: the second stops as soon as it learns where it writes."""
    path = manifest(tmp_path / "m.jsonl", *({"SecretName": f"{t}/{n}"} for n in range(300) for t in "ab"))
    async with AsyncExitStack() as stack:
        specs = await services(stack, a="1000000000000001", b="1000000000000001")
        done = await applied(specs, path, tmp_path / "x.run")
    stopped = [run for run in done.runs if run.summary and run.summary.stopped_by]
    assert len(stopped) == 1
    assert "they share one quota" in str(stopped[0].summary and stopped[0].summary.stopped_by)
    assert done.exit_code == 2


async def test_a_stop_reaches_every_target_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """All end in order, all count what is left, and nothing is made twice."""
    path = manifest(tmp_path / "m.jsonl", *({"SecretName": f"{t}/{n}"} for n in range(2000) for t in "ab"))
    async with AsyncExitStack() as stack:
        specs = await services(stack, a="1000000000000001", b="1000000000000002")
        stop = Stop()

        def stop_at(name: str, row: Row) -> None:
            if (name, row.name) == ("b", "b/100"):
                stop.request("interrupted by a test", 130)

        done = await applied(specs, path, tmp_path / "x.run", stop, stop_at)
        assert done.exit_code == 130
        assert done.missing == sum(run.expected for run in done.runs if run.summary is None)
        quick = [TargetSpec(s.name, s.region, s.endpoint, qps=0, match=s.match) for s in specs]
        rest = await applied(quick, path, tmp_path / "x.run")
    assert (rest.exit_code, rest.results["created"]) == (0, 4000)
    assert rest.results["existing"] == 0


async def test_a_limit_is_for_each_target_and_is_no_failure(tmp_path: Path) -> None:
    """What was not asked for is not missed; the next run sends the rest."""
    path = manifest(tmp_path / "m.jsonl", *({"SecretName": f"{t}/{n}"} for n in range(5) for t in "ab"))
    async with AsyncExitStack() as stack:
        specs = await services(stack, a="1000000000000001", b="1000000000000002")
        first = await applied(specs, path, tmp_path / "x.run", options=ApplyOptions(Rules(), limit=2))
        rest = await applied(specs, path, tmp_path / "x.run")
    assert (first.exit_code, first.missing, first.results["created"]) == (0, 0, 4)
    assert (rest.exit_code, rest.results["created"]) == (0, 10)


async def test_rejects_of_a_folder_go_to_the_targets_that_they_name(tmp_path: Path) -> None:
    """A name that failed at one target is sent there again, and nowhere else; other rejects are refused."""
    path = manifest(
        tmp_path / "m.jsonl", *({"SecretName": f"{t}/{n}"} for n in range(5) for t in ("a", "everywhere"))
    )
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text('{"secret_name": "everywhere/3", "target": "b"}\n')
    only = ApplyOptions(Rules(), only=str(rejects))
    async with AsyncExitStack() as stack:
        specs = await services(stack, a="1000000000000001", b="1000000000000002")
        done = await applied(specs, path, tmp_path / "x.run", options=only)
        rejects.write_text('{"secret_name": "everywhere/3"}\n')
        with pytest.raises(ManifestError, match=r"rejects\.jsonl:1: names no target of this run"):
            await applied(specs, path, tmp_path / "x.run", options=only)
    assert (done.exit_code, done.missing) == (0, 0)
    assert [run.summary.definitions for run in done.runs if run.summary] == [0, 1]


@pytest.mark.parametrize("path", ["-", "/dev/null"])
async def test_what_can_be_read_only_once_is_refused(path: str, tmp_path: Path) -> None:
    """Each target reads the manifest for itself."""
    specs = [TargetSpec("a", "cn-hangzhou")]
    folder = make_run_folder(tmp_path / "x.run", specs)
    with pytest.raises(UsageError, match="can be read only once"):
        await apply_to_all(specs, Manifests((path,)), folder, OPTIONS, Stop())


async def test_a_ledger_that_closes_holds_up_nobody(tmp_path: Path) -> None:
    """Its last write waits for somebody who has the file, and meanwhile the loop goes on."""
    path = tmp_path / "slow.ledger.db"
    target = Target("http://127.0.0.1:9", "cn-hangzhou", Credentials(KEY, SecretValue(SECRET)))
    seen, held = [], asyncio.Event()

    async def use() -> None:
        async with ledger_at(path, target):
            other.execute("BEGIN IMMEDIATE")
            held.set()
        seen.append("closed")

    async with ledger_at(path, target):
        pass
    other = sqlite3.connect(path, isolation_level=None)
    using = asyncio.create_task(use())
    await held.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    seen.append("let go")
    other.close()
    await using
    assert seen == ["let go", "closed"]


async def test_the_display_knows_how_far_a_rollback_is(tmp_path: Path) -> None:
    """Each target's rows are counted as they end."""
    path = manifest(tmp_path / "m.jsonl", *({"SecretName": f"{t}/{n}"} for n in range(5) for t in "ab"))
    async with AsyncExitStack() as stack:
        specs = await services(stack, a="1000000000000001", b="1000000000000002")
        await applied(specs, path, tmp_path / "x.run")
        with (folder := make_run_folder(tmp_path / "x.run", specs)).locked():
            done = await roll_back_all(folder, RollbackRules(), OPTIONS, Stop())
    assert [(run.finished, run.expected) for run in done.runs] == [(5, 5), (5, 5)]
