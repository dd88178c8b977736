"""Files that are no manifests: one reason that says what they are, and the command that reads them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard
from support.definitions import good_and_bad, read_text

from bulkseed.errors import ManifestError
from bulkseed.manifest import open_manifest
from bulkseed.model import InvalidLine, SecretDefinition

GOOD = '{"SecretName": "a", "SecretData": "x"}'
VALUE = "fake-NoOneMaySee"

DUMPS = {
    "vault.json": (
        {"request_id": "1", "lease_id": "", "lease_duration": 0, "data": {"data": {"k": VALUE}}},
        "flat:",
    ),
    "batch.json": ({"SecretValues": [{"ARN": "arn:x", "Name": "a", "SecretString": VALUE}]}, "flat:"),
    "one.json": ({"ARN": "arn:x", "Name": "a", "VersionId": "1", "SecretString": VALUE}, "flat:"),
    "doppler.json": ({"DB_PASSWORD": VALUE, "DB_HOST": "h"}, "flat:"),
    "k.json": ({"apiVersion": "v1", "kind": "List", "items": [{"kind": "Secret"}]}, "k8s+file:"),
    "bitwarden.json": ({"encrypted": False, "folders": [], "items": [{"name": VALUE}]}, "bitwarden:"),
}
TEXTS = {
    "k.yaml": (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  k: {VALUE}\n",
        "k8s+file:",
    ),
    "enc.yaml": (f"k: ENC[AES256_GCM,data:{VALUE},iv:x,tag:x,type:str]\nsops:\n  version: 3\n", "sops:"),
    "vault.yaml": ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "ansible-vault view"),
    "env.jsonl": (f"# mine\nexport A={VALUE}\nB=2\n", "dotenv:"),
    "book.csv": ("PK\x03\x04whatever", "CSV UTF-8"),
}


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        *((name, json.dumps(dump), command) for name, (dump, command) in DUMPS.items()),
        *((f"{name}l", json.dumps(dump, indent=2), command) for name, (dump, command) in DUMPS.items()),
        *((name, text, command) for name, (text, command) in TEXTS.items()),
    ],
)
def test_a_known_dump_is_named_with_the_command_for_it(
    tmp_path: Path, name: str, text: str, command: str
) -> None:
    """Whatever the suffix says, there is one reason, with the way in and without a value (F6)."""
    path = tmp_path / name
    path.write_text(text)
    with open_manifest(path) as entries:
        [entry] = list(entries)
    assert isinstance(entry, InvalidLine)
    [reason] = entry.reasons
    assert command in reason
    assert VALUE not in reason
    if command.endswith(":"):
        assert f"bulkseed apply {command}{path}" in reason


@pytest.mark.parametrize(
    "text",
    [GOOD, f"\n# SecretName=1\n{GOOD}", '{"name": "a", "password": "x"}\n{"name": "b", "password": "y"}'],
)
def test_a_manifest_is_not_taken_for_a_dump(text: str) -> None:
    """Neither a good one nor one with the keys of another tool on each line."""
    assert all(
        "flat:" not in str(entry) and "dotenv:" not in str(entry) for entry in read_text(text, "jsonl")
    )


@pytest.mark.parametrize("size", [3, 65536])
def test_objects_that_span_lines_are_told_once(size: int) -> None:
    """Pretty-printed objects in JSON lines are one mistake, not one on each line; so is an array (F6)."""
    objects = [json.loads(GOOD)] * 3
    spread = "\n".join(json.dumps(each, indent=2) for each in objects)
    for text, word in ((spread, "jq -c"), (json.dumps(objects, indent=1), "--format json")):
        [entry] = read_text(text, "jsonl", size)
        assert isinstance(entry, InvalidLine)
        assert word in entry.reasons[0]


def test_a_damaged_first_line_costs_only_itself() -> None:
    """What follows it is read."""
    good, [wrong] = good_and_bad(read_text(f"{GOOD[:-3]}\n{GOOD}\n{GOOD}\n", "jsonl"))
    assert (len(good), wrong.origin.line) == (2, 1)


def test_suffixes_may_be_written_large(tmp_path: Path) -> None:
    """Some systems do (F6)."""
    path = tmp_path / "SOME.JSONL.GZ"
    path.write_bytes(gzip.compress(GOOD.encode()))
    [entry] = open_manifest(path)
    assert isinstance(entry, SecretDefinition)


def test_a_window_too_wide_to_keep_is_told(tmp_path: Path) -> None:
    """`zstd --long=31` is not called damage (F6)."""
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    path = tmp_path / "some.jsonl.zst"
    path.write_bytes(packer.compress(GOOD.encode()) + packer.flush())
    [entry] = open_manifest(path)
    assert isinstance(entry, InvalidLine)
    assert "--long" in entry.reasons[0]


@pytest.mark.parametrize(
    ("name", "text"), [("a.jsonl", "\n# x\n"), ("a.json", "[]"), ("a.csv", ""), ("a.yaml", "")]
)
def test_an_empty_manifest_can_be_an_error(tmp_path: Path, name: str, text: str) -> None:
    """A generator that died leaves nothing; beside another manifest it is one invalid line."""
    empty, good = tmp_path / name, tmp_path / "good.jsonl"
    empty.write_text(text)
    good.write_text(GOOD)
    assert list(open_manifest(empty)) == []
    with pytest.raises(ManifestError, match="--allow-empty"):
        list(open_manifest(empty, allow_empty=False))
    first, second = open_manifest(empty, good, allow_empty=False)
    assert (first.name, second.origin) == ("a", (str(empty), 1))
    assert isinstance(second, InvalidLine)


def test_a_table_without_rows_can_be_an_error(tmp_path: Path) -> None:
    """Templates without a row to fill them make nothing, too."""
    (tmp_path / "t.jsonl").write_text('{"SecretName": "{who}", "SecretData": "x"}')
    (tmp_path / "rows.csv").write_text("who\n")
    assert list(open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv")) == []
    with pytest.raises(ManifestError, match="--allow-empty"):
        list(open_manifest(tmp_path / "t.jsonl", each=tmp_path / "rows.csv", allow_empty=False))


def test_characters_can_be_left_to_the_service(tmp_path: Path) -> None:
    """Unchecked, only structure and size make a line invalid (F9)."""
    odd = {"SecretName": "密码 1", "SecretData": "x", "VersionId": "v\u200b1", "Tags": {"team a": "x y"}}
    path = tmp_path / "some.jsonl"
    path.write_text(
        "\n".join(map(json.dumps, [odd, odd | {"SecretName": "n" * 193}, odd | {"SecretDataType": "x"}]))
    )
    assert good_and_bad(list(open_manifest(path)))[0] == []
    good, wrong = good_and_bad(list(open_manifest(path, unchecked=True)))
    assert [definition.name for definition in good] == ["密码 1"]
    assert [line.reasons for line in wrong] == [
        ("SecretName has 193 characters, more than 192",),
        ("SecretDataType must be text or binary",),
    ]
