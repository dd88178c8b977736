"""``bulkseed plan`` and ``apply --dry-run``: from the manifest and the ledger, as apply would see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import bulkseed, environment, simple, write_manifest

from bulkseed.manifest.keys import KEYS

HERE = ["--endpoint", "embedded"]


def test_the_ledger_of_another_target_is_refused(tmp_path: Path) -> None:
    """What is settled there says nothing about here; neither plan needs credentials to know."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    assert bulkseed("apply", manifest, *HERE, "--qps", 0, cwd=tmp_path).returncode == 0
    env = environment(ALIBABA_CLOUD_ACCESS_KEY_ID="", ALIBABA_CLOUD_ACCESS_KEY_SECRET="")
    for command in (["plan"], ["apply", "--dry-run"]):
        assert "3 settled" in bulkseed(*command, manifest, *HERE, cwd=tmp_path, env=env).stdout
        for other in (
            ["--endpoint", "https://kms.example"],
            [*HERE, "--data-dir", "other"],
            [*HERE, "--region", "eu-central-1"],
        ):
            done = bulkseed(*command, manifest, *other, cwd=tmp_path, env=env)
            assert (done.returncode, done.stdout) == (4, "")
            assert "belongs to embedded" in done.stderr


@pytest.mark.parametrize(
    "more",
    [["--limit", "4"], ["--only", "only.jsonl"], ["--only", "only.jsonl", "--limit", "2"], ["--limit", "99"]],
    ids=" ".join,
)
def test_a_dry_run_takes_what_the_run_takes(more: list[str], tmp_path: Path) -> None:
    """Exactly as many definitions are read, and sent, as the run then reads and sends."""
    first = write_manifest(tmp_path / "first.jsonl", simple(2))
    call = ["--ledger", "m.ledger.db", *HERE, "--qps", "0", "--output", "json"]
    assert bulkseed("apply", first, *call, cwd=tmp_path).returncode == 0
    write_manifest(tmp_path / "m.jsonl", ["bad", *simple(10)])
    write_manifest(tmp_path / "only.jsonl", [{"secret_name": f"app/0000{i}"} for i in (1, 3, 5, 7)])
    dry = json.loads(bulkseed("apply", "m.jsonl", *call, *more, "--dry-run", cwd=tmp_path).stdout)
    run = json.loads(bulkseed("apply", "m.jsonl", *call, *more, cwd=tmp_path).stdout)
    assert dry["to_send"] == run["attempts"] > 0
    assert dry["definitions"] == run["definitions"]
    assert dry["invalid_count"] == len(dry["invalid"]) == run["outcomes"]["invalid"]


def test_what_the_ledger_has_settled_is_a_table_by_outcome(tmp_path: Path) -> None:
    """A line for each outcome with what it means, as after a run; rates as people write them (F8)."""
    first = write_manifest(tmp_path / "first.jsonl", simple(3))
    assert bulkseed("apply", first, *HERE, "--qps", 0, cwd=tmp_path).returncode == 0
    manifest = write_manifest(tmp_path / "m.jsonl", simple(2))
    assert bulkseed("apply", manifest, *HERE, "--qps", 0, cwd=tmp_path).returncode == 0
    write_manifest(manifest, [*simple(4), "bad"])
    done = bulkseed("plan", manifest, *HERE, "--qps", 2000, cwd=tmp_path)
    assert done.stdout == (
        f"target: the local KMS in {tmp_path / '.bulkseed'} (cn-hangzhou)\nledger: m.ledger.db\n"
        "nothing is sent to the target: only --online asks it\n"
        f"invalid: is not valid JSON (character 1): 1 line\n  {manifest}:5\n"
        "2 to create, 0.0 s at 2,000/s, 50 bytes of values\n"
        "existing: 2            there, not known to be ours\n"
        "invalid: 1             bad manifest line, never sent\n"
        "2 settled, not compared: to change a value, raise its VersionId, too, v1 to v2\n"
        "definitions: 5 = 2 to create + 2 settled + 1 invalid\n"
    )


def test_bad_lines_are_grouped_by_reason(tmp_path: Path) -> None:
    """However many there are: the commonest reason first, each with five lines and what is wrong there.

    (G15)
    """
    lines = [{"SecretName": "a" * at + " ", "SecretData": "fake"} for at in range(20)]
    write_manifest(tmp_path / "m.jsonl", ["bad", *lines, "bad", {"SecretName": "b", "Tags": {"a b": "c"}}])
    told = bulkseed("plan", "m.jsonl", cwd=tmp_path).stdout.splitlines()[3:]
    rule = "may have only letters, digits and"
    assert told[:7] == [
        f"invalid: SecretName {rule} _ / + = . @ -: 20 lines",
        *(f'  m.jsonl:{at + 2}: SecretName {rule} _ / + = . @ - (" " at {at + 1})' for at in range(5)),
        "  and 15 more",
    ]
    assert told[7:10] == [
        "invalid: is not valid JSON (character 1): 2 lines",
        "  m.jsonl:1",
        "  m.jsonl:22",
    ]
    assert f'invalid: Tags tag 1: TagKey {rule} / \\ _ - . + = : @ (" " at 2): 1 line' in told
    assert told[-1] == "definitions: 23 = 0 to create + 0 settled + 23 invalid"


def test_a_repair_can_be_previewed(tmp_path: Path) -> None:
    """With --only the plan is about what the rejects name; what they name in vain is an error (A14, G21)."""
    write_manifest(tmp_path / "m.jsonl", simple(5))
    write_manifest(tmp_path / "rejects.jsonl", [{"secret_name": "app/00002"}])
    done = bulkseed("plan", "m.jsonl", "--only", "rejects.jsonl", "--output", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["definitions"] == 1
    write_manifest(tmp_path / "rejects.jsonl", [{"secret_name": "app/gone"}])
    done = bulkseed("plan", "m.jsonl", "--only", "rejects.jsonl", cwd=tmp_path)
    assert (done.returncode, "rejects.jsonl:1: no app/gone" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_nothing_at_all_is_no_success(tmp_path: Path, command: str) -> None:
    """`generate | bulkseed apply -` is not green when the generator dies, unless that is said to be right.

    (F7)
    """
    call = [command, "-", *HERE] if command == "apply" else [command, "-"]
    done = bulkseed(*call, cwd=tmp_path)
    assert (done.returncode, "--allow-empty" in done.stderr) == (2, True)
    assert bulkseed(*call, "--allow-empty", cwd=tmp_path).returncode == 0


def test_a_plan_notes_a_key_that_is_named_by_an_alias(tmp_path: Path) -> None:
    """It is sent as it is: only a page of the service speaks against it."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    done = bulkseed("plan", "m.jsonl", "--set", "EncryptionKeyId=alias/x", cwd=tmp_path)
    assert (done.returncode, "note: alias/x is an alias" in done.stdout) == (0, True)


def test_the_fields_of_a_definition_fit_a_terminal(tmp_path: Path) -> None:
    """Every key has a line, and none is wider than 80 columns (G21)."""
    told = bulkseed("plan", "--fields", cwd=tmp_path).stdout.splitlines()
    assert any(line.startswith("SecretData ") and line.endswith("at most 30,720 bytes") for line in told)
    assert set(KEYS) <= {line.partition(" ")[0] for line in told}
    assert max(map(len, told)) <= 80


def test_the_json_has_the_first_thousand_bad_lines_and_counts_all(tmp_path: Path) -> None:
    """A million of them would be no plan."""
    write_manifest(tmp_path / "m.jsonl", ["bad"] * 2500)
    done = bulkseed("plan", "m.jsonl", "--output", "json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert [line["line"] for line in document["invalid"]] == list(range(1, 1001))
    assert (document["invalid_count"], document["definitions"], done.returncode) == (2500, 2500, 1)


def test_a_file_in_the_place_of_the_data_directory_matters_to_the_local_kms_only(tmp_path: Path) -> None:
    """A plan starts none."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(3))
    (tmp_path / ".bulkseed").write_text("a note")
    assert bulkseed("plan", manifest, cwd=tmp_path).returncode == 0
    done = bulkseed("apply", manifest, *HERE, cwd=tmp_path)
    assert done.returncode == 2
    assert ".bulkseed" in done.stderr
    assert not (tmp_path / "m.ledger.db").exists()
