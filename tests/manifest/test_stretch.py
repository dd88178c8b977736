"""Lines that are taken apart many at once are read as each is by itself."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkseed.manifest import open_manifest
from bulkseed.manifest.formats.exact_json import decode
from bulkseed.manifest.formats.line_before import LineBefore
from bulkseed.manifest.formats.lines import MAX_BYTES
from bulkseed.model import InvalidLine, ManifestEntry, Origin, SecretDefinition
from bulkseed.stretch import LineStretch

USUAL = ("a", "app/db", "1", "SecretName")
PLAIN = st.sampled_from([*USUAL * 4, "a b", "", "acs/a", "$Auto", "a" * 193])
ODD = st.sampled_from(['"', "\\", 'a", "SecretData": "b', "\n", "é", "\0", "\1", "\x7f", "{}"])
FORMS = (
    '{"SecretName": "%s", "SecretData": "%s"}',
    '{"SecretData":"%s","SecretName":"%s"}',
    '  {"SecretName": "%s", "SecretData": "%s", "Description": "SecretName", "VersionId": "v2"}',
    '{"SecretName": "%s", "SecretData": "%s", "SecretType": "ECS"}',
    '{"SecretName": "%s", "SecretData": "%s", "SecretDataType": "binary"}',
    '{"Description": "%s", "SecretData": "%s", "SecretName": "a"}',
    '{"SecretName": "%s", "SecretData": "%s"}\r',
)


class Pieces:
    """A stream that gives a text in pieces, as a pipe does."""

    def __init__(self, text: bytes, size: int) -> None:
        self._pieces = [text[start : start + size] for start in range(0, len(text), size)]

    def read(self, _size: int = -1, /) -> bytes:
        """Return the next piece."""
        return self._pieces.pop(0) if self._pieces else b""


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    """Draw a manifest that a program has written, some lines of it odd, damaged or none at all."""
    form = draw(st.sampled_from(FORMS))
    texts = st.lists(st.tuples(PLAIN, PLAIN), min_size=3, max_size=12)
    lines = [(form % pair).encode() for pair in draw(texts) * 3]
    for _ in range(draw(st.integers(0, 2))):
        line = draw(st.sampled_from(FORMS)) % (draw(ODD | PLAIN), draw(ODD | PLAIN))
        lines[draw(st.integers(0, len(lines) - 1))] = draw(
            st.sampled_from([line.encode(), b"", b"# a", b"\xff"])
        )
    text = b"\n".join(lines)
    for _ in range(draw(st.integers(0, 1))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from([b"\n", b'"', b"\0", b"\1", b"\\", b"x"])) + text[at + 1 :]
    return text + draw(st.sampled_from([b"", b"\n"]))


def read(text: bytes, size: int, *, together: bool) -> list[ManifestEntry]:
    """Return the entries of a manifest; `together`: as a run reads them, else each by the parser."""
    with pytest.MonkeyPatch.context() as patch:
        if not together:
            patch.setattr(LineBefore, "decode_all", lambda *_: None)
            patch.setattr(LineBefore, "decode", lambda _, line: decode(line))
        with open_manifest("-", stdin=Pieces(text, size)) as entries:
            return list(entries)


@given(manifests(), st.integers(20, 900))
@settings(max_examples=150)
def test_lines_that_are_read_together_are_what_each_is_by_itself(text: bytes, size: int) -> None:
    """Wherever the blocks are cut, and whatever stands between them: the same definitions and reasons."""
    assert read(text, size, together=True) == read(text, size, together=False)


def manifest_of(count: int, middle: str = "") -> bytes:
    """Return a manifest of lines that are alike, with another text in the middle."""
    lines = [json.dumps({"SecretName": f"app/{i}", "SecretData": f"fake-{i}"}) for i in range(count)]
    lines[count // 2] = middle or lines[count // 2]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("odd", ["", "# a comment", '{"SecretName": "x", "SecretData": "a\\nb"}'])
def test_what_lies_in_a_block_without_odd_lines_is_one_stretch(odd: str) -> None:
    """The first block teaches the form; a block with an odd line is read line by line, and no more."""
    text = manifest_of(900, odd)
    with open_manifest("-", stdin=Pieces(text, len(text) // 9)) as entries:
        parts = list(entries.parts)
    alone = [part for part in parts if not isinstance(part, LineStretch)]
    stretches = [part for part in parts if isinstance(part, LineStretch)]
    blocks = 9 if not odd else 8
    assert len(stretches) in (blocks - 1, blocks)
    assert len(alone) <= (2 if odd else 1) * 110
    assert sum(map(len, stretches)) + len(alone) == 900 - odd.startswith("#")


@pytest.mark.parametrize(
    ("name", "value"),
    [("a b", "x"), ("", "x"), ("acs/a", "x"), ("a" * 193, "x"), ("a", ""), ("a", "x" * 30721)],
)
def test_a_block_with_a_name_or_value_that_is_not_right_is_no_stretch(name: str, value: str) -> None:
    """It is looked at line by line, which says what is wrong."""
    text = manifest_of(20, json.dumps({"SecretName": name, "SecretData": value})) + b"\n"
    with open_manifest("-", stdin=Pieces(manifest_of(5) + b"\n" + text, 1 << 20)) as entries:
        assert sum(isinstance(entry, InvalidLine) for entry in entries) == 1
    both = Pieces(manifest_of(5) + b"\n", 1 << 20)
    both._pieces.append(text)  # a block of its own
    with open_manifest("-", stdin=both) as entries:
        parts = list(entries.parts)
    assert not any(isinstance(part, LineStretch) for part in parts)
    (bad,) = (part for part in parts if isinstance(part, InvalidLine))
    assert bad.origin == ("-", 16)


@pytest.mark.parametrize("end", [b'"}', b'"}"}'])
def test_a_line_that_is_too_long_is_not_taken_for_one_of_the_form(end: bytes) -> None:
    """However it ends."""
    long = b'{"SecretName": "a", "SecretData": "' + b"x" * MAX_BYTES + end
    text = b"\n".join((manifest_of(50), long, manifest_of(50)))
    with open_manifest("-", stdin=Pieces(text, MAX_BYTES // 2)) as entries:
        bad = [entry for entry in entries if isinstance(entry, InvalidLine)]
    assert [(entry.origin.line, "longer than" in entry.reasons[0]) for entry in bad] == [(51, True)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "odd", [(b"a", b"a"), (b'", "SecretData": "', b"\0"), (b"\n", b"\1"), (b'"}\n{"', b"\1"), (b"1", b'"')]
)
def test_a_byte_of_ours_in_the_text_stands_for_nothing(form: str, odd: tuple[bytes, bytes]) -> None:
    """Nor does a quotation mark; and names and values are told apart whatever their order."""
    text = "\n".join(form % (f"a/{i}", f"b-{i}") for i in range(40)).encode()
    at = len(text) // 2
    text = text[:at] + text[at:].replace(*odd, 1)
    size = len(text) // 4
    assert read(text, size, together=True) == read(text, size, together=False)


def stretch(first: int, count: int, version: str = "v1", more: tuple[str | None, ...] = ()) -> LineStretch:
    """Return definitions of lines in a row."""
    lines = range(first, first + count)
    names = [b"app/%d" % line for line in lines]
    return LineStretch(names, [b"fake-%d" % line for line in lines], version, Origin("m.jsonl", first), more)


def test_a_stretch_is_a_sequence_of_definitions() -> None:
    """Its parts are what a list's would be, and it goes on with what follows it only."""
    whole = stretch(3, 5, more=("text",))
    alone = list(whole)
    assert [type(one) for one in alone] == [SecretDefinition] * 5
    assert [(one.origin, one.data.reveal(), one.data_type) for one in alone[:2]] == [
        (("m.jsonl", 3), "fake-3", "text"),
        (("m.jsonl", 4), "fake-4", "text"),
    ]
    assert [whole[i] for i in range(-5, 5)] == [alone[i] for i in range(-5, 5)]
    for start in range(6):
        for stop in range(start, 8):
            assert list(whole[start:stop]) == alone[start:stop]
    with pytest.raises(IndexError):
        whole[5]
    both = whole[:2].followed_by(whole[2:])
    assert both is not None
    assert (list(both), both.weight) == (alone, 5 * len("fake-3"))
    assert whole[:2].followed_by(whole[3:]) is None
    assert stretch(1, 2).followed_by(stretch(3, 2, "v2")) is None
    assert stretch(1, 2).followed_by(stretch(3, 2, more=("text",))) is None


def test_a_stretch_gives_no_value_away() -> None:
    """Neither printed nor pickled."""
    assert "fake" not in repr(stretch(1, 2)) + str(stretch(1, 2))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(stretch(1, 2))
