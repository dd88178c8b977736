"""The policies on the page of credentials: each lets its commands work, secrets under an own key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_kms20160120.models import CreateKeyRequest, CreateSecretRequest
from support.command import bulkseed, environment, write_manifest
from support.kms import sdk
from support.pages import TEXTS, blocks
from support.serve_process import SECRET, UNLIMITED_FLAGS, served

POLICIES: dict[str, dict[str, Any]] = {
    name.removeprefix(": "): json.loads(block.text)
    for block in blocks(TEXTS["credentials"])
    if (name := block.mark("policy")) is not None
}
ROOT = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal())
USER = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="user", ALIBABA_CLOUD_ACCESS_KEY_SECRET="fake-user-secret")
MANIFESTS = [
    ("ours", ["prod/a", "prod/b"], "v1"),
    ("newer", ["prod/a", "prod/b"], "v2"),
    ("new", ["prod/new"], "v1"),
    ("deleted", ["prod/deleted"], "v1"),
]
COMMANDS: dict[str, list[list[str]]] = {
    "apply": [["apply", "new.jsonl"], ["apply", "ours.jsonl", "--on-exists", "verify"]],
    "update": [
        ["apply", "newer.jsonl", "--on-exists", "update", "--ledger", "other.ledger.db"],
        ["apply", "deleted.jsonl", "--on-delete-window", "restore"],
    ],
    "plan": [["plan", "ours.jsonl", "--online"]],
    "verify": [["verify", "ours.jsonl"]],
    "audit": [["ledger", "audit", "root.ledger.db", "--online"]],
    "rollback": [["rollback", "root.ledger.db", "--yes"]],
    "restore": [["rollback", "root.ledger.db", "--restore-values", "--yes"]],
    "recreate": [["apply", "new.jsonl", "--recreate"]],
    "doctor": [["doctor", "--prefix", "prod/"]],
}
SCENES: dict[str, list[list[str]]] = {
    "restore": [["apply", "newer.jsonl", "--ledger", "root.ledger.db"]],
    "recreate": [
        ["apply", "new.jsonl", "--ledger", "copy.db"],
        ["rollback", "copy.db", "--yes", "--force"],
    ],
}


def users_of(policy: dict[str, Any]) -> dict[str, Any]:
    """Return the file for `serve --policies` that says what a policy of RAM says."""
    allow = [{"action": one["Action"], "resource": one["Resource"]} for one in policy["Statement"]]
    keys = {"access_key_id": "user", "access_key_secret": "fake-user-secret"}
    return {"users": [{"name": "user", **keys, "allow": allow}]}


def codes_of(name: str, folder: Path) -> Iterator[int]:
    """Set the scene as the root caller; yield how each command of a user with this policy ended."""
    (folder / "users.json").write_text(json.dumps(users_of(POLICIES[name])))
    with served(folder / "kms", *UNLIMITED_FLAGS, f"--policies={folder / 'users.json'}") as (target, _):
        key = sdk(target).create_key(CreateKeyRequest()).body.key_metadata.key_id
        for manifest, names, version in MANIFESTS:
            one = {"SecretData": f"fake-{version}", "VersionId": version, "EncryptionKeyId": key}
            write_manifest(folder / f"{manifest}.jsonl", [{"SecretName": n, **one} for n in names])
        where = ["--endpoint", target.endpoint]
        for call in (
            ["apply", "ours.jsonl", "--ledger", "root.ledger.db"],
            ["apply", "deleted.jsonl"],
            ["rollback", "deleted.ledger.db", "--yes"],
        ):
            assert bulkseed(*call, *where, cwd=folder, env=ROOT).returncode == 0
        for call in SCENES.get(name, []):
            assert bulkseed(*call, *where, cwd=folder, env=ROOT).returncode == 0
            if call[0] == "apply" and "copy.db" in call:  # its rollback is how they are deleted
                shutil.copy(folder / "copy.db", folder / "new.ledger.db")
        for call in COMMANDS[name]:
            yield bulkseed(*call, *where, cwd=folder, env=USER).returncode


def test_every_policy_has_its_command() -> None:
    """What the page offers is what these tests use."""
    assert POLICIES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_works_with_its_policy(name: str, tmp_path: Path) -> None:
    """A user who may do exactly this can run the command."""
    assert set(codes_of(name, tmp_path)) == {0}


def test_a_kms_is_a_source_with_the_policy_of_its_page(tmp_path: Path) -> None:
    """It is listed and read, and nothing else is asked of it."""
    [policy] = [json.loads(b.text) for b in blocks(TEXTS["source-kms"]) if b.language == "json"]
    (tmp_path / "users.json").write_text(json.dumps(users_of(policy)))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--policies={tmp_path / 'users.json'}") as (target, _):
        wanted = CreateSecretRequest(secret_name="s", secret_data="fake", version_id="own-7")
        sdk(target).create_secret(wanted)
        keys = [name for name in USER if "ACCESS_KEY" in name]
        of_source = {f"BULKSEED_SOURCE_{name}": USER[name] for name in keys}
        address = f"kms://{target.region}?endpoint={target.endpoint}"
        env = environment(**of_source)
        applied = bulkseed("apply", address, "--endpoint", "embedded", cwd=tmp_path, env=env)
    assert "definitions: 1 = 1 created" in applied.stdout, applied.stdout + applied.stderr
