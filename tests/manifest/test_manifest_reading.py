"""Opening manifests: which, how many, from where, and at what cost of memory."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import (
    COMPRESSORS,
    WRITERS,
    as_jsonl,
    good_and_bad,
    numbered,
    read_text,
)

from bulkseed.errors import ManifestError, UsageError
from bulkseed.manifest import open_manifest
from bulkseed.manifest.formats import json_lines, yaml_documents
from bulkseed.model import InvalidLine, SecretDefinition


def test_several_manifests_are_read_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order given, each in its own format, with names as they were given and their own lines."""
    monkeypatch.chdir(tmp_path)
    Path("one.jsonl").write_text(as_jsonl(list(numbered(2))))
    Path("two.csv").write_text("SecretName,SecretData\nb,x\n")
    with open_manifest(
        "one.jsonl", "-", Path("two.csv"), stdin=io.BytesIO(b'{"SecretName": "s", "SecretData": "x"}')
    ) as all_of:
        assert all_of.paths == ("one.jsonl", "-", "two.csv")
        assert all_of.bytes_total is None
        origins = [entry.origin for entry in all_of]
    assert origins == [("one.jsonl", 1), ("one.jsonl", 2), ("-", 1), ("two.csv", 2)]


def test_entries_are_taken_one_by_one(tmp_path: Path) -> None:
    """`next` and `for` take from the same entries, and closing in between is no harm."""
    path = tmp_path / "a.ndjson"
    path.write_text(as_jsonl(list(numbered(5))))
    with open_manifest(path) as entries:
        first = next(entries)
        assert isinstance(first, SecretDefinition)
        assert first.name == "app/0"
        for entry in entries:
            assert isinstance(entry, SecretDefinition)
            assert entry.name == "app/1"
            break
    assert list(entries) == []


@given(st.text("\n\n\n {x#\t\r\x0b\x0c\x1cé", max_size=40), st.integers(1, 9))
@settings(max_examples=300)
def test_entries_are_counted_as_they_are_read(text: str, size: int) -> None:
    """Wherever the blocks are cut: blank lines and comments do not count, bad lines do."""
    data = text.encode()
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    assert sum(json_lines.count(blocks)) == len(list(json_lines.read(blocks)))


def test_counting_ahead_is_known_where_it_is_cheap(tmp_path: Path) -> None:
    """Files are counted, compressed and broken ones too, but no YAML; it can be given up at any block.

    (G25)
    """
    good = tmp_path / "a.jsonl"
    good.write_text("# comment\n\n" + as_jsonl(list(numbered(2000))) + "nonsense\n")
    broken = tmp_path / "b.ndjson.gz"
    broken.write_bytes(gzip.compress(good.read_bytes())[:-9])
    for paths in ([good], [good, broken], [broken]):
        with open_manifest(*paths) as entries:
            assert entries.count() == len(list(entries))
    with open_manifest(good, good) as entries, pytest.raises(ZeroDivisionError):
        entries.count(lambda: 1 / 0)
    (tmp_path / "c.csv").write_text('SecretName,SecretData\na,"x\ny"\nb,x\n,\n')
    (tmp_path / "d.json").write_text('[{"SecretName": "a", "SecretData": "x"}, {"SecretName": "b"}]')
    with open_manifest(tmp_path / "c.csv", tmp_path / "d.json", good) as entries:
        assert entries.count() == len(list(entries)) == 2 + 2 + 2001
    (tmp_path / "e.yaml").write_text("SecretName: a\nSecretData: x\n")
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in ("-", tmp_path / "e.yaml", tmp_path / "pipe.jsonl"):
        assert open_manifest(good, path).count() is None


class Typing(io.BytesIO):
    """A pipe that gives one line at a time and would block whoever waits for more."""

    def read1(self, size: int | None = -1, /) -> bytes:
        """Return the next line."""
        return self.readline(size)

    def read(self, _size: int | None = -1, /) -> bytes:
        """Fail: a pipe would block here until the block is full."""
        raise AssertionError("waits for a full block")


def test_standard_input_is_read_as_it_comes() -> None:
    """A line that a pipe has given is an entry before the next one arrives."""
    lines = [as_jsonl([parameters]).encode() for parameters in numbered(3)]
    pipe = Typing(b"".join(lines))
    with open_manifest("-", stdin=pipe) as entries:
        for number in range(3):
            assert isinstance(next(entries), SecretDefinition)
            assert pipe.tell() == sum(map(len, lines[: number + 1]))


def test_a_pipe_with_a_name_is_opened_once(tmp_path: Path) -> None:
    """What a shell makes of <(command) can be read."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    keep = os.open(path, os.O_RDWR)  # both ends, so that nothing blocks
    with open_manifest(path, format="jsonl") as entries:
        os.write(keep, as_jsonl(list(numbered(1))).encode())
        assert entries.bytes_total is None
        assert isinstance(next(entries), SecretDefinition)
    os.close(keep)


def test_defaults_fill_what_a_line_lacks() -> None:
    """A missing, null or empty parameter takes the default; one that is there keeps its own."""
    lines = b"""{"SecretName": "a", "SecretData": "x"}
        {"SecretName": "b", "SecretData": "x", "VersionId": "v2", "Description": ""}"""
    with open_manifest("-", stdin=io.BytesIO(lines), defaults={"Description": "d"}) as entries:
        good, _ = good_and_bad(list(entries))
    assert [(entry.version_id, entry.description) for entry in good] == [("v1", "d"), ("v2", "d")]


@pytest.mark.parametrize(
    ("defaults", "told"),
    [
        ({"VersionID": "v1"}, "did you mean VersionId?"),
        ({"Nonsense": "v1"}, "is not a parameter"),
        ({"SecretName": "a"}, "every secret has its own"),
        ({"SecretData": "fake"}, "values belong in manifests"),
        ({"VersionId": "v" * 65}, "has 65 characters, more than 64"),
        ({"Description": ""}, "is empty"),
    ],
)
def test_defaults_that_cannot_be_used_are_an_error(defaults: dict[str, str], told: str) -> None:
    """They are told before anything is read."""
    with pytest.raises(UsageError, match=told.replace("?", r"\?")):
        open_manifest("-", defaults=defaults)


def test_calls_that_make_no_sense_are_an_error() -> None:
    """No manifest, standard input twice, a format that does not exist."""
    with pytest.raises(UsageError, match="no manifest"):
        open_manifest()
    with pytest.raises(UsageError, match="only once"):
        open_manifest("-", "-")
    with pytest.raises(UsageError, match="choose one of jsonl"):
        open_manifest("-", format="xml")


def test_a_manifest_that_cannot_be_read_at_all_is_an_error(tmp_path: Path) -> None:
    """Missing, a folder, or of no known format: told with its name, before the first of several is read."""
    good = tmp_path / "good.jsonl"
    good.write_text(as_jsonl(list(numbered(1))))
    (tmp_path / "some.txt").write_text("x")
    for name, told in (("missing.jsonl", "No such file"), ("", "is a folder"), ("some.txt", "give --format")):
        with pytest.raises(ManifestError, match=told) as raised:
            open_manifest(good, tmp_path / name)
        assert str(tmp_path / name) in str(raised.value)
    with open_manifest(tmp_path / "some.txt", format="jsonl") as entries:
        assert isinstance(next(entries), InvalidLine)


@pytest.mark.parametrize(
    ("suffix", "package", "extra"), [("yaml", "yaml", "yaml"), ("csv.zst", "zstandard", "zstd")]
)
def test_a_missing_package_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str, extra: str
) -> None:
    """An optional package that is not installed is told before anything is read."""
    (tmp_path / f"a.{suffix}").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ManifestError, match=rf"pip install '\.\[{extra}\]'"):
        open_manifest(tmp_path / f"a.{suffix}")


def test_a_file_that_vanishes_is_an_invalid_line(tmp_path: Path) -> None:
    """Once the reading has begun nothing is raised any more."""
    path = tmp_path / "a.jsonl"
    path.write_text(as_jsonl(list(numbered(1))))
    with open_manifest(path) as entries:
        path.unlink()
        [entry] = entries
    assert isinstance(entry, InvalidLine)
    assert entry.reasons == (
        "cannot be opened: No such file or directory; nothing from here on could be read",
    )


FLAT = [*((way, "") for way in WRITERS), ("jsonl", ".gz"), ("jsonl", ".zst")]


@pytest.mark.parametrize(("way", "compression"), FLAT)
def test_memory_stays_flat(tmp_path: Path, way: str, compression: str) -> None:
    """Four times the definitions take no more memory, in any format, and progress ends at the whole."""
    format_name, write = WRITERS[way]
    peaks = []
    for count in (3_000, 12_000):
        path = tmp_path / f"{count}.{format_name}{compression}"
        path.write_bytes(COMPRESSORS[compression](write(list(numbered(count))).encode()))
        with open_manifest(path) as entries:
            tracemalloc.start()
            found = sum(1 for _ in entries)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert found == count
            assert entries.bytes_read == entries.bytes_total == path.stat().st_size
    assert peaks[1] < peaks[0] * 1.5


def test_thirty_thousand_lines_take_a_few_blocks_of_memory(tmp_path: Path) -> None:
    """The peak for 2.4 MB of JSON lines is under half a megabyte."""
    path = tmp_path / "many.jsonl"
    path.write_text(as_jsonl(list(numbered(30_000))))
    tracemalloc.start()
    with open_manifest(path) as entries:
        assert sum(1 for _ in entries) == 30_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000


class Endless:
    """A pipe with one line of many megabytes."""

    def __init__(self, start: bytes) -> None:
        self._blocks = itertools.chain([start], itertools.repeat(b"x" * 65_536, 320))

    def read(self, _size: int = -1, /) -> bytes:
        """Return the next block."""
        return next(self._blocks, b"")


@pytest.mark.parametrize(
    ("format_name", "start"), [("jsonl", b'{"'), ("json", b'["'), ("csv", b'"'), ("yaml", b"a: ")]
)
def test_a_line_without_end_takes_no_more_memory_than_a_definition(format_name: str, start: bytes) -> None:
    """20 MB without a line break are passed over, not gathered."""
    tracemalloc.start()
    with open_manifest("-", format=format_name, stdin=Endless(start)) as entries:
        [entry] = entries
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(entry, InvalidLine)
    assert peak < 6_000_000


def test_yaml_needs_no_compiled_parser() -> None:
    """Without libyaml the pure-Python parser gives the same."""
    import types

    import yaml

    names = (
        "parse",
        "SafeLoader",
        "YAMLError",
        "AliasEvent",
        "ScalarEvent",
        "SequenceStartEvent",
        "SequenceEndEvent",
        "MappingEndEvent",
    )
    pure = types.SimpleNamespace(**{name: getattr(yaml, name) for name in names})
    text = "- SecretName: a\n  SecretData: {x: [1, true, ~, é]}\n- SecretName: 'b\n- \x01\n- *x\n"
    assert list(yaml_documents._read([text.encode()], pure)) == list(
        yaml_documents._read([text.encode()], yaml)
    )
    assert len(read_text(text, "yaml")) == 4
