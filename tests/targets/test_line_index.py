"""The index of offsets: a target reads its own lines, and finds what a reader of the whole file would."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkseed.errors import ManifestError
from bulkseed.manifest.formats.lines import MAX_BYTES
from bulkseed.model import InvalidLine, Origin, SecretDefinition
from bulkseed.targets.manifests import Manifests, RoutedManifests
from bulkseed.targets.spec import TargetSpec

SPECS = [
    TargetSpec("a", "cn-hangzhou", match=("a*",)),
    TargetSpec("b", "cn-hangzhou", match=("b*", "*x")),
    TargetSpec("c", "cn-hangzhou", match=("c*",)),
]

line = st.one_of(
    st.builds(
        lambda name, end: b'{"SecretName": "%s", "SecretData": "fake"}%s' % (name.encode(), end),
        st.text("abcx", max_size=3),
        st.sampled_from([b"", b"\r", b"  "]),
    ),
    st.sampled_from(
        [b"", b"  ", b"# a comment", b"{", b'"a"', b'{"SecretName": "a", "Target": ["b", "c"]}', b"\xff"]
    ),
    st.just(b'{"SecretName": "a", "SecretData": "' + b"f" * MAX_BYTES + b'"}'),
)


def nobody(_origin: Origin, _why: str) -> None:
    """Hear of what goes nowhere."""


def read_by_each(manifests: Manifests) -> dict[str, list[SecretDefinition | InvalidLine]]:
    """Return what each target reads."""
    routed = RoutedManifests(manifests, SPECS, nobody)
    return {spec.name: list(routed.open(spec)) for spec in SPECS}


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(line, max_size=10), mark=st.sampled_from([b"", b"\xef\xbb\xbf"]), end=st.booleans())
def test_a_target_reads_what_a_reader_of_the_whole_file_finds(
    lines: list[bytes], mark: bytes, end: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Same entries, same places, in the file's order, whatever stands in the other lines."""
    path = tmp_path_factory.mktemp("index") / "m.jsonl"
    path.write_bytes(mark + b"\n".join(lines) + b"\n" * end)
    whole = Manifests((str(path), str(path)))  # named twice, it has no index
    found = read_by_each(Manifests((str(path),)))
    twice = read_by_each(whole)
    assert {name: entries + entries for name, entries in found.items()} == twice


def test_only_plain_json_lines_have_places_and_others_are_read_beside_them(tmp_path: Path) -> None:
    """A table next to JSON lines is read by each target as a whole, and both keep their order."""
    one, two = tmp_path / "1.jsonl", tmp_path / "2.csv"
    one.write_text('{"SecretName": "a1", "SecretData": "fake"}\n{"SecretName": "b1", "SecretData": "fake"}\n')
    two.write_text("SecretName,SecretData\nb2,fake\na2,fake\n")
    found = read_by_each(Manifests((str(one), str(two))))
    assert [[entry.name for entry in found[name]] for name in "abc"] == [["a1", "a2"], ["b1", "b2"], []]


def test_a_manifest_that_changed_after_the_survey_is_refused(tmp_path: Path) -> None:
    """Its places are no longer the beginnings of lines; nothing is made of what is there now."""
    path = tmp_path / "m.jsonl"
    path.write_text('{"SecretName": "a1", "SecretData": "fake"}\n')
    routed = RoutedManifests(Manifests((str(path),)), SPECS, nobody)
    path.write_text(
        '{"SecretName": "b1", "SecretData": "fake"}\n{"SecretName": "a1", "SecretData": "fake"}\n'
    )
    with pytest.raises(ManifestError, match="changed while its targets were counted"):
        list(routed.open(SPECS[0]))
