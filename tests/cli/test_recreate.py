"""Settled secrets that are gone: plan --online names them, apply --recreate makes them again."""

from __future__ import annotations

import json
from pathlib import Path

from support.command import bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

SERVED = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())


def test_what_is_gone_is_named_and_created_again(tmp_path: Path) -> None:
    """Deleted by hand when it was settled: a plan names it, an apply leaves it, --recreate makes it (A13)."""
    names = [d["SecretName"] for d in simple(30)]
    write_manifest(tmp_path / "m.jsonl", simple(30))
    write_manifest(tmp_path / "other.jsonl", [simple(30)[4], simple(30)[7]])
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        at = ("--endpoint", target.endpoint, "--qps", 0)
        # Two are made, and so known, by a ledger of their own: its rollback is how they are deleted.
        made = bulkseed("apply", "other.jsonl", *at, cwd=tmp_path, env=SERVED)
        assert made.returncode == 0, made.stderr
        assert bulkseed("apply", "m.jsonl", *at, cwd=tmp_path, env=SERVED).returncode == 0
        force = ("rollback", "other.ledger.db", "--yes", "--force")
        undone = bulkseed(*force, cwd=tmp_path, env=SERVED)
        assert undone.returncode == 0, undone.stderr
        planned = bulkseed("plan", "m.jsonl", "--online", cwd=tmp_path, env=SERVED)
        assert "gone: 2 settled ones are not at the service any more" in planned.stdout, planned.stdout
        assert names[4] in planned.stdout
        told = bulkseed("plan", "m.jsonl", "--online", "--output", "json", cwd=tmp_path, env=SERVED)
        assert json.loads(told.stdout)["online"]["gone_names"] == [names[4], names[7]]
        left = bulkseed("apply", "m.jsonl", *at, cwd=tmp_path, env=SERVED)
        assert "attempts: 0" in left.stdout
        again = bulkseed("apply", "m.jsonl", *at, "--recreate", cwd=tmp_path, env=SERVED)
        assert again.returncode == 0, again.stderr
        assert "gone at the service: 2 settled secrets" in again.stderr
        assert "attempts: 2 " in again.stdout, again.stdout
        rows = map(json.loads, bulkseed("ledger", "rows", "m.ledger.db", cwd=tmp_path).stdout.splitlines())
        outcomes = {row["secret_name"]: row["outcome"] for row in rows}
        assert (outcomes[names[4]], outcomes[names[7]]) == ("created", "created")
        audit = bulkseed("ledger", "audit", "m.ledger.db", cwd=tmp_path)
        assert audit.returncode == 0, audit.stdout
        nothing = bulkseed("apply", "m.jsonl", *at, "--recreate", cwd=tmp_path, env=SERVED)
        assert "attempts: 0" in nothing.stdout
        undone = bulkseed("rollback", "m.ledger.db", "--yes", cwd=tmp_path, env=SERVED)
        assert undone.returncode == 0, undone.stdout
