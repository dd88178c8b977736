"""Onboarding jobs as users run them: names that the service makes, values that are asked for, templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.command import bulkseed, environment, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

SERVED = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())


def ram(user: str, key: str = "fake") -> dict[str, Any]:
    """Return the access keys of a RAM user."""
    return {
        "SecretName": "$Auto",
        "SecretType": "RAMCredentials",
        "SecretData": {"AccessKeys": [{"AccessKeyId": f"{user}-id", "AccessKeySecret": key}]},
        "ExtendedConfig": {"SecretSubType": "RamUserAccessKey", "UserName": user},
    }


def rows(folder: Path, ledger: str = "m.ledger.db") -> list[dict[str, Any]]:
    """Return the rows of a ledger."""
    printed = bulkseed("ledger", "rows", ledger, cwd=folder)
    return [json.loads(line) for line in printed.stdout.splitlines()]


def test_secrets_that_the_service_names_are_told_apart(tmp_path: Path) -> None:
    """Every user has a row under the name that the service made, and a user who occurs twice is found."""
    users = [ram("ann"), ram("bob"), ram("ann", "another"), ram("cem")]
    manifest = write_manifest(tmp_path / "m.jsonl", users)
    lost = {"rules": [{"action": "CreateSecret", "requests": [2], "fault": "drop-after"}]}
    (tmp_path / "faults.json").write_text(json.dumps(lost))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--faults={tmp_path}/faults.json") as (target, _):
        call = [manifest, "--endpoint", target.endpoint]
        planned = bulkseed("plan", manifest, cwd=tmp_path)
        assert "m.jsonl:3: duplicate: first seen on line 1" in planned.stdout
        first = bulkseed("apply", *call, "--workers", 1, cwd=tmp_path, env=SERVED)
        assert first.returncode == 1, "a user occurs twice"
        assert [(row["secret_name"], row["outcome"]) for row in rows(tmp_path)] == [
            ("acs/ram/user/ann", "created"),
            ("acs/ram/user/bob", "adopted"),
            ("acs/ram/user/cem", "created"),
            ("acs/ram/user/ann", "invalid"),
        ]
        again = bulkseed("apply", *call, cwd=tmp_path, env=SERVED)
        assert "attempts: 0" in again.stdout
        write_manifest(manifest, [users[0], users[1], users[3]])
        assert bulkseed("verify", *call, cwd=tmp_path, env=SERVED).returncode == 0
