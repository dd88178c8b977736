"""Encoding: what the signatures demand goes out, and whatever senders make of it comes back as it was."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkseed.wire import encoding
from bulkseed.wire.encoding import (
    canonical_items,
    canonical_query,
    parse_form,
    parse_timestamp,
    percent,
    read_items,
    timestamp,
)

texts = st.text() | st.text("AZaz09-_.~ +*%/=&\r\n\0é密🔑") | st.integers(1, 300).map(lambda n: "aé/" * n)
parameters = st.dictionaries(st.text(min_size=1), texts)


@given(texts)
def test_percent_is_rfc_3986(text: str) -> None:
    """Only letters, digits and ``-_.~`` stay; the rest is upper-case ``%XX`` of its UTF-8 bytes."""
    assert percent(text) == quote(text, safe="-_.~")


def test_percent_of_every_ascii_character() -> None:
    """No ASCII character is forgotten, alone or among many."""
    every = "".join(map(chr, range(128)))
    assert percent(every) == quote(every, safe="-_.~")
    assert [percent(character) for character in every] == [quote(c, safe="-_.~") for c in every]


def test_lone_surrogate_is_refused_without_its_text() -> None:
    """Text that has no UTF-8 form is refused, and the error leads back to no part of it."""
    with pytest.raises(ValueError, match="lone surrogate") as refused:
        percent("s3cret\ud800")
    assert refused.value.__suppress_context__
    assert "s3cret" not in str(refused.value)


@given(parameters)
def test_forms_come_back(sent: dict[str, str]) -> None:
    """Decoding gives what was encoded, whether a space travels as ``%20`` or as ``+``."""
    ours = canonical_query(sent.items())
    assert parse_form(ours) == parse_form(ours.encode()) == sorted(sent.items())
    theirs = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sent.items())
    assert parse_form(theirs) == list(sent.items())


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        (b"", []),
        (b"a", [("a", "")]),
        (b"a=&b=%7e%7E", [("a", ""), ("b", "~~")]),
        (b"&&a=b=c&", [("a", "b=c")]),
        (b"a=1&a=2", [("a", "1"), ("a", "2")]),
        (b"a=%", None),
        (b"a=%4", None),
        (b"a=%4g", None),
        (b"a=%+1", None),
        (b"a=%FF", None),
        (b"a=%%2F41", None),
        (b"a=%2%2FF", None),
        (b"a=%252F%2F%2f+%41", [("a", "%2F// A")]),
        ("a=\udcff", None),
    ],
)
def test_odd_forms(raw: bytes | str, parsed: list[tuple[str, str]] | None) -> None:
    """Odd spellings are read, malformed ones are told apart, nothing raises."""
    assert parse_form(raw) == parsed


@given(st.binary() | st.text(st.characters(exclude_categories=())))
def test_any_bytes_are_read_or_refused(raw: bytes | str) -> None:
    """No body makes reading raise."""
    assert parse_form(raw) is None or isinstance(parse_form(raw), list)


@given(st.integers(0, 4_102_444_799), st.floats(0, 0.999))
def test_timestamps_come_back(second: int, fraction: float) -> None:
    """A timestamp is cut to its second and reads back as that second."""
    text = timestamp(second + fraction)
    assert len(text) == len("2024-02-29T23:59:59Z")
    assert parse_timestamp(text) == second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-02-29",
        "2024-02-29T23:59:59",
        "2024-02-29T23:59:59+00:00",
        "2024-02-30T00:00:00Z",
        "2024-W09-4T23:59:59Z",
        "2024-02-29T23:59:59.Z",
        "2024-02-29T23:59:59,5Z",
        "2024-02-29 23:59:59Z",
        "2024-02-29T23:59:59Z\n",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59",
        "\ud800",
    ],
)
def test_other_timestamps_are_refused(text: str) -> None:
    """Only ``yyyy-MM-ddTHH:mm:ssZ`` is a timestamp, perhaps with a fraction."""
    assert parse_timestamp(text) is None


def test_a_fraction_of_a_second_is_read() -> None:
    """JavaScript's own format has milliseconds; writing has none."""
    assert parse_timestamp("2024-02-29T23:59:59.250Z") == parse_timestamp("2024-02-29T23:59:59Z") + 0.25  # type: ignore[operator]  # it is no None


@given(st.dictionaries(st.text(min_size=1), st.text()), st.booleans())
def test_items_are_canonical_however_they_were_sent(sent: dict[str, str], plus: bool) -> None:
    """Sorted or not, with %20 or +: what is signed is the same, also when an item was read before."""
    raw = "&".join(f"{percent(name)}={percent(value)}" for name, value in sent.items())
    items = read_items(raw.replace("%20", "+") if plus else raw)
    assert items is not None
    assert canonical_items(items) == canonical_query(sent.items())
    assert read_items(raw) == items


def test_what_requests_share_is_read_once_and_no_value_is_kept() -> None:
    """A thousand versions and times do not pile up; values and names are not among what is kept."""
    for number in range(3000):
        read_items(f"VersionId=v{number}&SecretData=canary{number}&SecretName=n{number}")
    assert len(encoding._known) <= encoding._KNOWN_LIMIT
    assert not [raw for raw in encoding._known if b"canary" in raw or b"SecretName" in raw]
