"""From paths to names, and from contents to texts."""

from __future__ import annotations

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.errors import UsageError
from bulkseed.model import ReadValue
from bulkseed.sources.content import decode_json, text_to_send
from bulkseed.sources.mapping import CannotBeNamedError, check_template, glob, name_of, wanted
from bulkseed.sources.protocol import UNLISTED, Reference, SourceFault
from bulkseed.sources.spec import SourceSpec, from_url
from bulkseed.wire.validation import limits


def spec(query: str = "") -> SourceSpec:
    """Return a source with a query."""
    return from_url(f"flat:x.json{query}")


@given(st.text(max_size=20), st.text(max_size=20))
def test_encoded_names_cannot_collide(one: str, other: str) -> None:
    """Two paths have the same encoded name only if they are the same."""
    encoded = spec("?characters=encode")
    names = [name_of(encoded, Reference(path), {}) for path in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    assert set(names[0]) <= set(limits.NAME_CHARACTERS)


def test_other_characters_are_refused_unless_something_else_is_said() -> None:
    """A name is never changed silently."""
    with pytest.raises(CannotBeNamedError):
        name_of(spec(), Reference("a b"), {})
    assert name_of(spec("?characters=replace"), Reference("a b"), {}) == "a_b"
    assert name_of(spec("?characters=encode"), Reference("a b=c"), {}) == "a=20b=3Dc"


def test_templates_know_their_fields() -> None:
    """Path, name, key, mount, namespace and tags can be named, and nothing else."""
    reference = Reference("a/b", key="k", tags={"owner": "ops"})
    template = spec("?name={mount}/{path}/{name}/{key}/{tag:owner}{tag:none}")
    assert name_of(template, reference, {"mount": "kv"}) == "kv/a/b/b/k/ops"
    for bad in ("?name={paths}", "?name={", "?keys=split", "?description={x}", "?tags.a={y}"):
        with pytest.raises(UsageError):
            check_template(spec(bad))


@pytest.mark.parametrize(
    ("query", "taken"),
    [
        ("include=a/closed/*", True),
        ("include=a/closed/x/y", True),
        ("include=a/**", True),
        ("include=**/y", True),
        ("include=?/*/y", True),
        ("include=a/*", False),
        ("include=a/closed", False),
        ("include=b/**", False),
        ("exclude=a/closed/**", False),
        ("exclude=a/closed/x", True),
    ],
)
def test_a_folder_that_may_not_be_listed_is_left_out_only_with_all_that_can_be_in_it(
    query: str, taken: bool
) -> None:
    """Otherwise secrets that the patterns take would be missing without a word."""
    assert wanted(spec(f"?{query}"), Reference("a/closed/", problem=UNLISTED)) is taken


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("a/**", "a/b/c", True),
        ("a/*", "a/b/c", False),
        ("**/tmp/*", "tmp/x", True),
        ("**/tmp/*", "a/b/tmp/x", True),
        ("a?", "a/", False),
        ("a.b", "axb", False),
    ],
)
def test_patterns_know_folders(pattern: str, path: str, fits: bool) -> None:
    """One star stays within a folder, two span any number of them."""
    assert bool(glob(pattern).fullmatch(path)) is fits


def text(found: ReadValue | SourceFault) -> str:
    """Return the text of a value."""
    assert isinstance(found, ReadValue)
    return found.data.reveal()


def test_a_map_is_the_same_text_at_every_read_and_its_numbers_stay() -> None:
    """Keys are sorted; no number changes its form or loses a digit."""
    raw = '{"b": 1.10, "a": 12345678901234567890123, "c": {"z": 1e400, "y": null}}'
    assert text(text_to_send(decode_json(raw), "json")) == (
        '{"a":12345678901234567890123,"b":1.10,"c":{"y":null,"z":1e400}}'
    )
    assert text(text_to_send(decode_json(raw), "b")) == "1.10"


def test_bytes_travel_in_base64() -> None:
    """Binary values have the type that says so, and its own limit: 23,040 bytes."""
    found = text_to_send(b"\xff\x00", "json")
    assert isinstance(found, ReadValue)
    assert base64.b64decode(found.data.reveal()) == b"\xff\x00"
    assert found.data_type == "binary"
    assert isinstance(text_to_send(b"\xff" * 23_040, "json"), ReadValue)
    assert isinstance(text_to_send(b"\xff" * 23_041, "json"), SourceFault)


@pytest.mark.parametrize(
    ("value", "keys", "code"),
    [
        ("", "json", "Empty"),
        (b"", "json", "Empty"),
        ({"k": None}, "k", "Empty"),
        ("canary", "k", "NoKey"),
        ("[1]", "k", "NoKey"),
        ('{"k": "canary", "k": "other"}', "k", "NoKey"),
        ('{"k": "other", "z": {"a": 1, "a": "canary"}}', "k", "NoKey"),
        ("\ud800", "json", "NotText"),
        ({"k": "\ud800"}, "json", "NotText"),
        ({"k": object()}, "json", "NotText"),
        ("ä" * 15_361, "json", "TooLarge"),
    ],
)
def test_what_cannot_be_sent_is_told_without_the_value(value: object, keys: str, code: str) -> None:
    """Each reason has its code; which of two values of one key is meant, nobody knows (B3)."""
    found = text_to_send(value, keys)  # type: ignore[arg-type]  # what no store should give, too
    assert isinstance(found, SourceFault)
    assert found.code == f"Source.{code}"
    assert "canary" not in found.told


def test_an_empty_map_is_a_value() -> None:
    """Vault allows a secret without keys."""
    assert text(text_to_send(orjson.loads("{}"), "json")) == "{}"
