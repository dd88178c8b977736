"""No value leaves through the words about a damaged manifest."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import WRITERS, good_and_bad, read_text

from bulkseed.errors import BulkseedError
from bulkseed.manifest import open_manifest
from bulkseed.model import ManifestEntry

CANARY = "CanaryNoOneMaySee"
DEFINITIONS = [
    {"SecretName": "app/first", "SecretData": f"{CANARY}1", "VersionId": "v1", "Description": "a"},
    {"SecretName": "app/second", "SecretData": json.dumps({"password": f"{CANARY}2"}), "VersionId": "v1"},
    {"SecretName": "app/third", "VersionId": "v1", "Tags": "[]", "SecretData": f"x\n{CANARY} é\n"},
]

damages = st.lists(
    st.tuples(
        st.integers(0, 700),
        st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 9, 13, 40]),
        st.sampled_from(
            [
                "",
                "",
                '"',
                "'",
                "\n",
                ",",
                ":",
                "{",
                "}",
                "[",
                "]",
                "\\",
                "\\ud800",
                "\x00",
                "- ",
                "#",
                "&a ",
                "\u2028",
            ]
        )
        | st.text(max_size=2),
    ),
    min_size=1,
    max_size=3,
)
"""Where, how many characters are taken out, and what is put in."""


def damaged(text: str, wounds: list[tuple[int, int, str]]) -> bytes:
    """Return the text with parts of it replaced."""
    for place, length, new in wounds:
        place %= len(text) + 1
        text = text[:place] + new + text[place + length :]
    return text.encode(errors="surrogatepass")


def words_about(entries: list[ManifestEntry]) -> str:
    """Return everything that can be read of the invalid lines, and the forms of definitions that print."""
    definitions, invalid = good_and_bad(entries)
    return repr(invalid) + "".join(f"{definition.data}{definition.data!r}" for definition in definitions)


@pytest.mark.parametrize("way", WRITERS)
@given(wounds=damages, size=st.integers(20, 2000))
@settings(max_examples=300)
def test_no_damage_makes_a_value_readable(way: str, wounds: list[tuple[int, int, str]], size: int) -> None:
    """Whatever is cut out of a manifest or put into it, nothing is raised and no reason holds a value."""
    format_name, write = WRITERS[way]
    entries = read_text(damaged(write(DEFINITIONS), wounds), format_name, size)
    assert CANARY not in words_about(entries)


@pytest.mark.parametrize("wrong_format", ["jsonl", "json", "csv", "yaml"])
@pytest.mark.parametrize("way", WRITERS)
def test_the_wrong_format_tells_nothing(way: str, wrong_format: str) -> None:
    """A manifest read as another format than it is gives reasons without values."""
    entries = read_text(WRITERS[way][1](DEFINITIONS), wrong_format)
    assert CANARY not in words_about(entries)


HIDING_PLACES = [
    f'{{"SecretName": "a", "{CANARY}": "x"}}',
    f'{{"SecretName": "a", "SecretData{CANARY}": "x", "VersionId": "v1"}}',
    f'{{"SecretName": "a{CANARY}", "VersionId": "v1"}}',
    f'{{"SecretName": "a", "VersionId": "v1{CANARY}"}}',
    f'{{"SecretName": "a", "SecretData": 1e999, "VersionId": "{CANARY}"}}',
    f'{{"SecretName": "{CANARY} x", "SecretData": "x"}}',
    f'{{"SecretName": "a", "SecretData": "x", "Tags": "{CANARY}"}}',
    f'{{"SecretName": "a", "SecretData": "x", "Tags": {{"{CANARY}!": "{CANARY}!"}}}}',
    f'{{"SecretName": "a", "SecretData": "x", "SecretType": "{CANARY}", "SecretDataType": "{CANARY}"}}',
    f'{{"SecretName": "a", "SecretData": "x", "Policy": {{"{CANARY}": 1}}, "RotationInterval": "{CANARY}"}}',
    f'{{"SecretName": "a", "SecretData": "x", "SecretType": "Rds", "ExtendedConfig": {{"{CANARY}": 1}}}}',
    f'{{"SecretName": "a", "SecretData": "{CANARY}", "SecretType": "Redis", "ExtendedConfig": {{}}}}',
    f'{{"SecretName": "a", "SecretData": "{CANARY}\\ud800"}}',
    f'"{CANARY}"',
    CANARY,
]


@pytest.mark.parametrize("text", HIDING_PLACES)
@pytest.mark.parametrize("format_name", ["jsonl", "yaml"])
def test_no_place_shows_what_it_holds(text: str, format_name: str) -> None:
    """A value that slipped into a key, a neighbour or another parameter is not shown either."""
    [entry] = read_text(text, format_name)
    assert CANARY not in words_about([entry])


def test_exceptions_hold_no_values() -> None:
    """What is raised about defaults names the parameter and never the text it was given."""
    for name in ("SecretData", "RotationInterval", "Tags", "SecretType", "Policy"):
        with pytest.raises(BulkseedError) as raised:
            open_manifest("-", defaults={name: CANARY})
        assert CANARY not in "".join(traceback.format_exception(raised.value))
