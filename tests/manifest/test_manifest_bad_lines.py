"""A bad line is told, with all its reasons, and leaves every other line alone."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import as_jsonl, good_and_bad, numbered, read_text

from bulkseed.manifest import open_manifest
from bulkseed.manifest.formats import lines
from bulkseed.model import InvalidLine, ManifestEntry

Compress = Callable[[bytes], bytes]

GOOD = '{"SecretName": "good", "SecretData": "x"}'

BAD_JSON = {
    "[1]": ["is not an object of parameters"],
    '"text"': ["is not an object of parameters"],
    "NaN": ["is not valid JSON (character 1)"],
    '{"SecretName": "a", "SecretData": NaN}': ["is not valid JSON (character 35)"],
    '{"SecretName": "a", "SecretData": "x"': ["is not valid JSON (character 38)"],
    '{"SecretName": "a", "SecretData": "x"} {}': ["is not valid JSON (character 40)"],
    '{"SecretName": "a", "SecretData": "\\ud800"}': ["is not valid Unicode: it has a lone surrogate"],
    '{"SecretName": "a", "SecretData": "x", "SecretData": "y"}': ["has SecretData twice"],
    '{"SecretName": "a", "SecretData": {"x": [1, {"y": 1, "\\u0079": 2}]}}': ["has the same key twice"],
    '{"SecretName": "a", "SecretData": "x", "Tags": {"k": "1", "k": "2"}}': ["has the same key twice"],
    '{"SecretName": "a", "SecretData": "x", "Tags": "{\\"k\\": \\"1\\", \\"k\\": \\"2\\"}"}': [
        "Tags has the same key twice"
    ],
    '{"SecretName": "a", "SecretData": "x", "Tags": [{"TagKey": "k", "TagValue": "1"},'
    ' {"TagKey": "k", "TagValue": "2"}]}': ["Tags tag 2: TagKey is that of tag 1 too"],
    '{"SecretName": "a", "SecretData": "x", "VersionId": "v1", "VersionId": "v2"}': ["has VersionId twice"],
    '{"SecretName": "a", "SecretData": "x", "VersionId": "v\\u001b1"}': [
        "VersionId has a character that cannot be seen (U+001B at 2)"
    ],
    "{}": ["SecretName is missing", "SecretData is missing"],
    '{"SecretName": "a", "SecretData": ""}': ["SecretData is missing"],
    '{"SecretName": "a", "SecretData": null}': ["SecretData is missing"],
    '{"SecretName": "a b", "secretdata": "x", "VersionId": 1, "Other": 2}': [
        "key 2 is not a parameter: did you mean SecretData?",
        "key 4 is not a parameter",
        "VersionId must be a text, not a number",
        "SecretData is missing",
        'SecretName may have only letters, digits and _ / + = . @ - (" " at 2)',
    ],
    '{"SecretName": ["a"], "SecretData": "x", "EnableAutomaticRotation": 1, "Description": true}': [
        "SecretName must be a text, not an array",
        "EnableAutomaticRotation must be true or false",
        "Description must be a text, not true or false",
    ],
    '{"SecretName": "a", "SecretData": "x", "Tags": {"TagKey": "k", "TagValue": "v"}}': [
        "Tags must be a list of such objects, or a plain mapping"
    ],
    '{"SecretName": "a", "SecretData": "x", "Tags": {"k": 1}, "Policy": [], "ExtendedConfig": 3}': [
        "Tags tag 1: TagValue is missing or not a text",
        "Policy is not a JSON object",
        "ExtendedConfig is not a JSON object",
    ],
    '{"SecretName": "a", "SecretData": "&&&&", "SecretDataType": "binary"}': [
        "SecretData is not valid Base64, which SecretDataType binary asks for"
    ],
    f'{{"SecretName": "a", "SecretData": {"[" * 300 + "]" * 300}}}': [
        "SecretData is nested too deeply or has something that JSON cannot carry"
    ],
    f'{{"SecretName": "a", "SecretData": {"[" * 1000 + "]" * 1000}}}': ["is nested too deeply"],
    '{"SecretName": "a", "SecretData": "' + "é" * 15_361 + '"}': [
        "SecretData has 30722 bytes, more than 30720"
    ],
}


@pytest.mark.parametrize("bad", BAD_JSON, ids=range(len(BAD_JSON)))
@pytest.mark.parametrize("format_name", ["jsonl", "json"])
def test_every_reason_of_a_bad_line_is_told(format_name: str, bad: str) -> None:
    """The reasons are complete and the lines around it are read."""
    lines = [GOOD, bad, GOOD]
    text = "\n".join(lines) if format_name == "jsonl" else f"[{','.join(lines)}]"
    if bad.endswith("{}") or bad.count("{") != bad.count("}"):
        text = "\n".join(lines)  # such a line has no end inside an array
        format_name = "jsonl"
    entries = read_text(text, format_name)
    good, [wrong] = good_and_bad(entries)
    assert len(good) == 2
    assert set(wrong.reasons) == set(BAD_JSON[bad])
    assert len(wrong.reasons) == len(BAD_JSON[bad])
    assert wrong.origin == ("-", 2)


BAD_BYTES = [
    b"\xff\xfe",
    b'{"SecretName": "a\xc3", "SecretData": "x"}',
    b"\x00",
    b'{"SecretName": "\xed\xa0\x80"}',
]


@pytest.mark.parametrize("bad", BAD_BYTES)
def test_bytes_that_are_no_text_are_told(bad: bytes) -> None:
    """Broken UTF-8, a NUL or an encoded surrogate makes one line bad."""
    _good, [wrong] = good_and_bad(read_text(GOOD.encode() + b"\n" + bad + b"\n" + GOOD.encode(), "jsonl"))
    assert wrong.origin.line == 2
    assert "is not valid" in wrong.reasons[0]


@given(places=st.sets(st.integers(0, 30)), size=st.integers(5, 500))
@settings(max_examples=50)
def test_bad_lines_in_any_places_leave_the_good_ones(places: set[int], size: int) -> None:
    """In every format all good definitions come out, and each bad one is told at its place."""
    good = list(numbered(31))
    kept = [parameters["SecretName"] for place, parameters in enumerate(good) if place not in places]
    json_lines = [json.dumps(parameters) for parameters in good]
    csv_lines = [",".join(parameters.values()) for parameters in good]
    yaml_items = ["- " + json.dumps(parameters) for parameters in good]
    for place in places:
        json_lines[place] = '{"SecretName": "bad"}'
        csv_lines[place] = 'bad,"x"y,v1'
        yaml_items[place] = "- {SecretName: bad, SecretData: 'x}\n"
    texts = {
        "jsonl": "\n".join(json_lines),
        "json": f"[{','.join(json_lines)}]",
        "csv": "SecretName,SecretData,VersionId\n" + "\n".join(csv_lines),
        "yaml": "\n".join(yaml_items),
    }
    for format_name, text in texts.items():
        definitions, wrong = good_and_bad(read_text(text, format_name, size))
        assert [definition.name for definition in definitions] == kept
        assert len(wrong) == len(places)
    assert [line.origin.line for line in good_and_bad(read_text(texts["jsonl"], "jsonl"))[1]] == sorted(
        place + 1 for place in places
    )


BROKEN_ARRAYS = {
    "": (0, "is not a JSON array"),
    "x": (0, "is not a JSON array"),
    GOOD: (
        0,
        (
            "is not a JSON array: give --format jsonl for one object a line, put [ and ] around a single "
            "definition; a map of names and values is a source: bulkseed apply flat:THIS.json"
        ),
    ),
    "[": (0, "the array is cut off or has an unclosed string"),
    f"[{GOOD}": (1, "the array is cut off or has an unclosed string"),
    f"[{GOOD},": (1, "the array is cut off or has an unclosed string"),
    f"[{GOOD},{GOOD[:-3]}": (1, "the array is cut off or has an unclosed string"),
    f"[{GOOD},{GOOD[:-2]}]": (1, "the array is cut off or has an unclosed string"),
    f'["\\\\\\"],[",{GOOD}': (1, "is not an object of parameters"),
    f"[{GOOD}]x": (1, "the array does not end with a single ]"),
    f"[{GOOD}]]": (1, "the array does not end with a single ]"),
    f"[{GOOD}}}": (1, "the array does not end with a single ]"),
    f"[{GOOD},]": (1, "is not valid JSON (character 1)"),
    f"[{GOOD},,{GOOD}]": (2, "is not valid JSON (character 1)"),
    f"[,{GOOD}]": (1, "is not valid JSON (character 1)"),
    f"[{GOOD} {GOOD}]": (0, "is not valid JSON (character 43)"),
}


@pytest.mark.parametrize("text", BROKEN_ARRAYS)
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_a_broken_array_keeps_what_was_read(text: str, size: int) -> None:
    """What came before the damage stands, and the damage is one invalid item."""
    entries = read_text(text, "json", size)
    good, wrong = good_and_bad(entries)
    assert (len(good), *wrong[0].reasons) == BROKEN_ARRAYS[text]
    assert len(good) + len(wrong) == entries[-1].origin.line


@pytest.mark.parametrize("text", ["[]", " [ ] ", "\n[\n]\n"])
def test_an_empty_array_is_empty(text: str) -> None:
    """No items are no entries."""
    assert read_text(text, "json") == []


def test_comments_and_blank_lines_are_no_definitions() -> None:
    """JSON lines may have them; the lines are counted all the same."""
    [entry] = read_text(f"# SecretName\n\n   \n\t# x\r\n  {GOOD}\r\n\n", "jsonl")
    assert entry.origin.line == 5


@pytest.mark.parametrize("size", [100_000, 4_000_000])
def test_a_line_without_end_is_told_and_passed_over(size: int) -> None:
    """More than a definition can take is not kept in memory, wherever the reading is cut."""
    huge = "x" * (2 * lines.MAX_BYTES)
    good, wrong = good_and_bad(read_text(f"{GOOD}\n{huge}\n{GOOD}\n{huge}", "jsonl", size))
    assert [entry.origin.line for entry in good] == [1, 3]
    assert [entry.origin.line for entry in wrong] == [2, 4]
    assert wrong[0].reasons == (lines.TOO_LONG.reason,)
    csv_text = f"SecretName,SecretData\na,{huge}\nb,x\n"
    good, wrong = good_and_bad(read_text(csv_text, "csv", size))
    assert ([entry.origin.line for entry in good], wrong[0].origin.line) == ([3], 2)
    yaml_text = f"- SecretName: a\n  SecretData:\n    {huge}\n- {GOOD}\n---\n- {GOOD}\n- {huge}"
    good, wrong = good_and_bad(read_text(yaml_text, "yaml", size))
    assert [entry.origin.line for entry in good] == [4, 6]
    assert [entry.origin.line for entry in wrong] == [1, 7]
    good, wrong = good_and_bad(read_text(f'[{GOOD},"{huge}{huge}",{GOOD}]', "json", min(size, 100_000)))
    assert (len(good), wrong[0].origin.line) == (1, 2)


REFERENCE = "has an anchor, an alias or a tag, which a manifest cannot have"

YAML_REFUSALS = {
    "SecretName: &a x\nSecretData: *a": REFERENCE,
    "SecretName: a\nSecretData: !!binary aGVsbG8=": REFERENCE,
    "SecretName: a\nSecretData: !!python/object:os.system x": REFERENCE,
    "SecretName: a\nSecretName: b": "has the same key twice",
    "? [a]\n: b": "has a key that is not a text",
    "SecretName: a\nSecretData: " + "[" * 100 + "]" * 100: "is nested too deeply",
    "SecretName: a\nSecretData: 'x\u2028y'": (
        "has U+0085, U+2028 or U+2029, which YAML reads as a line break: escape it"
    ),
    "SecretName: a\nSecretData: 'x": "is not valid YAML (line 4)",
    "SecretName: a\n  SecretData: b": "is not valid YAML (line 3)",
    "just words": "is not an object of parameters",
    "[{SecretName: a}, 5": "is not valid YAML (line 4)",
}


@pytest.mark.parametrize("bad", YAML_REFUSALS)
def test_yaml_that_could_mislead_is_refused(bad: str) -> None:
    """What YAML would resolve in its own way is told, and the documents around it are read."""
    good, [wrong] = good_and_bad(read_text(f"{GOOD}\n---\n{bad}\n---\n{GOOD}\n", "yaml"))
    assert len(good) == 2
    assert wrong.reasons[0].startswith(YAML_REFUSALS[bad].split(" (line")[0])


def test_two_yaml_definitions_on_one_line_have_two_places() -> None:
    """A list in brackets may be on one line; the ledger tells its items apart by their places."""
    entries = read_text(f"[{GOOD}, {GOOD}, 5]\n---\n{GOOD}\n", "yaml")
    assert [entry.origin.line for entry in entries] == [1, 2, 3, 4]


def test_yaml_bombs_stay_small() -> None:
    """Aliases of aliases are refused before they are multiplied."""
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
    )
    [entry] = read_text(bomb, "yaml")
    assert isinstance(entry, InvalidLine)


CSV_TROUBLE = {
    'a,"x"y\nb,y\n': (["b"], [2]),
    "a\nb,y\n": (["b"], [2]),
    "a,x,y\nb,y\n": (["b"], [2]),
    'b,y\na,"x\nc,z\n': (["b"], [3]),
    "b,y\na,\xff\n": (["b"], [3]),
    ",x\nb,y\n": (["b"], [2]),
}


@pytest.mark.parametrize("rows", CSV_TROUBLE)
def test_a_bad_csv_row_is_told(rows: str) -> None:
    """Rows that do not fit the header, quotes and bytes that are wrong make one invalid line each."""
    good, wrong = good_and_bad(read_text(b"SecretName,SecretData\n" + rows.encode("latin-1"), "csv"))
    names, places = CSV_TROUBLE[rows]
    assert [entry.name for entry in good] == names
    assert [entry.origin.line for entry in wrong] == places


WAY_IN = (
    "A table with columns of its own fills templates: bulkseed apply template.jsonl --each THIS.csv, where"
    " template.jsonl has a line such as "
)
HEADERS = {
    "SecretName,secretdata,SecretName": (
        "column 2 is not a parameter: did you mean SecretData?; column 3 repeats SecretName",
        '{"SecretName": "{name}", "SecretData": "{value}"}',
    ),
    "app/db,hunter2": (
        "column 1 is not a parameter; column 2 is not a parameter",
        '{"SecretName": "{name}", "SecretData": "{value}"}',
    ),
    "Title;Username;Password;hunter2": (
        (
            'column 1 ("Title") is not a parameter: did you mean SecretName?; '
            'column 2 ("Username") is not a parameter; '
            'column 3 ("Password") is not a parameter: did you mean SecretData?; column 4 is not a parameter'
        ),
        '{"SecretName": "{Title}", "SecretData": "{Password}"}',
    ),
    "Name,Secret": (
        (
            'column 1 ("Name") is not a parameter: did you mean SecretName?; '
            'column 2 ("Secret") is not a parameter: did you mean SecretName or SecretData?'
        ),
        '{"SecretName": "{Name}", "SecretData": "{Secret}"}',
    ),
    "service,user,password": (
        (
            'column 1 ("service") is not a parameter; column 2 ("user") is not a parameter; '
            'column 3 ("password") is not a parameter: did you mean SecretData?'
        ),
        '{"SecretName": "{service}", "SecretData": "{password}"}',
    ),
    "key,value": (
        (
            'column 1 ("key") is not a parameter: did you mean SecretName or SecretData?; '
            'column 2 ("value") is not a parameter: did you mean SecretData?'
        ),
        '{"SecretName": "{key}", "SecretData": "{value}"}',
    ),
    "Secret Name,SecretData": (
        "column 1 is not a parameter: did you mean SecretName?",
        '{"SecretName": "{name}", "SecretData": "{value}"}',
    ),
    "SecretData,VersionId": ("no column is SecretName", '{"SecretName": "{name}", "SecretData": "{value}"}'),
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_csv_header_that_cannot_be_used_ends_the_manifest(header: str) -> None:
    """It is told once, with a way in for tables of one's own, and without the cells: they may be values.

    (G14)
    """
    [entry] = read_text(f"{header}\na,x\nb,y\n", "csv")
    assert isinstance(entry, InvalidLine)
    problems, example = HEADERS[header]
    assert entry.reasons == (f"the header cannot be used: {problems}. {WAY_IN}{example}",)


def _damaged(folder: Path, suffix: str, data: bytes) -> list[ManifestEntry]:
    path = folder / f"some.jsonl{suffix}"
    path.write_bytes(data)
    with open_manifest(path) as entries:
        return list(entries)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".zst", zstandard.ZstdCompressor(write_checksum=True).compress)],
)
def test_damaged_compression_keeps_what_was_read(tmp_path: Path, suffix: str, compress: Compress) -> None:
    """Cut off or overwritten: what came before stands, and it is told; two streams in a row are fine."""
    text = as_jsonl(list(numbered(20_000))).encode()
    whole = compress(text)
    good, wrong = good_and_bad(_damaged(tmp_path, suffix, whole + whole))
    assert (len(good), wrong) == (40_000, [])
    for data, least in (
        (whole[:-20], 15_000),
        (whole[: len(whole) // 2], 3_000),
        (whole + b"trailing", 20_000),
    ):
        good, wrong = good_and_bad(_damaged(tmp_path, suffix, data))
        assert len(good) >= least
        assert [entry.name for entry in good] == [f"app/{number}" for number in range(len(good))]
        assert wrong[0].origin.line == len(good) + 1
        assert wrong[0].reasons[0].endswith("nothing from here on could be read")
    assert _damaged(tmp_path, suffix, b"not compressed")[0].origin.line == 1


def test_utf_16_is_told_once(tmp_path: Path) -> None:
    """Some shells write it; one reason is enough."""
    [entry] = _damaged(tmp_path, "", GOOD.encode("utf-16"))
    assert isinstance(entry, InvalidLine)
    assert entry.reasons == (
        "is UTF-16: save it as UTF-8 (in a spreadsheet: as CSV UTF-8); nothing from here on could be read",
    )


def test_a_bad_line_has_the_name_that_the_service_would_give() -> None:
    """So that a RAM user's rejected keys are found again by it; a bad UserName gives none."""
    config = {"SecretSubType": "RamUserAccessKey", "UserName": "ann"}
    ram = {
        "SecretName": "$Auto",
        "SecretType": "RAMCredentials",
        "SecretData": "fake",
        "ExtendedConfig": config,
    }
    for user, name in (("ann", "acs/ram/user/ann"), ("a b", "$Auto")):
        config["UserName"] = user
        [bad] = good_and_bad(read_text(json.dumps(ram), "jsonl"))[1]
        assert bad.name == name
