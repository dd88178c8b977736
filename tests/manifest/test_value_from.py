"""Values that a manifest asks for: generated, from the environment, from a file."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import as_csv, good_and_bad, read_text

from bulkseed.errors import UsageError
from bulkseed.manifest import open_manifest
from bulkseed.manifest.value_from import LENGTHS, SETS
from bulkseed.model import InvalidLine, ManifestEntry, SecretDefinition
from bulkseed.wire.validation import limits

CANARY = "CanaryNoOneMaySee"
VARIABLE = "BULKSEED_TEST_VALUE"


def asking(spec: object, **more: object) -> ManifestEntry:
    """Read one JSON line that asks for its value."""
    [entry] = read_text(json.dumps({"SecretName": "a", "SecretDataFrom": spec, **more}), "jsonl")
    return entry


def given_by(spec: object, **more: object) -> str:
    """Return the value that a line asks for."""
    entry = asking(spec, **more)
    assert isinstance(entry, SecretDefinition), entry
    return entry.data.reveal()


def refused(spec: object, **more: object) -> str:
    """Return the only reason why a line cannot be used."""
    entry = asking(spec, **more)
    assert isinstance(entry, InvalidLine)
    [reason] = entry.reasons
    assert entry.name == "a", "such a line can be repaired by name"
    return reason


@pytest.fixture
def variable() -> Iterator[str]:
    """Set an environment variable for a test."""
    os.environ[VARIABLE] = f"{CANARY} ünï\n"
    yield VARIABLE
    del os.environ[VARIABLE]


lengths = st.integers(LENGTHS[0], 64)
named = st.lists(st.sampled_from(sorted(SETS)), min_size=1, max_size=4)
literal = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="+"), min_size=2, max_size=30)


@given(lengths, named)
@settings(max_examples=100)
def test_a_generated_value_is_as_asked(length: int, sets: list[str]) -> None:
    """It has the length, only characters of the sets that are named, and at least one of each."""
    text = given_by({"generate": {"length": length, "charset": "+".join(sets)}})
    assert len(text) == length
    assert set(text) <= set("".join(SETS[name] for name in sets))
    assert all(set(text) & set(SETS[name]) for name in sets)


@given(lengths, literal)
@settings(max_examples=100)
def test_a_charset_may_be_the_characters_themselves(length: int, characters: str) -> None:
    """Characters that are written down, each once, are the ones that occur."""
    charset = "".join(dict.fromkeys(characters))
    entry = asking({"generate": {"length": length, "charset": charset}})
    if len(charset) < 2:
        assert isinstance(entry, InvalidLine)
    elif isinstance(entry, SecretDefinition):
        text = entry.data.reveal()
        assert len(text) == length
        assert set(text) <= set(SETS.get(charset, charset))
    else:  # it looks like the name of a set
        assert charset.isascii()


def test_without_wishes_it_is_like_the_service_s_passwords() -> None:
    """32 characters of four classes, each of which occurs."""
    specs: list[object] = [
        {"generate": {}},
        '{"generate": {}}',
        {"generate": {"length": None, "charset": None}},
    ]
    for spec in specs:
        text = given_by(spec)
        assert len(text) == 32
        assert all(set(text) & set(SETS[name]) for name in ("lower", "upper", "digits", "punctuation"))


def test_the_shortest_values_have_every_set_too() -> None:
    """Where chance alone would leave a set out every other time."""
    for _ in range(50):
        text = given_by({"generate": {"length": 8}})
        assert all(set(text) & set(SETS[name]) for name in ("lower", "upper", "digits", "punctuation"))


def test_every_character_is_as_likely_as_any_other() -> None:
    """Sixteen characters over 64,000 draws: chi-square below its 99.9999 % quantile."""
    texts = [given_by({"generate": {"length": 4000, "charset": "hex"}}) for _ in range(16)]
    draws = "".join(texts)
    chi_square = sum((draws.count(c) - 4000) ** 2 / 4000 for c in SETS["hex"])
    assert chi_square < 60


def test_no_two_generated_values_are_equal() -> None:
    """Each definition gets its own, also in a second reading of the same manifest."""
    line = json.dumps({"SecretName": "a", "SecretDataFrom": {"generate": {"length": 12}}})
    entries = [entry for _ in range(2) for entry in read_text("\n".join([line] * 50), "jsonl")]
    definitions, _ = good_and_bad(entries)
    assert all(definition.generated for definition in definitions)
    assert len({definition.data.reveal() for definition in definitions}) == 100


@pytest.mark.parametrize("charset", ["leters+digits", "upper+digit", "lowr", "digts", "Hex", "aab", "x", ""])
def test_a_misspelled_charset_is_not_taken_for_characters(charset: str) -> None:
    """What nearly names a set, or repeats a character, is refused."""
    assert "charset must be of lower, upper, letters" in refused({"generate": {"charset": charset}})


def test_the_environment_gives_a_value_as_it_is(variable: str) -> None:
    """Nothing is stripped; what is not set or empty is told without its name."""
    assert given_by({"env": variable}) == f"{CANARY} ünï\n"
    assert refused({"env": CANARY}) == "SecretDataFrom env names a variable that is not set"
    os.environ[variable] = ""
    assert refused({"env": variable}) == "SecretDataFrom env names a variable that is empty"


def test_a_file_is_read_byte_for_byte(tmp_path: Path) -> None:
    """A path is relative to the manifest; a text keeps its last newline, bytes travel in Base64."""
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / "text").write_bytes(b"line\r\n\xc3\xa9\n")
    (tmp_path / "values" / "raw").write_bytes(bytes(range(256)))
    lines = [
        {"SecretName": "a", "SecretDataFrom": {"file": "values/text"}},
        {"SecretName": "b", "SecretDataFrom": {"file": f"{tmp_path}/values/text"}},
        {"SecretName": "c", "SecretDataFrom": {"file": "values/raw"}, "SecretDataType": "binary"},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with open_manifest(tmp_path / "m.jsonl") as entries:
        definitions, bad = good_and_bad(list(entries))
    assert bad == []
    values = [definition.data.reveal() for definition in definitions]
    assert values == ["line\r\né\n"] * 2 + [base64.b64encode(bytes(range(256))).decode()]
    assert not any(definition.generated for definition in definitions)


def test_a_file_that_cannot_be_a_value_is_told(tmp_path: Path) -> None:
    """Missing, a folder, a pipe, empty, too large, not UTF-8: the reason holds neither path nor content."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(b"x" * (limits.DATA_MAX_BYTES + 1))
    (tmp_path / "most").write_bytes(b"x" * limits.DATA_MAX_BYTES)
    (tmp_path / "raw").write_bytes(b"\xff" + CANARY.encode())
    told = {
        "missing": "file cannot be read: No such file or directory",
        "": "file names something that is not a regular file",
        "pipe": "file names something that is not a regular file",
        "empty": "file names an empty file",
        "large": "file has more than 30720 bytes",
        "raw": "file is not valid UTF-8: SecretDataType binary takes any bytes",
    }
    for name, reason in told.items():
        assert refused({"file": f"{tmp_path}/{name}"}) == f"SecretDataFrom {reason}"
    assert len(given_by({"file": f"{tmp_path}/most"})) == limits.DATA_MAX_BYTES
    bytes_as_text = refused({"file": f"{tmp_path}/most"}, SecretDataType="binary")
    assert bytes_as_text == "SecretData has 40960 bytes, more than 30720"


def test_a_value_is_carried_or_asked_for() -> None:
    """Both at once is a mistake; a default for SecretData is for lines that do neither."""
    both = refused({"generate": {}}, SecretData=CANARY)
    assert both == "SecretDataFrom excludes SecretData, which is there too"
    assert given_by({"generate": {}}, SecretData=None) != ""
    with open_manifest(
        "-",
        stdin=io.BytesIO(b'{"SecretName":"a","SecretDataFrom":{"generate":{}}}'),
        defaults={"SecretData": limits.AUTO},
    ) as entries:
        [[entry], _] = good_and_bad(list(entries))
    assert entry.data.reveal() != limits.AUTO
    with pytest.raises(UsageError, match="it belongs in manifests"):
        open_manifest("-", defaults={"SecretDataFrom": "{}"})


def test_all_that_is_wrong_is_told_at_once() -> None:
    """A value that could not be had hides no other mistake, and is not called missing besides."""
    entry = asking({"env": CANARY}, SecretType="rds", Other=1)
    assert isinstance(entry, InvalidLine)
    assert set(entry.reasons) == {
        "key 4 is not a parameter",
        "SecretDataFrom env names a variable that is not set",
        "SecretType must be Generic, Rds, Redis, RAMCredentials, ECS or PolarDB",
    }


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "yaml"])
def test_every_format_can_ask(kind: str, variable: str) -> None:
    """As an object, and in CSV as a JSON text in its cell."""
    wishes: list[dict[str, Any]] = [
        {"SecretName": "a", "SecretDataFrom": {"generate": {"length": 20, "charset": "digits"}}},
        {"SecretName": "b", "SecretDataFrom": {"env": variable}},
        {"SecretName": "c", "SecretData": "x"},
    ]
    texts = [{k: v if isinstance(v, str) else json.dumps(v) for k, v in wish.items()} for wish in wishes]
    manifest = {
        "jsonl": "\n".join(map(json.dumps, wishes)),
        "json": json.dumps(wishes),
        "csv": as_csv(texts),
        "yaml": yaml.safe_dump(wishes),
    }[kind]
    definitions, bad = good_and_bad(read_text(manifest, kind))
    assert bad == []
    first, second, third = (definition.data.reveal() for definition in definitions)
    assert len(first) == 20
    assert first.isdigit()
    assert (second, third) == (f"{CANARY} ünï\n", "x")


hidden = st.sampled_from([CANARY, f"{CANARY}\0", f"/{CANARY}", f"{CANARY}\ud800"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | hidden,
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["generate", "env", "file", "length", "charset"]) | hidden, inner, max_size=2
            )
        ),
        max_leaves=4,
    )
)
@settings(max_examples=300)
def test_no_reason_holds_what_was_asked_for(spec: Any) -> None:
    """Whatever stands in the place of a source, nothing is raised and nothing of it is said."""
    for text in (
        yaml.safe_dump({"SecretName": "a", "SecretDataFrom": spec}),
        json.dumps({"SecretName": "a", "SecretDataFrom": json.dumps(spec)}),
    ):
        for entry in read_text(text.encode(errors="surrogatepass"), "yaml"):
            if isinstance(entry, InvalidLine):
                assert CANARY not in repr(entry)
