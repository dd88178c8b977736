"""The first pass over a manifest: every line is in some target's part, or is told to go nowhere."""

from __future__ import annotations

from pathlib import Path

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkseed.manifest import open_manifest
from bulkseed.model import InvalidLine, Origin, SecretDefinition
from bulkseed.targets.routing import Router, Survey
from bulkseed.targets.spec import TargetSpec

SPECS = [
    TargetSpec("a", "cn-hangzhou", match=("a/*", "all/*")),
    TargetSpec("b", "cn-beijing", match=("all/*",)),
]

lines = st.lists(
    st.one_of(
        st.builds(
            lambda name, target: orjson.dumps(
                {"SecretName": name, "SecretData": "fake", **({} if target is None else {"Target": target})}
            ),
            st.sampled_from(["a/1", "all/1", "other", "", "all/not a name"]),
            st.sampled_from([None, "a", "b", ["a", "b"], "c", "", 7]),
        ),
        st.sampled_from([b"{", b"[]", b'"text"', b'{"SecretData": "fake"}']),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(lines=lines)
def test_every_line_is_in_somebody_s_sum(lines: list[bytes], tmp_path_factory: object) -> None:
    """Lines times fan-out and what is unrouted add up to what the targets read; nobody reads another's."""
    path = Path(tmp_path_factory.mktemp("survey")) / "m.jsonl"  # type: ignore[attr-defined]  # pytest's factory
    path.write_bytes(b"\n".join(lines))
    router = Router(SPECS)
    unrouted: list[Origin] = []
    survey = Survey(router, lambda origin, _why: unrouted.append(origin))
    assert list(open_manifest(path, keep=survey)) == []
    read: dict[str, list[SecretDefinition | InvalidLine]] = {
        spec.name: list(open_manifest(path, keep=router.keeps(spec.name))) for spec in SPECS
    }
    assert {name: len(entries) for name, entries in read.items()} == {
        name: survey.definitions[name] for name in read
    }
    somewhere = {entry.origin for entries in read.values() for entry in entries}
    assert (len(unrouted), survey.lines) == (survey.unrouted, len(somewhere) + len(unrouted))
    assert somewhere.isdisjoint(unrouted)


def test_a_line_that_names_a_target_is_not_for_a_run_without_targets(tmp_path: Path) -> None:
    """It would end up in whatever account is at hand."""
    path = tmp_path / "m.jsonl"
    path.write_text('{"SecretName": "x", "SecretData": "fake", "Target": "a"}\n')
    (entry,) = open_manifest(path)
    assert isinstance(entry, InvalidLine)
    assert entry.reasons == ("names a Target: give --targets FILE",)


def test_each_row_of_a_table_goes_to_its_target(tmp_path: Path) -> None:
    """A template may name the target by a column; a row without one goes nowhere."""
    template, table = tmp_path / "t.jsonl", tmp_path / "t.csv"
    template.write_text('{"SecretName": "db/{tenant}", "SecretData": "fake", "Target": "{account}"}\n')
    table.write_text("tenant,account\none,a\ntwo,b\nthree,nowhere\n")
    router = Router([TargetSpec("a", "cn-hangzhou"), TargetSpec("b", "cn-hangzhou")])
    names = {
        name: [entry.name for entry in open_manifest(template, each=table, keep=router.keeps(name))]
        for name in ("a", "b")
    }
    assert names == {"a": ["db/one"], "b": ["db/two"]}
