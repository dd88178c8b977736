"""Settled secrets that are gone: plan --online names them, apply --recreate makes them again."""

from __future__ import annotations

import json
from pathlib import Path

from alibabacloud_kms20160120 import models
from support.command import bulkseed as run
from support.command import environment, simple, write_manifest
from support.kms import sdk
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

import bulkseed
from bulkseed.engine.ask import open_questioner
from bulkseed.jobs.apply import seed
from bulkseed.jobs.existing_names import look_up_gone
from bulkseed.ledger import read_ledger
from bulkseed.ledger.audit.run import audit
from bulkseed.ledger.settled_names import settled_names
from bulkseed.model import Outcome
from bulkseed.policy.advice import GONE, Advice, advise
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service

SERVED = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())


def test_what_is_gone_is_named_and_created_again(tmp_path: Path) -> None:
    """Deleted by hand when it was settled: a plan names it, an apply leaves it, --recreate makes it (A13)."""
    names = [d["SecretName"] for d in simple(30)]
    write_manifest(tmp_path / "m.jsonl", simple(30))
    write_manifest(tmp_path / "other.jsonl", [simple(30)[4], simple(30)[7]])
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        at = ("--endpoint", target.endpoint, "--qps", 0)
        # Two are made, and so known, by a ledger of their own: its rollback is how they are deleted.
        made = run("apply", "other.jsonl", *at, cwd=tmp_path, env=SERVED)
        assert made.returncode == 0, made.stderr
        assert run("apply", "m.jsonl", *at, cwd=tmp_path, env=SERVED).returncode == 0
        force = ("rollback", "other.ledger.db", "--yes", "--force")
        undone = run(*force, cwd=tmp_path, env=SERVED)
        assert undone.returncode == 0, undone.stderr
        planned = run("plan", "m.jsonl", "--online", cwd=tmp_path, env=SERVED)
        assert "gone: 2 settled ones are not at the service any more" in planned.stdout, planned.stdout
        assert names[4] in planned.stdout
        told = run("plan", "m.jsonl", "--online", "--output", "json", cwd=tmp_path, env=SERVED)
        assert json.loads(told.stdout)["online"]["gone_names"] == [names[4], names[7]]
        left = run("apply", "m.jsonl", *at, cwd=tmp_path, env=SERVED)
        assert "attempts: 0" in left.stdout
        again = run("apply", "m.jsonl", *at, "--recreate", cwd=tmp_path, env=SERVED)
        assert again.returncode == 0, again.stderr
        assert "gone at the service: 2 that were settled, or ours" in again.stderr
        assert "attempts: 2 " in again.stdout, again.stdout
        rows = map(json.loads, run("ledger", "rows", "m.ledger.db", cwd=tmp_path).stdout.splitlines())
        outcomes = {row["secret_name"]: row["outcome"] for row in rows}
        assert (outcomes[names[4]], outcomes[names[7]]) == ("created", "created")
        audit = run("ledger", "audit", "m.ledger.db", cwd=tmp_path)
        assert audit.returncode == 0, audit.stdout
        nothing = run("apply", "m.jsonl", *at, "--recreate", cwd=tmp_path, env=SERVED)
        assert "attempts: 0" in nothing.stdout
        undone = run("rollback", "m.ledger.db", "--yes", cwd=tmp_path, env=SERVED)
        assert undone.returncode == 0, undone.stdout


async def test_one_of_ours_that_is_gone_is_created_again_after_its_version_was_raised(tmp_path: Path) -> None:
    """The run that raised it fails and says what helps; that does help, and the ledger adds up (A13)."""
    path, free = tmp_path / "l.db", ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)

    async def apply(*gone: str) -> bulkseed.Summary:
        with bulkseed.open_ledger(path, target) as ledger:
            return await seed([bulkseed.definition(what)], target, ledger, gone=gone)

    async with local_service(free) as target:
        what = {"SecretName": "app/a", "SecretData": "fake-1", "VersionId": "v1"}
        await apply()
        forced = models.DeleteSecretRequest(secret_name="app/a", force_delete_without_recovery="true")
        await sdk(target).delete_secret_async(forced)
        what |= {"SecretData": "fake-2", "VersionId": "v2"}
        assert (await apply()).outcomes[Outcome.REJECTED] == 1
        with read_ledger(path) as ledger:
            [row] = ledger.rows([Outcome.REJECTED])
            told = advise(row.outcome, row.code, row.message)
            assert (row.message, told) == (GONE, Advice(GONE, "run again with --recreate"))
            async with open_questioner(target) as service:
                with settled_names(ledger) as left:
                    gone = await look_up_gone(service, left)
                with settled_names(ledger, scheduled=True) as left:
                    left.saw(["app/a"], deleted=True)
                    assert (left.all(), left.leaving) == ([], 0), "it is followed, and so taken back as ours"
        assert gone == ["app/a"]
        assert (await apply(*gone)).outcomes[Outcome.CREATED] == 1
        with read_ledger(path) as ledger:
            assert [finding for finding in audit(ledger) if not finding.holds] == []
