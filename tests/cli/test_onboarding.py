"""Onboarding jobs as users run them: names that the service makes, values that are asked for, templates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.stub_kms import StubKms

CANARY = "canary-not-a-secret"

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


def faulty(folder: Path, *rules: dict[str, Any]) -> str:
    """Return the flag that makes the local KMS misbehave."""
    (folder / "faults.json").write_text(json.dumps({"rules": rules}))
    return f"--faults={folder}/faults.json"


def told(planned: str) -> set[str]:
    """Return the reasons and the places that a plan names, without folders: a reason, then its places."""
    found = set()
    for line in planned.splitlines():
        reason = re.fullmatch(r"invalid: (.*): [\d,]+ lines?", line)
        found.add(reason[1] if reason else line.strip().rpartition("/")[2])
    return found


def test_secrets_that_the_service_names_are_told_apart(tmp_path: Path) -> None:
    """Every user has a row under the name that the service made, and a user who occurs twice is found."""
    users = [ram("ann"), ram("bob"), ram("ann", "another"), ram("cem")]
    manifest = write_manifest(tmp_path / "m.jsonl", users)
    lost = {"action": "CreateSecret", "requests": [2], "fault": "drop-after"}
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, faulty(tmp_path, lost)) as (target, _):
        call = [manifest, "--endpoint", target.endpoint]
        planned = bulkseed("plan", manifest, cwd=tmp_path)
        assert {f"duplicate: first seen at {manifest}:1", "m.jsonl:3"} <= told(planned.stdout)
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


GENERATED = [{"SecretName": f"gen/{i}", "SecretDataFrom": {"generate": {"length": 24}}} for i in range(4)]


def test_generated_values_are_made_once(tmp_path: Path) -> None:
    """A lost reply is adopted, a second run sends nothing, and a verify says what can be said."""
    manifest = write_manifest(tmp_path / "m.jsonl", GENERATED)
    lost = {"action": "CreateSecret", "requests": [2], "fault": "drop-after"}
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, faulty(tmp_path, lost)) as (target, _):
        call = [manifest, "--endpoint", target.endpoint]
        first = bulkseed("apply", *call, "--workers", 1, cwd=tmp_path, env=SERVED)
        assert first.returncode == 0, first.stderr
        outcomes = [row["outcome"] for row in rows(tmp_path)]
        assert outcomes == ["created", "adopted", "created", "created"]
        again = bulkseed("apply", *call, cwd=tmp_path, env=SERVED)
        assert "attempts: 0" in again.stdout
        verified = bulkseed("verify", *call, cwd=tmp_path, env=SERVED)
        assert verified.returncode == 0, verified.stdout
        assert "definitions: 4 = 4 present" in verified.stdout


def test_a_generated_value_that_is_lost_is_not_called_ours(tmp_path: Path) -> None:
    """Created without an answer by a run that is over: it exists, and the row says that no more is known.

    (G3)
    """
    manifest = write_manifest(tmp_path / "m.jsonl", GENERATED)
    lost = {"action": "CreateSecret", "requests": [2], "fault": "drop-after"}
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, faulty(tmp_path, lost)) as (target, _):
        call = ["apply", manifest, "--endpoint", target.endpoint, "--workers", 1]
        first = bulkseed(*call, "--max-attempts", 1, cwd=tmp_path, env=SERVED)
        assert first.returncode == 1
        assert [row["outcome"] for row in rows(tmp_path)] == ["created", "exhausted", "created", "created"]
        second = bulkseed(*call, "--output", "json", cwd=tmp_path, env=SERVED)
        assert second.returncode == 1, second.stderr
        assert json.loads(second.stdout)["attempts"] == 2, "one create, one read"
        row = rows(tmp_path)[1]
        assert (row["outcome"], row["code"]) == ("value_lost", "Rejected.ResourceExist")
        assert "--regenerate" in row["message"]
        assert bulkseed("ledger", "audit", "m.ledger.db", cwd=tmp_path).returncode == 0


def test_a_generated_value_that_is_lost_is_generated_again(tmp_path: Path) -> None:
    """With another VersionId, asked for, and only what version and time prove to be ours (G3)."""
    manifest = write_manifest(tmp_path / "m.jsonl", GENERATED)
    lost = {"action": "CreateSecret", "requests": [2], "fault": "drop-after"}
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, faulty(tmp_path, lost)) as (target, _):
        call = ["apply", manifest, "--endpoint", target.endpoint, "--workers", 1]
        bulkseed(*call, "--max-attempts", 1, cwd=tmp_path, env=SERVED)
        assert bulkseed(*call, cwd=tmp_path, env=SERVED).returncode == 1
        write_manifest(manifest, [{**d, "VersionId": "v2"} if i == 1 else d for i, d in enumerate(GENERATED)])
        assert bulkseed(*call, cwd=tmp_path, env=SERVED).returncode == 1, "a new version proves nothing"
        assert rows(tmp_path)[1]["outcome"] == "value_lost"
        done = bulkseed(*call, "--regenerate", cwd=tmp_path, env=SERVED)
        assert done.returncode == 0, done.stdout
        assert rows(tmp_path)[1]["outcome"] == "updated"
        previewed = bulkseed("rollback", "m.ledger.db", cwd=tmp_path, env=SERVED)
        assert [told.count("taken for ours: 1,") for told in (done.stdout, previewed.stdout)] == [1, 1]
        assert bulkseed("ledger", "audit", "m.ledger.db", cwd=tmp_path).returncode == 0
        verified = bulkseed("verify", *call[1:4], cwd=tmp_path, env=SERVED)
        assert "4 present" in verified.stdout
        undone = bulkseed("rollback", "m.ledger.db", "--yes", cwd=tmp_path, env=SERVED)
        assert undone.returncode == 0, undone.stdout


def test_values_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    """Plan says what is missing before anything is sent; no word and no ledger holds what was found."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "token").write_text(f"{CANARY}-file\n")
    asked = [
        {"SecretName": "from/env", "SecretDataFrom": {"env": "ONBOARDING_TOKEN"}},
        {"SecretName": "from/file", "SecretDataFrom": {"file": "token"}},
        {"SecretName": "from/nowhere", "SecretDataFrom": {"file": "nothing"}},
    ]
    manifest = write_manifest(tmp_path / "jobs" / "m.jsonl", asked)
    bare = bulkseed("plan", manifest, cwd=tmp_path)
    assert {"SecretDataFrom env names a variable that is not set", "m.jsonl:1"} <= told(bare.stdout)
    env = environment(ONBOARDING_TOKEN=f"{CANARY}-env")
    planned = bulkseed("plan", manifest, cwd=tmp_path, env=env)
    reason = "SecretDataFrom file cannot be read: No such file or directory"
    assert {reason, "m.jsonl:3"} <= told(planned.stdout)
    assert "definitions: 3 = 2 to create + 0 settled + 1 invalid" in planned.stdout
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint, "--log-level", "debug"]
        done = bulkseed(*call, cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert stub.secrets == {
        "from/env": f"{CANARY}-env".encode(),
        "from/file": f"{CANARY}-file\n".encode(),
    }
    rejects = bulkseed("ledger", "rejects", "m.ledger.db", cwd=tmp_path).stdout
    assert json.loads(rejects)["secret_name"] == "from/nowhere"
    for words in (bare.stdout, planned.stdout, done.stdout, done.stderr, rejects):
        assert CANARY not in words
    for path in tmp_path.glob("m.ledger.db*"):
        assert CANARY.encode() not in path.read_bytes()


def test_tenants_are_onboarded_from_a_table(tmp_path: Path) -> None:
    """Plan finds names that collide, by both rows; what is mended is taken up; another run costs nothing."""
    templates = [
        {"SecretName": "prod/{tenant}/db", "SecretDataFrom": {"generate": {"charset": "hex"}}},
        {"SecretName": "prod/{tenent}/api", "SecretData": {"user": "{tenant}", "password": CANARY}},
    ]
    manifest = write_manifest(tmp_path / "onboarding.jsonl", templates)
    tenants = tmp_path / "tenants.csv"
    tenants.write_text("tenant,team\nacme,red\nglobex,blue\nacme,green\n")
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        given = ["onboarding.jsonl", "--each", "tenants.csv"]
        call = ["apply", *given, "--endpoint", stub.endpoint, "--qps", 0]
        _, _, *planned = bulkseed("plan", *given, cwd=tmp_path).stdout.splitlines()
        where = "onboarding.jsonl:1@tenants.csv"
        assert {
            "SecretName uses {tenent}, which is not a column of tenants.csv",
            "onboarding.jsonl:2",
            f"duplicate: first seen at {where}:2",
            f"{where}:4",
        } <= told("\n".join(planned))
        assert planned[-1] == "definitions: 4 = 2 to create + 0 settled + 2 invalid"
        assert bulkseed(*call, cwd=tmp_path).returncode == 1
        rejects = bulkseed("ledger", "rejects", "onboarding.ledger.db", cwd=tmp_path).stdout
        (tmp_path / "rejects.jsonl").write_text(rejects)
        templates[1]["SecretName"] = "prod/{tenant}/api"
        write_manifest(manifest, templates)
        tenants.write_text("tenant,team\nacme,red\nglobex,blue\nhooli,green\n")
        mended = bulkseed(*call, "--only", "rejects.jsonl", "--output", "json", cwd=tmp_path)
        assert json.loads(mended.stdout)["attempts"] == 4, (
            "three of the template, and the tenant that was a double"
        )
        last = bulkseed(*call, cwd=tmp_path)
        assert (last.returncode, last.stderr) == (0, "")
        assert "definitions: 6 = 6 created\n0 settled now, 6 settled before" in last.stdout
        assert len(stub.secrets) == len(stub.arrivals) == 6
        assert json.loads(stub.secrets["prod/hooli/api"]) == {"user": "hooli", "password": CANARY}
        assert len({stub.secrets[f"prod/{t}/db"] for t in ("acme", "globex", "hooli")}) == 3
    assert bulkseed("ledger", "rejects", "onboarding.ledger.db", cwd=tmp_path).stdout == ""
    assert bulkseed("ledger", "audit", "onboarding.ledger.db", cwd=tmp_path).returncode == 0
    for path in tmp_path.glob("onboarding.ledger.db*"):
        assert CANARY.encode() not in path.read_bytes()
