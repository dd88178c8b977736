"""Definitions written in any format are read back as they were."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import (
    COMPRESSORS,
    WRITERS,
    Parameters,
    as_parameters,
    parameters,
    read_text,
    values,
)

from bulkseed.manifest import open_manifest
from bulkseed.manifest.blocks import COMPRESSIONS
from bulkseed.manifest.formats.table import FORMATS


def test_every_format_is_written_here() -> None:
    """A new row of the table makes the round trip; two suffixes may have one reader."""
    written = {FORMATS[format_name] for format_name, _ in WRITERS.values()}
    assert set(FORMATS.values()) == written
    assert not FORMATS.keys() & {"toml", "age", *(suffix[1:] for suffix in COMPRESSIONS)}  # taken by others


@pytest.mark.parametrize("way", WRITERS)
@given(definitions=st.lists(parameters, min_size=1, max_size=6), size=st.integers(3, 400))
@settings(max_examples=25)
def test_every_format_round_trips(way: str, definitions: list[Parameters], size: int) -> None:
    """Whatever the format, and wherever its blocks are cut, the definitions come back in order."""
    format_name, write = WRITERS[way]
    entries = read_text(write(definitions), format_name, size)
    assert [as_parameters(entry) for entry in entries] == definitions
    lines = [entry.origin.line for entry in entries]
    assert lines == sorted(set(lines))


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("way", WRITERS)
@given(definitions=st.lists(parameters, min_size=1, max_size=3))
@settings(max_examples=10)
def test_compression_round_trips(compression: str, way: str, definitions: list[Parameters]) -> None:
    """Behind any suffix there may be a compression, and a byte order mark at the start."""
    format_name, write = WRITERS[way]
    data = COMPRESSORS[compression](b"\xef\xbb\xbf" + write(definitions).encode())
    with TemporaryDirectory() as folder:
        path = Path(folder, f"some.v1.{format_name}{compression}")
        path.write_bytes(data)
        with open_manifest(path) as entries:
            assert [as_parameters(entry) for entry in entries] == definitions
            assert entries.bytes_read == entries.bytes_total == len(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("way", ["jsonl", "json", "yaml list", "yaml documents"])
@given(
    value=st.lists(json_values, max_size=4) | st.dictionaries(st.text(max_size=10), json_values, max_size=4)
)
@settings(max_examples=60)
def test_a_structured_value_goes_as_compact_json(way: str, value: object) -> None:
    """An object or an array as SecretData is sent as compact JSON that means the same, types included."""
    format_name, write = WRITERS[way]
    [entry] = read_text(write([{"SecretName": "a", "SecretData": value}]), format_name)  # type: ignore[dict-item]  # on purpose
    sent = as_parameters(entry)["SecretData"]
    assert json.loads(sent) == value
    assert sent == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@given(value=values)
@settings(max_examples=60)
def test_yaml_agrees_with_pyyaml_about_texts(value: str) -> None:
    """A quoted text means in a manifest what it means to a whole-file YAML parser, in every style."""
    for way in ("yaml list", "yaml documents"):
        [entry] = read_text(WRITERS[way][1]([{"SecretName": "a", "SecretData": value}]), "yaml")
        assert as_parameters(entry)["SecretData"] == value


FORMS = [
    ('{"k": "v", "l": ""}', '[{"TagKey":"k","TagValue":"v"},{"TagKey":"l","TagValue":""}]'),
    ('[{"TagKey": "k", "TagValue": "v"}]', '[{"TagKey":"k","TagValue":"v"}]'),
    ('"[{\\"TagKey\\": \\"k\\", \\"TagValue\\": \\"v\\"}]"', '[{"TagKey": "k", "TagValue": "v"}]'),
]


@pytest.mark.parametrize(("form", "sent"), FORMS)
def test_tags_have_three_forms(form: str, sent: str) -> None:
    """A mapping and a list become the API's text; a text goes as it is."""
    [entry] = read_text(f'{{"SecretName": "a", "SecretData": "x", "Tags": {form}}}', "jsonl")
    assert as_parameters(entry)["Tags"] == sent


@pytest.mark.parametrize(
    ("form", "sent"), [("true", "true"), ("1.5", "1.5"), ("42", "42"), ('"0123"', "0123")]
)
def test_a_scalar_value_goes_as_json(form: str, sent: str) -> None:
    """SecretData may be any JSON value."""
    [entry] = read_text(f'{{"SecretName": "a", "SecretData": {form}}}', "jsonl")
    assert as_parameters(entry)["SecretData"] == sent


def test_yaml_takes_a_parameter_as_it_is_written() -> None:
    """No plain word of YAML 1.1 turns a password into something else; null is no value."""
    text = "SecretName: a\nSecretData: {}\nVersionId: 1\nDescription: ~\nTags: {{n: 0123, y: no}}\n"
    for word in ("0123", "no", "1_000", "12:30:45", "1.10", "2024-01-01", "true", "0x1F", ".inf"):
        [entry] = read_text(text.format(word), "yaml")
        assert as_parameters(entry) == {
            "SecretName": "a",
            "SecretData": word,
            "VersionId": "1",
            "Tags": '[{"TagKey":"n","TagValue":"0123"},{"TagKey":"y","TagValue":"no"}]',
        }


def test_yaml_keeps_the_end_of_a_block() -> None:
    """A block at the end of an item, a document or the file has the line breaks that were written."""
    text = "- SecretName: a\n  SecretData: |+\n    x\n\n- SecretName: b\n  SecretData: |\n    - x\n    --- y"
    for end in ("", "\n"):
        entries = read_text(text + end, "yaml")
        assert [as_parameters(entry)["SecretData"] for entry in entries] == ["x\n\n", f"- x\n--- y{end}"]


def test_csv_cells_may_span_lines() -> None:
    """A quoted cell has its line breaks as they are, and the row's line is its first."""
    text = 'SecretData,SecretName\r\n"x\r\ny\n""z""",a\r\n\r\nw,b\n'
    entries = read_text(text, "csv")
    assert [as_parameters(entry)["SecretData"] for entry in entries] == ['x\r\ny\n"z"', "w"]
    assert [entry.origin.line for entry in entries] == [2, 6]
