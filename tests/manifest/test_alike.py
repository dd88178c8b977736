"""What the reader knows of the line before changes nothing about what is read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkseed.manifest import alike
from bulkseed.manifest.alike import AlikeDefinitions
from bulkseed.manifest.definition import checked_defaults, to_entry
from bulkseed.manifest.formats import exact_json, line_before
from bulkseed.manifest.formats.line_before import LineBefore
from bulkseed.model import InvalidLine, Origin, SecretDefinition
from bulkseed.wire.validation.limits import DATA_MAX_BYTES

TEXTS = st.sampled_from(
    ["a", "b", "1", "2", "app/db", 'a"b', '"', "a\\", "\\", "é", "\n", "\x7f", "", "$Auto", "acs/a", "a b"]
) | st.text("a1\"\\ ,:{}", max_size=4)  # fmt: skip
ODD: tuple[Any, ...] = (1, 1.5, True, None, {"a": "b"}, [], -0.0)
REDIS = json.dumps(
    {
        "SecretSubType": "DoubleUsers",
        "InstanceId": "r-1",
        "RegionId": "cn-hangzhou",
        "AccountName": "a",
        "CloneAccountName": "a_clone",
        "AccountPrivilege": "RoleReadWrite",
    }
)
REST: list[dict[str, Any]] = [
    {},
    {"Description": "SecretName"},
    {"VersionId": "v1", "Tags": '[{"TagKey": "a", "TagValue": "b"}]'},
    {"Description": 'a"b\\ "SecretData": "1"'},
    {"SecretType": "ECS"},
    {"SecretType": "Generic", "RotationInterval": "7d"},
    {"EnableAutomaticRotation": False},
    {"EnableAutomaticRotation": 0},
    {"SecretDataType": "binary"},
    {"SecretDataFrom": {"generate": {"length": 8}}},
    {"Unknown": "a"},
    {"Tags": {"a": "b"}},
]


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a definition, often like others, its keys in any order."""
    value = TEXTS | st.sampled_from(ODD)
    items = [("SecretName", draw(value)), ("SecretData", draw(value)), *draw(st.sampled_from(REST)).items()]
    return dict(items if draw(st.booleans()) else draw(st.permutations(items)))


@st.composite
def raw_lines(draw: st.DrawFn) -> list[bytes]:
    """Draw lines of JSON, most of them of few forms, some damaged or with a key twice."""
    forms = draw(st.lists(objects(), min_size=1, max_size=2))
    lines = []
    for form in draw(st.lists(st.sampled_from(forms), min_size=3, max_size=8)):
        item = {**form, draw(st.sampled_from(["SecretName", "SecretData"])): draw(TEXTS)}
        line = json.dumps(item, ensure_ascii=draw(st.booleans())).encode()
        if draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, len(line)))
            more = draw(st.sampled_from([b"", b'"', b"\\", b"\x01", b"\xff", b" ", b', "SecretName": "a"']))
            line = line[:at] + more + line[at + draw(st.integers(0, 1)) :]
        lines.append(line)
    return lines


def shown(value: object) -> str:
    """Show a value with the order of its keys, and numbers that keep their text as one and the same."""
    return re.sub("at 0x[0-9a-f]+", "", repr(value))


@given(raw_lines())
@settings(max_examples=80)
def test_a_line_read_by_the_one_before_is_what_the_parser_reads(lines: list[bytes]) -> None:
    """The same value, with its keys in the same order, or the same reason."""
    by_the_one_before = LineBefore().decode
    for line in lines:
        assert shown(by_the_one_before(line)) == shown(exact_json.decode(line))


@given(st.lists(objects(), min_size=1, max_size=3), st.lists(st.integers(0, 2), max_size=6))
@settings(max_examples=80)
def test_alike_definitions_are_what_each_is_by_itself(some: list[dict[str, Any]], order: list[int]) -> None:
    """The same definition, or the same reasons."""
    defaults, origin = checked_defaults({"Description": "of all"}), Origin("m.jsonl", 1)
    together = AlikeDefinitions(defaults).entry
    for item in (some[index % len(some)] for index in order):
        if "SecretDataFrom" in item:
            together(dict(item), origin, Path())  # its value is another one each time
        else:
            assert together(dict(item), origin, Path()) == to_entry(dict(item), origin, defaults, Path())


def line(number: int, **more: str) -> bytes:
    """Return a line of a manifest that a program writes."""
    return json.dumps({"SecretName": f"app/{number}", "SecretData": f"fake-{number}", **more}).encode()


def test_the_parser_is_asked_for_two_of_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the rest only where a text does not stand for itself, or the form changes."""
    asked: list[bytes] = []

    def parse(raw: bytes) -> object:
        asked.append(raw)
        return exact_json.decode(raw)

    monkeypatch.setattr(line_before, "decode", parse)
    decode = LineBefore().decode
    lines = [line(number, VersionId="v1") for number in range(9)]
    assert [decode(raw) for raw in lines] == [json.loads(raw) for raw in lines]
    assert len(asked) == 3  # two lines, and the trial of what they have taught
    special = json.dumps({"SecretName": "a", "SecretData": "a\nb", "VersionId": "v1"}).encode()
    for raw in (special, line(9, VersionId="v1")):
        assert decode(raw) == json.loads(raw)
    assert asked[3:] == [special]
    decoded: list[Any] = [decode(b'{"SecretName": "a", "SecretData": "b", "Tags": {}}') for _ in range(3)]
    assert decoded[1]["Tags"] is not decoded[2]["Tags"]


@pytest.mark.parametrize(
    ("known", "value", "then", "other"),
    [
        ({"EnableAutomaticRotation": False}, "a", {"EnableAutomaticRotation": 0}, "a"),
        ({"EnableAutomaticRotation": False}, "a", {}, "a"),
        ({"SecretDataType": "binary"}, "AAAA", {"SecretDataType": "binary"}, "not Base64"),
        ({"SecretType": "Redis", "ExtendedConfig": REDIS}, "$Auto", {"SecretType": "Redis"}, "$Auto"),
        ({"SecretType": "Redis", "ExtendedConfig": REDIS}, "$Auto", None, "fake"),
    ],
)
def test_what_looks_alike_and_is_not(
    known: dict[str, Any], value: str, then: dict[str, Any] | None, other: str
) -> None:
    """It is what it is without a definition before it."""
    defaults, origin = checked_defaults(None), Origin("m.jsonl", 1)
    entry = AlikeDefinitions(defaults).entry
    for number in range(2):
        item = {"SecretName": f"a/{number}", "SecretData": value, **known}
        assert isinstance(entry(item, origin, Path()), SecretDefinition)
    item = {"SecretName": "a/2", "SecretData": other, **(known if then is None else then)}
    assert entry(dict(item), origin, Path()) == to_entry(item, origin, defaults, Path())


def test_name_and_value_are_checked_where_the_rest_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be wrong with them goes the whole way; nothing else does."""
    whole_way: list[object] = []

    def check(item: object, *where: Any) -> SecretDefinition | InvalidLine:
        whole_way.append(item)
        return to_entry(item, *where)

    monkeypatch.setattr(alike, "to_entry", check)
    entry = AlikeDefinitions(checked_defaults(None)).entry

    def made(name: object, data: object) -> bool:
        item = {"SecretName": name, "SecretData": data, "Description": "alike"}
        return isinstance(entry(item, Origin("m.jsonl", 1), Path()), SecretDefinition)

    assert all(made(f"app/{number}", "fake") for number in range(5))
    assert len(whole_way) == 1
    wrong = ["", "a b", "é", "acs/a", "$Auto", "a" * 193, 1]
    assert not any(made(name, "fake") for name in wrong)
    assert not any(made("app/a", data) for data in ("", "a" * (DATA_MAX_BYTES + 1)))
    assert made("app/a", "é")
    assert made("app/a", 1)
    assert len(whole_way) == 1 + len(wrong) + 2 + 2
